// particle_usb.js ID FILE: what a flasher does with particle-usb of any age, from a running Photon
// that knows a Wi-Fi to DFU mode and back. FILE is an application.
const fs = require('fs');
const usb = require('particle-usb');

const [id, file] = process.argv.slice(2);
const PATIENCE = 30000;

// Tries until it gives something; the board may be on its way through a reset meanwhile.
async function until(what, attempt) {
    const end = Date.now() + PATIENCE;
    let last = '';
    while (Date.now() < end) {
        try {
            const found = await attempt();
            if (found) {
                return found;
            }
        } catch (error) {
            last = `: ${error.message}`;
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`not within ${PATIENCE} ms: ${what}${last}`);
}

async function open(inDfu) {
    return until(inDfu ? 'DFU mode' : 'a running board', async () => {
        const device = await usb.openDeviceById(id);
        if (device.isInDfuMode === inDfu) {
            return device;
        }
        await device.close();
    });
}

// Does something with the board opened for it alone.
async function once(inDfu, action) {
    const device = await open(inDfu);
    try {
        return await action(device);
    } finally {
        await device.close().catch(() => {});
    }
}

const tellMode = async (device) => console.log('mode', await device.getDeviceMode());
const canTellModules = (device) => device.getFirmwareModuleInfo !== undefined;

async function modules(device) {
    const list = await device.getFirmwareModuleInfo();
    return list.map((m) => `${m.type}${m.index}:${m.version}`).join(' ');
}

async function look(device) {
    console.log(`found ${device.type.toLowerCase()} ${device.id} with ${device.firmwareVersion}`);
    if (device.getDeviceId) {
        console.log('asked for its id it says', await device.getDeviceId());
    }
    if (canTellModules(device)) {
        console.log('modules', await modules(device));
    }
}

async function listen(device) {
    await tellMode(device);
    await device.enterListeningMode();
    await tellMode(device);
    await device.leaveListeningMode();
    await tellMode(device);
}

// Before 2.x the Photon's own DFU client can do no more than leave.
async function flash(device, image) {
    console.log('in DFU mode:', device.isInDfuMode);
    if (device.writeOverDfu) {
        const place = { altSetting: 0, startAddr: 0x080C0000 };
        await device.writeOverDfu(image, { ...place, noErase: false, leave: false });
        const back = await device.readOverDfu({ ...place, size: image.length });
        console.log('read back what was written:', image.equals(Buffer.from(back)));
    }
    await device.reset();
}

// A finished update resets the board a second after its answer, as does a request for a reset.
async function gone(device) {
    await until('a reset', async () => {
        try {
            await device.getDeviceMode();
            return false;
        } catch (error) {
            return true;
        }
    });
}

async function update(device, image) {
    try {
        await device.updateFirmware(image);
    } catch (error) {
        console.log('not updated:', error.message);
        return;
    }
    console.log('updated');
    await gone(device);
}

async function main() {
    const image = fs.readFileSync(file);

    await once(false, look);
    await once(false, listen);
    await once(false, async (device) => {
        await device.reset();
        await gone(device);
    });
    await once(false, (device) => update(device, image));
    await once(false, async (device) => {
        if (canTellModules(device)) {
            console.log('modules', await modules(device));
        }
        await device.enterDfuMode();
    });
    await once(true, (device) => flash(device, image));
    await once(false, (device) => console.log(`found ${device.type.toLowerCase()} again`));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});

// particle_usb.js ID FILE: what a flasher does with particle-usb, from a running Photon to DFU mode.
const fs = require('fs');
const usb = require('particle-usb');

const [id, file] = process.argv.slice(2);

// The board resets meanwhile: it is there again when it can be opened.
async function open(inDfu) {
    const end = Date.now() + 20000;
    for (;;) {
        try {
            const device = await usb.openDeviceById(id);
            if (device.isInDfuMode === inDfu) {
                return device;
            }
            await device.close();
        } catch (error) {
            if (Date.now() > end) {
                throw error;
            }
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
}

async function tellModules(device) {
    const modules = await device.getFirmwareModuleInfo();
    console.log('modules', modules.map((m) => `${m.type}${m.index}:${m.version}`).join(' '));
    return modules;
}

async function main() {
    const image = fs.readFileSync(file);
    let device = await open(false);

    console.log(`found ${device.type} ${device.id} with ${device.firmwareVersion}`);
    console.log('mode', await device.getDeviceMode());
    await tellModules(device);
    await device.updateFirmware(image);
    await device.close();

    // The finished update resets the board within a second.
    const end = Date.now() + 20000;
    for (let updated = false; !updated && Date.now() < end;) {
        device = await open(false);
        try {
            const modules = await device.getFirmwareModuleInfo();
            updated = modules.some((m) => m.type === 'USER_PART' && m.version === 7);
        } catch (error) {
            // It went away while it was asked.
        }
        await device.close();
    }
    device = await open(false);
    await tellModules(device);

    await device.enterDfuMode();
    await device.close();
    device = await open(true);
    console.log('in DFU mode:', device.isInDfuMode);
    const place = { altSetting: 0, startAddr: 0x080A0000 };
    await device.writeOverDfu(image, { ...place, noErase: false, leave: false });
    const back = await device.readOverDfu({ ...place, size: image.length });
    console.log('read back what was written:', Buffer.compare(Buffer.from(back), image) === 0);
    await device.reset();
    await device.close().catch(() => {});
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});

// node_serial.js: a Photon's port by serialport 8 or 12: finds it, asks it, changes rate and modem lines,
// hears of unplugging, and sends the board to DFU mode.
const { execFile } = require('child_process');
const { promisify } = require('util');
const library = require('serialport');

const modern = library.SerialPort !== undefined;
const SerialPort = modern ? library.SerialPort : library;
const PATIENCE = 20000;
const plug = (which) => promisify(execFile)('vphoton', ['ctl', which]);

function open(path, baudRate) {
    const port = modern
        ? new SerialPort({ path, baudRate, autoOpen: false })
        : new SerialPort(path, { baudRate, autoOpen: false });
    return call(port, 'open').then(() => port);
}

// A method that ends in a callback, as a promise.
function call(port, method, ...options) {
    return new Promise((resolve, reject) => {
        port[method](...options, (error, result) => (error ? reject(error) : resolve(result)));
    });
}

function ask(port, key, end) {
    return new Promise((resolve, reject) => {
        let heard = '';
        const timer = setTimeout(() => reject(new Error(`heard only: ${heard}`)), PATIENCE);
        const listen = (data) => {
            heard += data.toString('latin1');
            if (heard.endsWith(end)) {
                clearTimeout(timer);
                port.off('data', listen);
                resolve(heard);
            }
        };
        port.on('data', listen);
        port.write(key);
    });
}

async function find() {
    const end = Date.now() + PATIENCE;
    for (;;) {
        const ports = await SerialPort.list();
        const photon = ports.find((port) => (port.vendorId ?? '').toLowerCase() === '2b04');
        if (photon || Date.now() > end) {
            return photon;
        }
    }
}

// How the port closes by itself. A terminal whose other side goes is readable for a moment before it
// is in error, and serialport 12 reads its end again and again when it looks just then: "reading on".
function closed(port) {
    return new Promise((resolve) => {
        port.on('close', (error) => resolve(error && error.disconnected ? 'disconnected' : 'closed'));
        port.on('error', () => {});
        setTimeout(() => resolve('reading on'), PATIENCE / 4).unref();
    });
}

// Pulls the plug under an open port, until the port hears of it by its error.
async function pull(port, path) {
    for (let turn = 1; ; turn++) {
        const end = closed(port);
        await plug('unplug');
        const how = await end;
        if (how !== 'reading on' || turn === 6) {
            return how;
        }
        await call(port, 'close');
        await plug('plug');
        await find();
        port = await open(path, 9600);
        await ask(port, 'v', '\n\r\n');
    }
}

async function main() {
    const photon = await find();
    console.log(photon.path, photon.vendorId, photon.productId, photon.manufacturer, photon.serialNumber);
    let port = await open(photon.path, 9600);
    console.log(JSON.stringify(await ask(port, 'v', '\n\r\n')));
    await call(port, 'update', { baudRate: 115200 });
    await call(port, 'set', { dtr: false, rts: true });
    await call(port, 'drain');
    await call(port, 'flush');
    console.log(JSON.stringify(await ask(port, 'i', '\r\n')));

    console.log('unplugged:', await pull(port, photon.path));
    console.log('ports left:', (await SerialPort.list()).filter((p) => p.path === photon.path).length);

    await plug('plug');
    port = await open((await find()).path, 9600);
    console.log(JSON.stringify(await ask(port, 'v', '\n\r\n')));
    await call(port, 'close');

    // serialport 12 gives any rate that is no constant as -1 to a port that is open already.
    await open(photon.path, 14400);
}

main().then(() => process.exit(0), (error) => {
    console.error(error);
    process.exit(1);
});

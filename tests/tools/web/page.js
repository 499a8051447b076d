// A flasher in a web page: WebUSB and the npm package webdfu, which stands in `webdfu` as
// { DFU, DFUse }. Each thing that happens is a line of the log.
"use strict";

const { DFU, DFUse } = webdfu;
const BLOCK = 4096;
const element = (id) => document.getElementById(id);

function say(text) {
    const line = document.createElement("li");
    line.textContent = text;
    element("log").append(line);
}

function hex(number) {
    return number.toString(16).padStart(4, "0");
}

function describe(board) {
    return `${hex(board.vendorId)}:${hex(board.productId)} ${board.productName} ${board.serialNumber}`;
}

async function showBoards() {
    const boards = await navigator.usb.getDevices();
    element("boards").replaceChildren(...boards.map((board) => {
        const line = document.createElement("li");
        line.textContent = describe(board);
        return line;
    }));
}

// The first board's internal flash, opened. Chromium does not tell the names of alternate settings,
// in which the memory map is, so they are read from the device.
async function openBoard() {
    const [board] = await navigator.usb.getDevices();
    const settings = DFU.findDeviceDfuInterfaces(board);
    const flash = settings.find((each) => each.alternate.alternateSetting === 0);
    if (!flash.name) {
        const reader = new DFU.Device(board, flash);
        await reader.open();
        const names = await reader.readInterfaceNames();
        await reader.close();
        for (const each of settings) {
            each.name = names[each.configuration.configurationValue]
                [each.interface.interfaceNumber][each.alternate.alternateSetting];
        }
    }
    say(`settings: ${settings.map((each) => each.name).join(" | ")}`);
    const device = new DFUse.Device(board, flash);
    device.logDebug = () => {};
    await device.open();
    device.startAddress = Number(element("address").value);
    return device;
}

async function flash() {
    const data = await element("file").files[0].arrayBuffer();
    const device = await openBoard();
    device.logProgress = (done, whole = data.byteLength) => {
        element("progress").value = done / whole;
    };
    await device.do_download(BLOCK, data, false);
    say(`wrote ${data.byteLength} bytes to ${element("address").value}`);
    const copy = await (await device.do_upload(BLOCK, data.byteLength)).arrayBuffer();
    const written = new Uint8Array(data);
    const read = new Uint8Array(copy);
    const same = read.length === written.length && read.every((byte, i) => byte === written[i]);
    say(`read ${read.length} bytes back: ${same ? "identical" : "different"}`);
    await device.close();
}

// What dfu-util does for :leave: a download of nothing, and a look at what comes of it.
async function leave() {
    const device = await openBoard();
    await device.abortToIdle();
    await device.dfuseCommand(DFUse.SET_ADDRESS, device.startAddress, 4);
    await device.download(new ArrayBuffer(0), 2);
    try {
        const { status, state } = await device.getStatus();
        say(`left with status ${status}, state ${state}`);
    } catch (error) {
        say(`left with an error: ${error}`);
    }
}

// One thing at a time; its end is a line of the log, too.
function button(id, work) {
    element(id).addEventListener("click", async () => {
        for (const each of document.querySelectorAll("button")) {
            each.disabled = true;
        }
        await work().catch((error) => say(`failed: ${error}`));
        for (const each of document.querySelectorAll("button")) {
            each.disabled = false;
        }
    });
}

for (const event of ["connect", "disconnect"]) {
    navigator.usb.addEventListener(event, ({ device }) => {
        say(`${event}: ${describe(device)}`);
        showBoards();
    });
}
button("flash", flash);
button("leave", leave);
showBoards();

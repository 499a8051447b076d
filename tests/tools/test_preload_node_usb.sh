#!/bin/bash
# node's usb, which brings its own libusb: lists, transfers, hears of unplugging, and sleeps while
# nothing happens. An old one too, that was built for older C libraries.
. "$SOURCE_DIR/tests/tools/lib.sh"

cat >talk.js <<'END'
const library = require("usb");
const usb = library.usb ?? library; // 2.x and 1.x
const { getDeviceList, findByIds } = library;
const assert = require("assert");

const boards = getDeviceList().filter((d) => d.deviceDescriptor.idVendor === 0x2b04);
assert.deepEqual(boards.map((d) => d.portNumbers), [[1]]);
const board = findByIds(0x2b04, 0xd006);
board.open();
const dfu = board.interface(0);
dfu.claim();
board.controlTransfer(0xa1, 3, 0, 0, 6, (error, status) => {
    assert.ifError(error);
    assert.deepEqual([...status], [0, 0, 0, 0, 2, 0]);
    dfu.setAltSetting(1, (error) => {
        assert.ifError(error);
        const before = process.cpuUsage();
        setTimeout(() => {
            const { user, system } = process.cpuUsage(before);
            assert(user + system < 100000, `busy for ${user + system} us while idle`);
            listen();
        }, 500);
    });
});

function listen() {
    usb.on("detach", (device) => {
        console.log("detach", device.deviceDescriptor.idProduct.toString(16));
        try {
            board.close();
        } catch (error) {
            // The board is gone; 1.x minds.
        }
        require("child_process").execFileSync("vphoton", ["ctl", "plug"]);
    });
    usb.on("attach", (device) => {
        console.log("attach", device.deviceDescriptor.idProduct.toString(16));
        process.exit(0);
    });
    require("child_process").execFileSync("vphoton", ["ctl", "unplug"]);
}
END

for version in 2.14.0 1.9.2; do
    npm_packages usb-$version
    run_ok vphoton run --dfu -- timeout 60 node talk.js
    expect_line 'detach d006'
    expect_line 'attach c006'
done

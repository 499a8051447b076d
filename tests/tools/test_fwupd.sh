#!/bin/bash
# fwupd's tool finds the boards by libusb and reads who they are; as an ordinary user, who has no daemon.
. "$(dirname "$0")/lib.sh"
command -v fwupdtool >/dev/null || skip 'fwupdtool is not installed'

# devices RUN-OPTION...: what the tool knows of boards in DFU mode, as JSON.
devices() {
    # Its folders are root's, and are not there before root has run it.
    as_user env HOME="$WORK/home" STATE_DIRECTORY="$WORK/home" CACHE_DIRECTORY="$WORK/home" \
        vphoton run "$@" --dfu -- fwupdtool get-devices --plugins dfu --json >devices 2>out ||
        fail "fwupdtool: $(cat out devices)"
}

mkdir -m 777 home
devices --release 1.5.0
[ "$(json devices '[[v["Name"], v["Vendor"], v["VersionRaw"], v["InstanceIds"]] for v in d["Devices"]]')" = \
    '[["Photon DFU Mode", "Particle", 592, ["USB\\VID_2B04&PID_D006"]]]' ] ||
    fail "devices: $(cat devices)"
[ "$(json devices '"is-bootloader" in d["Devices"][0]["Flags"]')" = true ] || fail 'it is no bootloader'

#!/bin/busybox sh
# shellcheck shell=sh
#
# What the kernel starts in the guest: mounts, modules, the network, and then the agent in this
# process' place. Messages go to the console, which the host keeps in a file.
export PATH=/bin HOME=/root
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /root /etc /host
/bin/busybox --install -s /bin

fail() {
    echo "init: $*" >/dev/console
    poweroff -f
}

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts
mount -t devpts pts /dev/pts
mount -t debugfs debug /sys/kernel/debug
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
# Where usbip notes what it has attached.
mkdir /var
ln -s /run /var/run
exec >/dev/console 2>&1
echo 'root:x:0:0:root:/root:/bin/sh' >/etc/passwd
echo 'root:x:0:' >/etc/group

while read -r module; do
    modprobe "$module" || fail "no module $module"
done </etc/modules
ifconfig lo 127.0.0.1 up

# appears SECONDS COMMAND...: waits until the command succeeds.
appears() {
    tries=$(($1 * 50))
    shift
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        usleep 20000
    done
}

has_network() {
    [ -e /sys/class/net/eth0 ]
}

# What QEMU's own network gives its guest.
appears 30 has_network || fail 'no network card'
ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up

find_port() {
    port=$(grep -lx vphoton.agent /sys/class/virtio-ports/*/name 2>/dev/null)
    port=/dev/$(basename "${port%/name}")
    [ -c "$port" ]
}

appears 30 find_port || fail 'no port to the host'
exec /bin/agent "$port"

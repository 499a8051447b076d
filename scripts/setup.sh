# shellcheck shell=bash
# shellcheck disable=SC2034 # the tables are for those who source this
#
# What the programs at the root need from the machine. Sourced by check.sh and demo.sh.
#
# A need is a package of Debian and a probe that tells whether its content is there, from wherever
# it came. Nothing is printed and no rights are needed when nothing is missing.

# package | probe
NEEDS_BUILD='
gcc              | command gcc
libc6-dev        | header stdio.h
cmake            | command cmake
ninja-build      | command ninja
pkg-config       | command pkg-config
zlib1g-dev       | header zlib.h
libssl-dev       | header openssl/evp.h
libevent-dev     | header event2/event.h
libjansson-dev   | header jansson.h
libusbredirparser-dev | header usbredirparser.h
libpcap0.8-dev   | header pcap/usb.h
protobuf-compiler | command protoc
nanopb           | command nanopb_generator.py
libnanopb-dev    | header pb.h
'

NEEDS_DEMO='
dfu-util         | command dfu-util
'

NEEDS_CHECK='
check            | header check.h
clang            | command clang
libclang-rt-14-dev | fuzzer
clang-format     | command clang-format
clang-tidy       | command clang-tidy
gcovr            | command gcovr
shellcheck       | command shellcheck
libusb-1.0-0-dev | header libusb-1.0/libusb.h
python3          | command /usr/bin/python3
python3-usb      | python usb.core
python3-serial   | python serial
qemu-system-x86  | command qemu-system-x86_64
udev             | command udevadm
usbutils         | command lsusb
usbip            | file /usr/sbin/usbip
systemd          | command systemd-analyze
tshark           | command tshark
golang-go        | command go
chromium         | command chromium
fwupd            | command fwupdtool
util-linux       | command setpriv
nodejs           | command node
npm              | command npm
openssl          | command openssl
libnode-dev      | file /usr/include/node/node.h
g++              | command g++
make             | command make
minicom          | command minicom
lrzsz            | command sb
ca-certificates  | file /etc/ssl/certs/ca-certificates.crt
'

EXIT_ENVIRONMENT=3

# Is the content of a need there? Headers are looked for as the compiler does.
probe() {
    case $1 in
    command) command -v "$2" >/dev/null ;;
    file) [ -e "$2" ] ;;
    header) echo "#include <$2>" | gcc -fsyntax-only -x c - 2>/dev/null ;;
    python) /usr/bin/python3 -c "import $2" 2>/dev/null ;;
    fuzzer) [ -e "$(clang -print-file-name="libclang_rt.fuzzer-$(uname -m).a" 2>/dev/null)" ] ;;
    esac
}

# missing TABLE...: the packages whose content is not there.
missing() {
    local package probe_words
    printf '%s\n' "$@" | while IFS='|' read -r package probe_words; do
        # shellcheck disable=SC2086 # a probe is words, a package has none inside
        [ -z "$package" ] || probe $probe_words || echo $package
    done
}

# Runs a command of the package manager as root, away from our input.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@" </dev/null
    else
        sudo -n "$@" </dev/null
    fi
}

# require TABLE...: installs what is missing, or names it and leaves.
require() {
    local packages log
    packages=$(missing "$@" | tr '\n' ' ')
    [ -n "$packages" ] || return 0

    if ! command -v apt-get >/dev/null; then
        echo "$0: missing, and there is no apt-get here to install it (Debian names): $packages" >&2
        exit $EXIT_ENVIRONMENT
    fi
    if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
        echo "$0: missing, and only root may install it: apt-get install $packages" >&2
        exit $EXIT_ENVIRONMENT
    fi
    echo "Installing Debian packages: $packages"
    log=$(mktemp)
    # A stale list still installs what has not moved, so only the installation itself must succeed.
    as_root apt-get -q update >"$log" 2>&1
    # shellcheck disable=SC2086 # a list of names
    if ! as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q install -y --no-install-recommends $packages >>"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "$0: apt-get could not install: $packages (whole log in $log)" >&2
        exit $EXIT_ENVIRONMENT
    fi
    rm -f "$log"
    packages=$(missing "$@" | tr '\n' ' ')
    if [ -n "$packages" ]; then
        echo "$0: installed, but still not usable: $packages" >&2
        exit $EXIT_ENVIRONMENT
    fi
}

"""The guest's kernel and its initramfs, made of Debian's packages."""
import lzma
import pathlib
import re
import stat

import packages

HERE = pathlib.Path(__file__).resolve().parent
XZ_MAGIC = b"\xfd7zXZ\0"

# Loaded at boot, in this order, with what they need.
MODULES = ("virtio_pci", "virtio_console", "virtio_net", "9pnet_virtio", "9p", "overlay",
           "usbmon", "xhci_pci", "vhci_hcd", "cdc_acm")
# There to be loaded by hand.
MORE_MODULES = ("dummy_hcd", "gadgetfs", "libcomposite", "usb_f_fs")
# Where these and all that they need are.
MODULE_FOLDERS = re.compile(r"(lib/modules/[^/]+)/kernel/(drivers/(usb|virtio|char|net/[^/]+$)|"
                            r"net/(9p|core)|fs/(9p|netfs|fscache|configfs|overlayfs))/?.*")
PROGRAMS = {"busybox-static": ("bin/busybox",), "dfu-util": ("usr/bin/dfu-util",),
            "usbip": ("usr/sbin/usbip",)}
LIBRARIES = {"libc6": ("libc.so.6", "libpthread.so.0", "ld-linux-x86-64.so.2"), "libudev1": ("libudev.so.1",),
             "libusb-1.0-0": ("libusb-1.0.so.0",)}


class Cpio:
    """An archive in the "newc" form that a kernel unpacks."""

    def __init__(self):
        self.parts = []
        self.count = 0
        self.folders = set()

    def entry(self, name, mode, content=b""):
        self.count += 1
        encoded = name.encode() + b"\0"
        fields = (self.count, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        self.parts += [head, b"\0" * (-len(head) % 4), content, b"\0" * (-len(content) % 4)]

    def add(self, name, content, mode=0o755):
        """A file, or a link when the content is str, with the folders above it."""
        above = pathlib.PurePosixPath(name).parent
        for folder in [*reversed(above.parents), above]:
            if str(folder) not in self.folders and str(folder) != ".":
                self.folders.add(str(folder))
                self.entry(str(folder), stat.S_IFDIR | 0o755)
        if isinstance(content, str):
            self.entry(name, stat.S_IFLNK | 0o777, content.encode())
        else:
            self.entry(name, stat.S_IFREG | mode, content)

    def content(self):
        self.entry("TRAILER!!!", 0)
        return b"".join(self.parts)


def unpacked_kernel(compressed):
    """The ELF file in a bzImage: it starts three seconds sooner under emulation."""
    start = compressed.find(XZ_MAGIC)
    if start < 0:
        raise packages.Missing("the kernel is not compressed with xz")
    # Behind it stand bytes of the boot code, which end the stream but do not belong to it.
    return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(compressed[start:])


def module_name(path):
    return pathlib.PurePosixPath(path).name.removesuffix(".ko").replace("-", "_")


def module_needs(content):
    """Names of the modules that one wants loaded before it."""
    found = re.search(rb"\0depends=([^\0]*)", content)
    soft = re.findall(rb"\0softdep=pre: ([^\0]*)", content)
    words = (found.group(1).decode().split(",") if found else []) + b" ".join(soft).decode().split()
    return [word.replace("-", "_") for word in words if word]


def choose_modules(files, builtin):
    """{path: (content, paths that it needs)} of the modules for the guest."""
    paths = {module_name(path): path for path in files}
    chosen = {}

    def choose(name, why):
        if name in builtin:
            return []
        if name not in paths:
            raise packages.Missing(f"the kernel's package has no module {name}, which {why} needs")
        path = paths[name]
        if path not in chosen:
            needs = [need for other in module_needs(files[path]) for need in choose(other, name)]
            # They are loaded from the last to the first: a later mention is what counts.
            chosen[path] = (files[path], list(dict.fromkeys(reversed(needs)))[::-1])
        return [path, *chosen[path][1]]

    for name in (*MODULES, *MORE_MODULES):
        choose(name, "the guest")
    return chosen


def add_modules(cpio, files):
    modules = {path: content for path, content in files.items() if path.endswith(".ko")}
    folder = MODULE_FOLDERS.match(next(iter(modules))).group(1)
    builtin = {module_name(line) for line in
               files[f"{folder}/modules.builtin"].decode().splitlines()}
    lines = []
    for path, (content, needs) in choose_modules(modules, builtin).items():
        cpio.add(path, content, 0o644)
        names = [str(pathlib.PurePosixPath(other).relative_to(folder)) for other in (path, *needs)]
        lines.append(f"{names[0]}: {' '.join(names[1:])}\n")
    cpio.add(f"{folder}/modules.dep", "".join(lines).encode(), 0o644)


def of_the_kernel(path):
    return (path.startswith("boot/vmlinuz") or path.endswith("/modules.builtin") or
            (MODULE_FOLDERS.match(path) is not None and path.endswith(".ko")))


def add_programs(cpio, debs):
    for package, paths in PROGRAMS.items():
        found = dict(packages.members(debs[package], lambda path, wanted=paths: path in wanted))
        if sorted(found) != sorted(paths):
            raise packages.Missing(f"the package {package} has no {', '.join(paths)}")
        for path, content in found.items():
            cpio.add(f"bin/{pathlib.PurePosixPath(path).name}", content)


def add_libraries(cpio, debs):
    """Each under the name that programs ask for."""
    for package, names in LIBRARIES.items():
        files = dict(packages.members(debs[package], lambda path: "/x86_64-linux-gnu/" in path))
        by_name = {pathlib.PurePosixPath(path).name: content for path, content in files.items()}
        for name in names:
            content = by_name.get(name)
            while isinstance(content, str):
                content = by_name.get(pathlib.PurePosixPath(content).name)
            if content is None:
                raise packages.Missing(f"the package {package} has no {name}")
            folder = "lib64" if name.startswith("ld-") else "lib/x86_64-linux-gnu"
            cpio.add(f"{folder}/{name}", content)


def build(debs, folder):
    """Writes `vmlinux` and `initramfs` into a folder."""
    kernel = next(path for name, path in debs.items() if name.startswith("linux-image-"))
    files = dict(packages.members(kernel, of_the_kernel))
    packed = next(content for path, content in files.items() if path.startswith("boot/"))
    (folder / "vmlinux").write_bytes(unpacked_kernel(packed))

    cpio = Cpio()
    # Before the first mount the kernel opens the console for /init.
    cpio.add("init", (HERE / "init.sh").read_bytes())
    cpio.add("etc/modules", "".join(f"{name}\n" for name in MODULES).encode(), 0o644)
    add_programs(cpio, debs)
    add_libraries(cpio, debs)
    add_modules(cpio, files)
    cpio.add("bin/agent", (HERE / "agent").read_bytes())
    cpio.add("bin/line-rate", (HERE / "line_rate").read_bytes())
    (folder / "initramfs").write_bytes(cpio.content())

"""Debian's packages for the guest: which there are, and their files, without root.

The lists of packages are the system's own. Where there are none, or where they name what the archive
no longer has, a private copy in the cache is brought up to date, which any user may do.
"""
import contextlib
import json
import os
import pathlib
import re
import subprocess
import tarfile

# What linux-image-amd64 depends on is the kernel; the cloud kernel has no USB.
KERNEL = "linux-image-amd64"
PACKAGES = ("busybox-static", "dfu-util", "libc6", "libudev1", "libusb-1.0-0", "usbip")
LISTS = pathlib.Path("/var/lib/apt/lists")
DPKG_STATUS = pathlib.Path("/var/lib/dpkg/status")


class Missing(Exception):
    """Something that the guest needs is not on this machine; the text says what to do."""


class Archive:
    """apt, for one user's cache."""

    def __init__(self, cache):
        self.cache = cache
        self.private = cache / "apt"
        self.options = ["-q", "-o", "APT::Sandbox::User=root"]

    def apt(self, *words, **options):
        try:
            return subprocess.run([words[0], *self.options, *words[1:]], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  check=False, env=dict(os.environ, LC_ALL="C"), **options)
        except FileNotFoundError:
            raise Missing(f"{words[0]} is missing: the guest is made of packages of "
                          "Debian for amd64") from None

    def use_private_lists(self):
        for folder in ("state/lists/partial", "cache/archives/partial"):
            (self.private / folder).mkdir(parents=True, exist_ok=True)
        # Only where apt keeps its own files changes: sources and keys are the system's.
        self.options += ["-o", f"Dir::State={self.private}/state",
                         "-o", f"Dir::State::status={DPKG_STATUS}",
                         "-o", f"Dir::Cache={self.private}/cache"]
        result = self.apt("apt-get", "update")
        if result.returncode != 0:
            raise Missing(f"apt-get update failed: {last_line(result.stderr)}")

    def stamp(self):
        """Changes when the system's lists of packages do."""
        try:
            return [LISTS.stat().st_mtime_ns, DPKG_STATUS.stat().st_mtime_ns]
        except OSError:
            return None

    def look_up(self, names):
        result = self.apt("apt-cache", "show", "--no-all-versions", *names)
        return {found["Package"]: found for found in records(result.stdout)}

    def find(self):
        """{package: version} of what the guest is made of."""
        found = self.look_up([KERNEL, *PACKAGES])
        kernel = re.match(r"linux-image-[0-9][^ ]*", found.get(KERNEL, {}).get("Depends", ""))
        names = [kernel and kernel.group(), *PACKAGES]
        if kernel:
            found.update(self.look_up([names[0]]))
        lost = [name or KERNEL for name in names if name not in found]
        if lost:
            raise Missing(f"apt knows no package {', '.join(lost)}")
        return {name: found[name]["Version"] for name in names}

    def versions(self):
        """The same, quickly while nothing has changed."""
        memo = self.cache / "versions.json"
        stamp = self.stamp()
        try:
            known = json.loads(memo.read_text(encoding="utf-8"))
            if stamp and known["stamp"] == stamp:
                return known["versions"]
        except (OSError, ValueError, KeyError):
            pass
        try:
            versions = self.find()
        except Missing:
            self.use_private_lists()
            versions = self.find()
        # Another user's cache is good as well, and costs a moment more.
        with contextlib.suppress(PermissionError):
            temporary = memo.with_suffix(f".{os.getpid()}")
            temporary.write_text(json.dumps({"stamp": stamp, "versions": versions}),
                                 encoding="utf-8")
            temporary.replace(memo)
        return versions

    def download(self, versions, folder):
        """Puts the packages into a folder; {package: path}."""
        wanted = [f"{name}={version}" for name, version in versions.items()]
        result = self.apt("apt-get", "download", *wanted, cwd=folder)
        if result.returncode != 0 and f"Dir::Cache={self.private}/cache" not in self.options:
            self.use_private_lists()
            result = self.apt("apt-get", "download", *wanted, cwd=folder)
        if result.returncode != 0:
            raise Missing(f"cannot download {', '.join(versions)}: {last_line(result.stderr)}")
        return {name: next(folder.glob(f"{name}_*.deb")) for name in versions}


def last_line(text):
    return (text.strip().splitlines() or ["no reason given"])[-1]


def records(text):
    for block in text.strip().split("\n\n"):
        fields = re.findall(r"^([A-Za-z0-9-]+): (.*)$", block, re.MULTILINE)
        if fields:
            yield dict(fields)


def members(package, wanted):
    """Yields (path, content) of a package's files that `wanted(path)` chooses; a link's content is
    its target as str."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package],
                          stdout=subprocess.PIPE) as unpacker:
        with tarfile.open(fileobj=unpacker.stdout, mode="r|") as archive:
            for member in archive:
                path = member.name.removeprefix("./")
                if not wanted(path):
                    continue
                if member.issym():
                    yield path, member.linkname
                elif member.isfile():
                    yield path, archive.extractfile(member).read()
    if unpacker.returncode != 0:
        raise Missing(f"{package}: dpkg-deb cannot unpack it")

#!/usr/bin/python3
"""What README.md and docs/guide.md show is what happens.

Every ```console block is a session. Lines that begin with "$ " are commands (the lines right below
that begin with "> " go on with it), run by bash in one scratch folder for each document, in order,
with `vphoton` of this build on the PATH; a command that begins with "./" runs in the project's
folder. The lines below a command are all it prints on both outputs, where

    ...         alone on a line stands for any number of lines, inside a line for any text,
    [N]         as the last line says that it ends with exit code N instead of 0,
    12.345 ms   a time with three decimals, as events have it, stands for any such time.

In a ```console whole block only the first line is a command. A block below the line
<!-- not run: REASON --> is for the reader only.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(os.environ["SOURCE_DIR"])
VPHOTON = pathlib.Path(os.environ["VPHOTON"])
DOCUMENTS = ("README.md", "docs/guide.md")
TIMEOUT = 100
BOARD_TIME = re.compile(r"\d+\.\d{3} ms")


def blocks(text):
    """Yields (line number of its first line, whole?, lines) of the console blocks to be run."""
    fence, previous, lines = None, "", []
    for number, line in enumerate(text.splitlines(), 1):
        if fence is None:
            if line.startswith("```"):
                fence, start, lines = line, number + 1, []
            elif line.strip():
                previous = line
        elif line.startswith("```"):
            if fence.startswith("```console") and not previous.startswith("<!-- not run: "):
                yield start, fence == "```console whole", lines
            fence, previous = None, ""
        else:
            lines.append(line)


def sessions(text):
    """Yields (line number, command, shown lines) of each command."""
    for start, whole, lines in blocks(text):
        command, shown = None, []
        for number, line in enumerate(lines, start):
            if line.startswith("$ ") and not (whole and command):
                if command:
                    yield first, command, shown
                first, command, shown = number, line[2:], []
            elif line.startswith("> ") and not shown:
                command += "\n" + line[2:]
            else:
                shown.append(line)
        if command:
            yield first, command, shown


def pattern(lines):
    """The shown lines as a regular expression over the whole output."""
    parts = []
    for line in lines:
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(r"[^\n]*?".join(re.escape(part) for part in line.split("...")) + r"\n")
    return re.compile("".join(parts))


def run(command, folder):
    """Runs one command; returns its output with its exit code in brackets behind."""
    environment = dict(os.environ, LC_ALL="C",
                       PATH=f"{folder.parent / 'bin'}:{os.environ['PATH']}")
    environment.pop("VPHOTON_CONTROL", None)
    result = subprocess.run(["bash", "-c", command], cwd=SOURCE if command.startswith("./") else folder,
                            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, timeout=TIMEOUT, check=False)
    # A progress bar is drawn over itself; what stays on the screen is its last state.
    text = "\n".join(line.rstrip("\r").split("\r")[-1].rstrip()
                     for line in result.stdout.decode(errors="replace").split("\n"))
    if text and not text.endswith("\n"):
        text += "\n"
    return text + (f"[{result.returncode}]\n" if result.returncode else "")


def check(document):
    """Runs the sessions of a document; returns (commands run, complaints)."""
    count = 0
    complaints = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch) / "work"
        folder.mkdir()
        binaries = pathlib.Path(scratch) / "bin"
        binaries.mkdir()
        (binaries / "vphoton").symlink_to(VPHOTON)
        for number, command, shown in sessions((SOURCE / document).read_text(encoding="utf-8")):
            count += 1
            text = run(command, folder)
            wanted = [BOARD_TIME.sub("T ms", line.rstrip()).lstrip() for line in shown]
            found = "".join(BOARD_TIME.sub("T ms", line).lstrip() + "\n" for line in text.splitlines())
            if not pattern(wanted).fullmatch(found):
                complaints.append(f"{document}:{number}: $ {command}\nprints\n{text}"
                                  "but shown is\n" + "\n".join(shown))
    return count, complaints


def main():
    total = 0
    bad = []
    for document in DOCUMENTS:
        count, complaints = check(document)
        total += count
        bad += complaints
        if count == 0:
            bad.append(f"{document}: no command was found in it")
    print("\n\n".join(bad))
    print(f"{total} commands, {len(bad)} of them not as shown")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()

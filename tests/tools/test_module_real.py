#!/usr/bin/python3
"""`vphoton module show --json` and `verify` on the real files: what their listing says of them."""
import json
import os
import pathlib
import subprocess
import sys

# name | size | start | end | version | function/index | dependency 1 | 2 | suffix | product id/version
# | CRC | SHA-256
LISTING = """
photon_tinker-0.5.2.bin|3952|80a0000|80a0f6c|2|5/1|4,2,1|0,0,0|36|-1/-1|ba4f59ab|2ba4e71e840f596b812003882aae7ca6496f1590ca4a049310af76eaf11c943a
system-part1-0.5.2-photon.bin|250956|8020000|805d448|17|4/1|0,0,0|0,0,0|40|65535/65535|078f9e74|4d1cb253ee61042610aef51d0479dab527b1d044fd48cde3b9ed0f2604a9dabc
system-part2-0.5.2-photon.bin|187492|8060000|808dc60|17|4/2|4,1,17|0,0,0|40|65535/65535|318ba506|c4a4a7247c24b2ff41a4010854b0a1ee09b38f69034f51c1ea8ebfe9819e5782
photon_doctor.bin|6888|80a0000|80a1ae4|4|5/1|4,2,108|0,0,0|40|65535/65535|7e794dcd|e54be10b93eb07f1c8dcb9eaeeca0e33189ed07e8d6475ffa55f3962534559f6
tinker-0.4.5-photon.bin|5324|80a0000|80a14c8|3|5/1|4,2,6|0,0,0|40|6/2|4a738441|b3a6dcd529be70fbe24ee959c7305d58e3bc9a04acdce8f093c7a1f759097d09
bootloader-0.5.2.bin|14052|8000000|80036e0|7|2/0|0,0,0|0,0,0|40|65535/65535|706cd056|eb0223d915d27b83be4c58491985ae0803ad2b43696c7b3940d59fb040c9b13a
bootloader-1.5.0.bin|15336|8000000|8003be4|501|2/0|0,0,0|0,0,0|40|65535/65535|353263fb|8890fbd8dd453bafa11efe5e2a3a714d46458d67389dcf497a34341402b8bf82
system-part1-1.5.0.bin|238408|8020000|805a344|1502|4/1|4,2,207|0,0,0|40|65535/65535|9b67a6c6|d98d91bad9d9033f4fba7a5dc1155e390d63aa8ad471d81edd3b30a80cc20dcc
system-part2-1.5.0.bin|261048|8060000|809fbb4|1502|4/2|4,1,1502|2,0,400|40|65535/65535|48958319|77d8aa40e44c6438f4c7240ca4f8c4f46b307b3b110776ee3b39100035bd7040
bootloader-2.2.0.bin|15124|8000000|8003b10|1006|2/0|0,0,0|0,0,0|40|65535/65535|d8161977|df5b45ee83670dced34471f20ba794d0da82b46f77cd33d458db49faeada0849
system-part1-2.2.0.bin|241496|8020000|805af54|2202|4/1|4,2,207|0,0,0|40|65535/65535|bc834692|f5ffc45dbc86680f1c4d9a74ea6f8e2ef647fb2c1049ce0f6995162f724ff566
system-part2-2.2.0.bin|260840|8060000|809fae4|2202|4/2|4,1,2202|2,0,1003|40|65535/65535|248602cc|3b42f9a62933ef86508392ec380df9c97282050207f92be1ae38039016df0ac1
"""


def vphoton(*words):
    return subprocess.run([os.environ["VPHOTON"], "module", *words], check=False, text=True,
                          capture_output=True)


def shown(path):
    """The fields of the listing, as the program has them."""
    result = vphoton("show", "--json", str(path))
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    crc, prefix, suffix = answer["crc"], answer["prefixInfo"], answer["suffixInfo"]
    assert crc["ok"] is True and crc["actualCrc"] == crc["storedCrc"] == suffix["crcBlock"]
    assert prefix["platformID"] == 6
    assert prefix["reserved"] == prefix["moduleFlags"] == suffix["reserved"] == 0
    start, end = prefix["moduleStartAddy"], prefix["moduleEndAddy"]
    return [path.name, str(int(end, 16) - int(start, 16) + 4), start, end,
            str(prefix["moduleVersion"]),
            f"{prefix['moduleFunction']}/{prefix['moduleIndex']}",
            *(f"{prefix[d + 'ModuleFunction']},{prefix[d + 'ModuleIndex']},"
              f"{prefix[d + 'ModuleVersion']}" for d in ("dep", "dep2")),
            str(suffix["suffixSize"]), f"{suffix['productId']}/{suffix['productVersion']}",
            crc["storedCrc"], suffix["fwUniqueId"]]


def main():
    firmware = pathlib.Path(os.environ["FIRMWARE"])
    wrong = 0
    for line in LISTING.split():
        expected = line.split("|")
        path = firmware / expected[0]
        if not path.exists():
            print(f"skipped: no {path.name} in {firmware}; fixtures/fetch.sh brings it")
            sys.exit(77)
        found = shown(path)
        size = str(path.stat().st_size)
        if found != expected or size != expected[1]:
            print(f"FAILED: {path.name}\n  expected {expected}\n  found    {found}, {size} bytes")
            wrong += 1
        result = vphoton("verify", str(path))
        if result.returncode != 0 or result.stderr or ": good: " not in result.stdout:
            print(f"FAILED: verify {path.name}: {result}")
            wrong += 1
    sys.exit(wrong != 0)


main()

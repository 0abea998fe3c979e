"""The sizes of the boards' images in flash and RAM: writes them into sizes.md, or holds them against it.

Read from the section headers of the images' ELF files: flash is every byte that is written to the chip, RAM every byte that the
linker has assigned there. The stack is in neither.
"""

import struct
import sys
from pathlib import Path

TABLE = Path(__file__).with_name("sizes.md")
MOST_OFF = 0.05
HEAD = """# Sizes of the images

In bytes, as `firmware/build` makes them; `firmware/build --check` fails if an image is off by more than 5 %, and
`firmware/build --sizes` writes this table anew. Flash is what is written to the chip; RAM is what the linker assigns, without the
stack. The image of `rp2040` is built without the firmware of its radio chip (`CYW43_FIRMWARE`), which adds about 230 kB of flash.

| image | flash | RAM |
|---|---|---|
"""

NOBITS = 8
ALLOC = 2

# Where the chips have RAM: ARM Cortex-M, and the data and instruction bus of the ESP32-C3.
RAM = ((0x2000_0000, 0x3000_0000), (0x3FC8_0000, 0x3FCE_0000), (0x4037_C000, 0x403E_0000))


def sections(data):
    """Name, kind, flags, address and length of each section of a 32-bit little-endian ELF file."""
    offset, = struct.unpack_from("<I", data, 32)
    size, count, of_names = struct.unpack_from("<HHH", data, 46)
    rows = [struct.unpack_from("<6I", data, offset + number * size) for number in range(count)]
    names = rows[of_names][4]
    for name, kind, flags, address, _, length in rows:
        end = data.index(b"\0", names + name)
        yield data[names + name : end].decode(), kind, flags, address, length


def sizes(image):
    """Flash and RAM of an image."""
    data = Path(image).read_bytes()
    if data[:6] != b"\x7fELF\x01\x01":
        raise SystemExit(f"{image} is no 32-bit little-endian ELF file")
    flash = ram = 0
    for name, kind, flags, address, length in sections(data):
        # The ESP32's linker script calls so what keeps addresses free: the same memory on its other bus.
        if not flags & ALLOC or name == ".stack" or name.endswith(("_dummy", "_gap")):
            continue
        if kind != NOBITS:
            flash += length
        if any(begin <= address < end for begin, end in RAM):
            ram += length
    return flash, ram


def read_table():
    rows = {}
    if TABLE.exists():
        for line in TABLE.read_text().splitlines():
            cells = [cell.strip(" `") for cell in line.strip("|").split("|")]
            if len(cells) == 3 and cells[1].isdigit():
                rows[cells[0]] = (int(cells[1]), int(cells[2]))
    return rows


def main():
    action, *images = sys.argv[1:]
    built = {name: sizes(path) for name, _, path in (image.partition("=") for image in images)}
    table = read_table()
    if action == "--sizes":
        table.update(built)
        rows = [f"| `{name}` | {flash} | {ram} |\n" for name, (flash, ram) in sorted(table.items())]
        TABLE.write_text(HEAD + "".join(rows))
        return 0
    wrong = []
    for name, got in built.items():
        if name not in table:
            wrong.append(f"{name}: not in {TABLE.name}")
            continue
        for what, now, before in zip(("flash", "RAM"), got, table[name]):
            if abs(now - before) > before * MOST_OFF:
                wrong.append(f"{name}: {now} bytes of {what}, {before} in {TABLE.name} ({now / max(before, 1) - 1:+.1%})")
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong:
        print("If that is as it should be: firmware/build --sizes", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

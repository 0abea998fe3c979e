"""Windows in a gateway's history, as many as a test needs: written into its file while no gateway runs."""

import contextlib
import sqlite3
import struct
import zlib

LENGTH = 300_000


def sealed(device, start, body):
    """The column `metrics`, as crates/history/src/blob.rs describes it."""
    crc = zlib.crc32(body, zlib.crc32(struct.pack("<4q", device, start, LENGTH, 0)))
    return body + struct.pack("<I", crc)


def fill(path, devices, windows, until):
    """`windows` windows of five minutes for each device, the last one before `until` (milliseconds)."""
    body = b"\x01\x01" + struct.pack("<4d", 21.123456789, 20.987654321, 22.192837465, 0.5678912345) + b"\x1e"
    first = until // LENGTH * LENGTH - windows * LENGTH
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.executemany("INSERT INTO device (id, name) VALUES (?, ?)", list(enumerate(devices, 1)))
        file.execute("INSERT INTO metric (id, name) VALUES (1, 'temperature')")
        starts = range(first, first + windows * LENGTH, LENGTH)
        rows = ((id, start, LENGTH, 0, sealed(id, start, body)) for id in range(1, len(devices) + 1) for start in starts)
        file.executemany("INSERT INTO windows (device, start, length, revision, metrics) VALUES (?, ?, ?, ?, ?)", rows)
        file.commit()

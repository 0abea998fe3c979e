"""Faults of the disk under a running program: faults.c, built and steered.

    disk = Disk(library, gateway.data_dir, folder)
    gateway.env |= disk.env
    disk.full("journal")   # ENOSPC for all files whose path below data_dir contains "journal"
    disk.heal()
"""

import ctypes
import errno
import mmap
import pathlib

import shim

SOURCE = pathlib.Path(__file__).with_name("faults.c")


def build(folder):
    """Compiles the library that goes between a program and its disk."""
    return shim.build(SOURCE, folder)


class Control(ctypes.Structure):
    """`struct control` of faults.c, which documents the fields."""

    _fields_ = [("part", ctypes.c_char * 64), ("room", ctypes.c_int64)] + [
        (name, ctypes.c_int32)
        for name in (
            "write_error",
            "sync_error",
            "dir_error",
            "read_only",
            "sync_millis",
            "sync_hang",
            "hits",
            "waiting",
        )
    ]


class Disk:
    """What is below `root`, as a program with `env` sees it. One trouble at a time; `part` is a piece of a path."""

    def __init__(self, library, root, folder):
        self.root = root
        self._log = folder / "faults.log"
        control = folder / "faults.control"
        control.write_bytes(bytes(ctypes.sizeof(Control)))
        with open(control, "r+b") as file:
            self._control = Control.from_buffer(mmap.mmap(file.fileno(), 0))
        self.env = {
            "LD_PRELOAD": str(library),
            "FAULTS_ROOT": str(root),
            "FAULTS_CONTROL": str(control),
            "FAULTS_LOG": str(self._log),
        }

    def full(self, part=""):
        """ENOSPC, once ten more bytes are written: as on a real disk, the first write is torn."""
        self._set(part, room=10, write_error=errno.ENOSPC)

    def fail_writes(self, part=""):
        """EIO on writes."""
        self._set(part, room=0, write_error=errno.EIO)

    def fail_syncs(self, part=""):
        """EIO on fsync: what was written since the last one is gone with the next power cut."""
        self._set(part, sync_error=errno.EIO)

    def cannot_sync_directories(self):
        """EINVAL for fsync on a directory, as on some network and FUSE file systems; files are synced."""
        self._set("", dir_error=errno.EINVAL)

    def read_only(self, part=""):
        """EROFS: as when the kernel finds the file system damaged."""
        self._set(part, read_only=1)

    def slow(self, seconds, part=""):
        """Each fsync takes so much longer."""
        self._set(part, sync_millis=round(seconds * 1000))

    def hang(self, part=""):
        """No fsync ends."""
        self._set(part, sync_hang=1)

    def heal(self):
        """The disk works; who waits for it goes on at once."""
        self._set("")

    def _set(self, part, **trouble):
        # Harmless while it changes: no file's name has a newline.
        self._control.part = b"\n"
        for name in ("write_error", "sync_error", "dir_error", "read_only", "sync_millis", "sync_hang"):
            setattr(self._control, name, 0)
        self._control.hits = 0
        for name, value in trouble.items():
            setattr(self._control, name, value)
        # The outbox's segments are called .journal, too.
        self._control.part = b"/journal" if part == "journal" else part.encode()

    @property
    def hits(self):
        """Calls that were refused or held up since the last change."""
        return self._control.hits

    @property
    def waiting(self):
        """Syncs that are held up now."""
        return self._control.waiting

    def cut_power(self):
        """Zeroes all data without a successful sync in the files of a killed program."""
        for path, ranges in self._unsafe().items():
            file = self.root / path
            if not file.is_file():
                continue
            size = file.stat().st_size
            with open(file, "r+b") as out:
                for begin, end in ranges:
                    out.seek(begin)
                    out.write(bytes(max(0, min(end, size) - begin)))

    def _unsafe(self):
        """Path -> ranges of bytes that a power cut takes. The log is read as the kernel would keep its pages."""
        dirty, lost, syncing, renamed = {}, {}, {}, {}
        for line in self._log.read_text().splitlines():
            thread, deed, a, b, path = line.split(" ", 4)
            path, a, b = path.lstrip("/"), int(a), int(b)
            if deed == "w":
                lost[path] = _without(lost.get(path, []), a, a + b)
                dirty[path] = _without(dirty.get(path, []), a, a + b) + [(a, a + b)]
            elif deed == "t":
                for ranges in (dirty, lost):
                    ranges[path] = [(begin, min(end, a)) for begin, end in ranges.get(path, []) if begin < a]
            elif deed == "b":
                # What is written while the sync runs may not be part of it.
                syncing[thread] = list(dirty.get(path, []))
            elif deed in "sf":
                begun = syncing.pop(thread)
                if deed == "f":
                    lost[path] = lost.get(path, []) + begun
                dirty[path] = [part for part in dirty.get(path, []) if part not in begun]
            elif deed == "r":
                renamed[thread] = path
            elif deed == "R":
                old = renamed.pop(thread)
                for ranges in (dirty, lost):
                    ranges[path] = ranges.pop(old, [])
        return {path: dirty.get(path, []) + lost.get(path, []) for path in dirty.keys() | lost.keys()}


def _without(ranges, begin, end):
    """`ranges` less what lies between `begin` and `end`."""
    kept = [(a, min(b, begin)) for a, b in ranges if a < begin]
    return kept + [(max(a, end), b) for a, b in ranges if b > end]

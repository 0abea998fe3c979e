"""The clocks of the machine that the gateway believes to run on, and a line to a broker that dies while it sleeps."""

import mmap
import os
import pathlib
import socket
import struct
import threading
import time
from datetime import UTC, datetime

import shim
from peers import HOST

HOUR = 3600
SOURCE = pathlib.Path(__file__).parent / "clock" / "suspend.c"


class Machine:
    """Preloads clock/suspend.c into the gateway. Its monotonic clock is the real one; all else is what the test says."""

    def __init__(self, folder):
        folder.mkdir()
        self.library = shim.build(SOURCE, folder)
        self.file = folder / "clocks"
        self.file.write_bytes(bytes(16))
        with open(self.file, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 16)
        self._slept = self._set_by = 0

    def sleep(self, seconds):
        """As if suspended for so long, here and now; connections are none the wiser."""
        self._slept += round(seconds * 1e9)
        self._report()

    def set(self, seconds):
        """From now on the wall clock is wrong by so much."""
        self._set_by = round(seconds * 1e9)
        self._report()

    def show(self, moment):
        """The wall clock is set to that time (seconds since 1970)."""
        self.set(moment - time.time() - self._slept / 1e9)

    def now(self):
        """What its wall clock says, in seconds since 1970."""
        return time.time() + (self._slept + self._set_by) / 1e9

    def now_rfc3339(self):
        return datetime.fromtimestamp(self.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")

    def _report(self):
        # One store of 16 aligned bytes, where the gateway reads 8 at a time.
        self._map[:] = struct.pack("=qq", self._slept, self._set_by)

    def environment(self):
        preload = " ".join(filter(None, [str(self.library), os.environ.get("LD_PRELOAD")]))
        return {"LD_PRELOAD": preload, "CLOCKS": str(self.file)}


class Line:
    """Passes connections on to a broker. Those that there are when it dies stay open, and nothing passes any more."""

    def __init__(self, target):
        self._target = target
        self._alive = []
        self.connections = 0
        self._listener = socket.create_server((HOST, 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection((HOST, self._target))
            except OSError:
                return
            self.connections += 1
            alive = threading.Event()
            alive.set()
            self._alive.append(alive)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(source, sink, alive), daemon=True).start()

    def _pass(self, source, sink, alive):
        try:
            while data := source.recv(65536):
                if alive.is_set():
                    sink.sendall(data)
            if alive.is_set():
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def die(self):
        for alive in self._alive:
            alive.clear()

    def close(self):
        # accept() wakes for a shutdown, not for a close.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

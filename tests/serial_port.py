"""A serial port whose cable can be pulled: a pseudo-terminal behind a symbolic link, as /dev/serial/by-id has them."""

import os
import select
import tty


class SerialPort:
    def __init__(self, path):
        self.path = path
        self._end = None

    def plug_in(self):
        """Makes a new pseudo-terminal, and the link to it."""
        self._end, device = os.openpty()
        tty.setraw(device)
        os.symlink(os.ttyname(device), self.path)
        os.close(device)
        return self

    def pull(self):
        """Link and device vanish; what was not read yet is lost, as it is on a cable."""
        self.path.unlink()
        os.close(self._end)
        self._end = None

    def send(self, data):
        """Writes all of it, at the pace at which the gateway reads."""
        data = data.encode() if isinstance(data, str) else data
        while data:
            data = data[os.write(self._end, data) :]

    def read_line(self, timeout=10.0):
        """What the gateway wrote, up to a line feed."""
        line = b""
        while not line.endswith(b"\n"):
            assert select.select([self._end], [], [], timeout)[0], f"no line within {timeout} s, only {line!r}"
            line += os.read(self._end, 4096)
        return line

    def close(self):
        if self._end is not None:
            self.pull()

"""firmware/node-sim: the logic of the real nodes on Linux, against a gateway under test."""

import os
import pathlib
import subprocess

from peers import wait_until

ROOT = pathlib.Path(__file__).parent.parent
BINARY = pathlib.Path(os.environ.get("NODE_SIM", ROOT / "firmware/target/debug/node-sim")).resolve()

# The node lives so many times faster: it measures every minute, so every half second.
SPEED = 120
MINUTELY = ("--speed", str(SPEED), "--interval", "60", "--heartbeat", "60", "--count")


class Node:
    """One node in a folder of its own; `life()` starts it, again after a power cut."""

    def __init__(self, folder, gateway, *arguments):
        self.folder = folder
        folder.mkdir(parents=True)
        self.command = [BINARY, *MINUTELY, *map(str, arguments), gateway]
        self.process = None

    def life(self):
        assert BINARY.exists(), f"no binary at {BINARY}; build it (firmware/README.md) or set NODE_SIM"
        with open(self.folder / "stdout", "ab") as out, open(self.folder / "stderr", "ab") as err:
            self.process = subprocess.Popen(
                self.command, stdout=out, stderr=err, stdin=subprocess.DEVNULL, cwd=self.folder
            )
        return self

    def tries(self, outcome=""):
        """The frames of tries that ended like this, in hexadecimal: acknowledged, refused, not delivered."""
        path = self.folder / "stdout"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.rsplit(" ", 1)[1] for line in lines if line.startswith(outcome)]

    @staticmethod
    def numbers(tries):
        """The sequence numbers of readings among these frames; a frame of fields begins with it."""
        return {frame[4:8] for frame in tries if frame.startswith("0160")}

    def wait_tries(self, count, outcome, timeout=30.0):
        def are():
            assert self.process.poll() is None, (self.folder / "stderr").read_text()
            return len(self.tries(outcome)) >= count

        wait_until(are, timeout, lambda: f"{count} tries {outcome}, not {len(self.tries(outcome))}")

    def kill(self):
        """A power cut, as far as a process can have one."""
        self.process.kill()
        self.process.wait(10)

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()

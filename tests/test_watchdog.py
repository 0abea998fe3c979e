"""systemd's watchdog: patted as long as every stage moves, and not when one hangs, so that a new gateway is started."""

import pathlib
import re
import shutil
import socket
import tempfile
import threading
import time

import pytest

from faults.site import REFUSALS
from peers import wait_until

# Seconds without a pat after which systemd would kill the gateway.
LIMIT = 2


class Systemd:
    """Hears what systemd would (sd_notify(3)), and remembers when."""

    def __init__(self):
        # A socket's path must be short.
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="notify-"))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._folder / "s"))
        self.received = []
        threading.Thread(target=self._listen, daemon=True).start()
        self.env = {"NOTIFY_SOCKET": str(self._folder / "s"), "WATCHDOG_USEC": str(LIMIT * 1_000_000)}

    def _listen(self):
        while message := self._socket.recv(65536).decode():
            self.received += [(time.monotonic(), line) for line in message.splitlines()]

    def wait_for(self, line, timeout=15):
        wait_until(lambda: line in [said for _, said in self.received], timeout, lambda: f"{line} among {self.received}")

    def status(self):
        return next((said for _, said in reversed(self.received) if said.startswith("STATUS=")), "")

    def pats(self, since=0.0):
        return [at for at, said in list(self.received) if said == "WATCHDOG=1" and at >= since]

    def patience_left(self):
        return LIMIT - (time.monotonic() - self.pats()[-1])

    def longest_gap(self, since):
        times = [since, *self.pats(since), time.monotonic()]
        return max(later - earlier for earlier, later in zip(times, times[1:], strict=False))

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.sendto(b"", str(self._folder / "s"))
        shutil.rmtree(self._folder)


@pytest.fixture
def systemd(started):
    return started.keep(Systemd())


@pytest.fixture
def setup(site, systemd):
    setup = site(env=systemd.env)
    systemd.wait_for("READY=1")
    return setup


def pats_go_on(systemd, since, times=4):
    wait_until(lambda: len(systemd.pats(since)) >= times, times * LIMIT, f"{times} pats")
    assert systemd.longest_gap(since) < LIMIT


def test_the_watchdog_is_patted_when_idle_and_under_load(setup, systemd):
    pats_go_on(systemd, time.monotonic())
    began = time.monotonic()
    setup.sensor.send_all(setup.sent.packs(20))
    setup.everything_arrives(40)
    pats_go_on(systemd, began)
    assert setup.gateway.stop() == 0
    systemd.wait_for("STOPPING=1")


@pytest.mark.parametrize("part", ["outbox", "journal"])
def test_a_stage_that_hangs_is_not_patted_for(setup, systemd, part):
    setup.send_and_wait()
    setup.disk.hang(part)
    setup.send()
    wait_until(lambda: setup.disk.waiting > 0, what="a stage that hangs")
    wait_until(lambda: systemd.patience_left() < 0, 3 * LIMIT, "systemd's patience to end")
    setup.audit()
    setup.disk.heal()
    setup.everything_arrives()
    pats_go_on(systemd, time.monotonic(), 2)


def test_a_disk_that_is_slow_and_moves_is_patted_for(setup, systemd):
    setup.send_and_wait()
    began = time.monotonic()
    setup.disk.slow(0.5)
    for _ in range(4):
        setup.send(1)
    pats_go_on(systemd, began)
    setup.everything_arrives()
    assert systemd.longest_gap(began) < LIMIT


@pytest.mark.parametrize("trouble", ["full", "fail_writes", "fail_syncs"])
def test_a_disk_that_refuses_is_patted_for_and_the_status_reports_of_it(setup, systemd, trouble):
    setup.send_and_wait()
    began = time.monotonic()
    getattr(setup.disk, trouble)()
    setup.send()
    setup.is_hit()
    pats_go_on(systemd, began)

    def is_reported():
        return re.search(REFUSALS[trouble], systemd.status())

    wait_until(is_reported, 10, lambda: f"{REFUSALS[trouble]} in {systemd.status()!r}")
    setup.disk.heal()
    setup.everything_arrives()
    wait_until(lambda: not is_reported(), 15, lambda: f"an end of {systemd.status()!r}")
    assert systemd.longest_gap(began) < LIMIT

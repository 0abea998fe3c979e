"""Clocks that are wrong and are put right: 1970 at boot, an hour forward or back in mid-window. Nothing lost, nothing twice.

The gateway runs under libfaketime: its wall clock is what the test says, its monotonic clock goes on by itself.
"""

import glob
import time

import pytest

from gateway import config
from peers import wait_until

HOUR = 3600


def libfaketime():
    """Debian's package `faketime` puts the library into a folder named after the machine."""
    found = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    assert found, "libfaketime is not there: apt-get install faketime"
    return found[0]


class Clock:
    """The gateway's wall clock: the real one with an offset that the test changes."""

    def __init__(self, folder):
        folder.mkdir()
        self.file = folder / "offset"
        self.offset = 0
        self.set(0)

    def set(self, offset):
        self.offset = offset
        # Renamed into place: the library must never read half a line.
        new = self.file.with_suffix(".new")
        new.write_text(f"{offset:+d}\n")
        new.rename(self.file)

    def environment(self):
        return {
            "LD_PRELOAD": libfaketime(),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }


@pytest.fixture
def clock(tmp_path):
    return Clock(tmp_path / "clock")


@pytest.fixture
def running(cloud, floor, heard, riser, clock):
    def run():
        text = config(cloud=cloud.port, floor=floor.port, aggregate='window = "4s"\nlateness = "500ms"')
        gateway = riser(text, env=clock.environment()).start()
        heard.wait_online()
        return gateway

    return run


def send_for(sensor, seconds, start):
    """Ten readings a second, numbered; returns the next number."""
    number = start
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sensor.send("sensors/d/telemetry", {"n": number})
        number += 1
        time.sleep(0.1)
    return number


def newest_revisions(heard):
    newest = {}
    for aggregate in heard.aggregates("d"):
        known = newest.get(aggregate["id"])
        if known is None or aggregate["revision"] > known["revision"]:
            newest[aggregate["id"]] = aggregate
    return list(newest.values())


def check_whole(heard, gateway, sent):
    """Every reading is in exactly one window, and no revision of a window comes twice with other contents."""
    wait_until(
        lambda: sum(a["metrics"]["n"]["count"] for a in newest_revisions(heard)) == sent,
        30,
        lambda: f"{sent} readings in {newest_revisions(heard)}",
    )
    seen = {}
    for aggregate in heard.aggregates("d"):
        key = (aggregate["id"], aggregate["revision"])
        assert seen.setdefault(key, aggregate) == aggregate
    ledger = gateway.wait_ledger(published=sent)
    assert ledger["in"] == sent and not ledger["dropped"], ledger


def test_1970_at_boot_loses_nothing_and_says_so(clock, sensor, heard, running):
    clock.set(-int(time.time()) + 100)
    gateway = running()
    sent = send_for(sensor, 5, 0)
    clock.set(0)
    sent = send_for(sensor, 5, sent)
    check_whole(heard, gateway, sent)
    qualities = {a["window"]["start"][:4]: a["time_quality"] for a in heard.aggregates("d")}
    assert qualities["1970"] != "synced"
    latest = max(heard.aggregates("d"), key=lambda a: a["window"]["start"])
    assert latest["time_quality"] == "synced" and latest["window"]["start"] > "2026"


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["an hour forward", "an hour back"])
def test_windows_survive_a_clock_set_in_mid_window(clock, sensor, heard, running, step):
    gateway = running()
    sent = send_for(sensor, 5, 0)
    clock.set(step)
    sent = send_for(sensor, 6, sent)
    check_whole(heard, gateway, sent)
    assert "stepped" in {a["time_quality"] for a in heard.aggregates("d")}


def test_a_device_that_knows_the_time_is_heard_while_the_gateway_does_not(clock, sensor, heard, running):
    clock.set(-int(time.time()) + 100)
    gateway = running()
    begin = int(time.time()) // 4 * 4 - 40
    for second in range(12):
        sensor.send("sensors/d/telemetry", {"n": second, "ts": begin + second})
    heard.wait_for(lambda: len(newest_revisions(heard)) >= 3, 20, "three windows of the device's own time")
    clock.set(0)
    check_whole(heard, gateway, 12)
    assert {a["window"]["start"][:4] for a in heard.aggregates("d")} == {time.strftime("%Y", time.gmtime())}

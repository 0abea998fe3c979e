"""The shared modules of firmware/micropython, each alone, in MicroPython."""

import json
import shutil

import pytest

from micropython_board import FIRMWARE, STAND_INS, WORLD, micropython


@pytest.fixture
def run(tmp_path):
    """Runs lines of MicroPython beside the shared modules; what they print last is JSON."""

    def run(lines):
        for source in (FIRMWARE / "shared").glob("*.py"):
            shutil.copy(source, tmp_path)
        (tmp_path / "world.json").write_text(json.dumps(WORLD))
        (tmp_path / "part.py").write_text(lines)
        return json.loads(micropython("part.py", cwd=tmp_path, path=[STAND_INS]).splitlines()[-1])

    return run


def test_a_buffer_keeps_the_newest_and_counts_the_rest(run):
    kept, dropped, oldest = run(
        "import json\nfrom node import Buffer\n"
        "buffer = Buffer(3)\nfor n in range(10): buffer.push(n)\n"
        "oldest = buffer.oldest(2)\nbuffer.remove(2)\n"
        "print(json.dumps([buffer.readings, buffer.dropped, oldest]))"
    )
    assert (kept, dropped, oldest) == ([9], 7, [7, 8])


def test_a_backoff_grows_to_its_bound_is_spread_and_ends_at_a_success(run):
    runs, after = run(
        "import json\nfrom node import Backoff\n"
        "runs = []\n"
        "for _ in range(50):\n"
        "    backoff, gaps = Backoff(20), []\n"
        "    for _ in range(8):\n"
        "        backoff.failed()\n"
        "        gap = 0\n"
        "        while not backoff.due(): gap += 1\n"
        "        gaps.append(gap)\n"
        "    runs.append(gaps)\n"
        "backoff.failed()\nbackoff.worked()\n"
        "print(json.dumps([runs, backoff.due()]))"
    )
    assert after is True
    longest = [1, 3, 7, 15, 20, 20, 20, 20]
    for gaps in runs:
        assert all((most + 1) // 2 <= gap <= most for gap, most in zip(gaps, longest, strict=True)), gaps
    assert len({tuple(gaps) for gaps in runs}) > 25, "all nodes would come back at the same time"


@pytest.mark.parametrize(("year", "epoch"), [(1970, 0), (2000, 946684800)])
def test_readings_from_before_the_clock_was_set_get_their_time(run, year, epoch):
    set_once, before, failed, again = run(
        "import json, sys\n"
        "class Clock:\n"
        "    now = 5\n"
        "    def time(self): return self.now\n"
        f"    def gmtime(self, seconds): return ({year},)\n"
        "clock = Clock()\n"
        "class Ntp:\n"
        "    def settime(self):\n"
        f"        clock.now += {1795168800 - epoch - 65}\n"
        "sys.modules['time'] = clock\n"
        "sys.modules['ntptime'] = Ntp()\n"
        "import wifi\n"
        "readings = [[5, 'a'], [35, 'b']]\n"
        "before = wifi.epoch(35)\n"
        "clock.now = 65\n"
        "wifi.set_clock('ntp.example', readings)\n"
        "set_once = [wifi.epoch(reading[0]) for reading in readings]\n"
        "clock.now += 60\n"
        "wifi.set_clock('ntp.example', readings)\n"
        "again = wifi.epoch(readings[1][0])\n"
        "sys.modules['ntptime'] = None\n"
        "clock.now = 5\n"
        "wifi.set_clock('ntp.example', readings)\n"
        "print(json.dumps([set_once, before, wifi.epoch(clock.now), again]))"
    )
    assert set_once == [1795168800 - 60, 1795168800 - 30]
    assert before is None and failed is None and again == 1795168800 - 30


def test_the_watchdog_is_fed_while_the_board_waits(run):
    slept, fed = run(
        "import json, machine\n"
        "class Dog:\n"
        "    fed = 0\n"
        "    def __init__(self, timeout): pass\n"
        "    def feed(self): Dog.fed += 1\n"
        "machine.WDT = Dog\n"
        "from node import Watchdog\n"
        "slept = []\n"
        "Watchdog(8).wait(60, slept.append)\n"
        "print(json.dumps([slept, Dog.fed]))"
    )
    assert sum(slept) == 60_000 and max(slept) <= 4_000 and fed >= len(slept)

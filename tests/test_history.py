"""The local history: it has the windows that the cloud got, and its errors affect nothing else."""

import contextlib
import re
import sqlite3
import struct
from datetime import datetime

import pytest

from faults.site import REFUSALS
from peers import wait_until
from readings import now_millis

HISTORY = '[history]\nkeep = "30d"\n'


def varint(blob, at):
    number, shift = 0, 0
    while True:
        number |= (blob[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if blob[at - 1] < 0x80:
            return number, at


def decoded(blob, names):
    """The column `metrics`, as crates/history/src/blob.rs describes it."""
    metrics = {}
    count, at = varint(blob, 0)
    for _ in range(count):
        metric, at = varint(blob, at)
        avg, low, high, std = struct.unpack_from("<4d", blob, at)
        number, at = varint(blob, at + 32)
        metrics[names[metric]] = {"avg": avg, "min": low, "max": high, "std": std, "count": number}
    assert at + 4 == len(blob), "a checksum follows, and nothing else"
    return metrics


def stored(gateway):
    """(device, start, end) -> (revision, metrics), of both tables."""
    path = gateway.data_dir / "history.db"
    if not path.exists():
        return {}
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
        devices = dict(file.execute("SELECT id, name FROM device"))
        metrics = dict(file.execute("SELECT id, name FROM metric"))
        columns = "device, start, length, revision, metrics"
        rows = file.execute(f"SELECT {columns} FROM windows UNION ALL SELECT {columns} FROM recent").fetchall()
    found = {(devices[d], start, start + length): (rev, decoded(blob, metrics)) for d, start, length, rev, blob in rows}
    assert len(found) == len(rows), "a window is there once"
    return found


def published(received):
    """The same of what the cloud got: the highest revision of each window."""
    windows = {}
    for a in received.aggregates():
        key = (a["device"], millis(a["window"]["start"]), millis(a["window"]["end"]))
        metrics = {name: {k: m[k] for k in ("avg", "min", "max", "std", "count")} for name, m in a["metrics"].items()}
        if key not in windows or windows[key][0] < a["revision"]:
            windows[key] = (a["revision"], metrics)
    return windows


def millis(text):
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.fixture
def setup(site):
    """A factory: a gateway with a history."""
    return lambda **options: site(tables=HISTORY, **options)


def test_after_a_stop_every_window_that_the_cloud_got_is_there_bit_for_bit(setup):
    setup = setup()
    setup.send_and_wait()
    assert setup.gateway.stop() == 0
    windows = published(setup.received)
    assert windows and stored(setup.gateway) == windows


def test_after_a_kill_what_was_not_written_yet_is_made_again_and_nothing_is_there_twice(setup):
    setup = setup()
    setup.send_and_wait()
    assert stored(setup.gateway) == {}, "windows are gathered for five minutes"
    setup.gateway.kill()
    setup.start()
    setup.send()
    setup.everything_arrives()
    setup.gateway.stop()
    assert stored(setup.gateway) == published(setup.received)


def test_a_correction_replaces_the_window(main_job, sensor, received):
    gateway = main_job(more=HISTORY)
    start = (now_millis() // 1000 - 10) * 1000
    sensor.send("sensors/lounge/telemetry", {"temperature": 20.0, "ts": start})
    sensor.send("sensors/lounge/telemetry", {"temperature": 20.0, "ts": start + 5000})
    received.wait_for(lambda: len(received.aggregates("lounge")) >= 2, 15, "two windows")
    sensor.send("sensors/lounge/telemetry", {"temperature": 30.0, "ts": start + 100})
    received.wait_for(lambda: any(a["revision"] == 1 for a in received.aggregates("lounge")), 15, "a correction")
    gateway.stop()
    revision, metrics = stored(gateway)[("lounge", start, start + 1000)]
    assert (revision, metrics["temperature"]["avg"], metrics["temperature"]["count"]) == (1, 25.0, 2)
    assert stored(gateway) == published(received)


def test_windows_older_than_keep_go(setup):
    setup = setup()
    setup.send_and_wait()
    setup.gateway.stop()
    newest = max(end for _, _, end in stored(setup.gateway))
    setup.gateway.rewrite('keep = "30d"', 'keep = "2s"')
    setup.start()
    wait_until(lambda: now_millis() > newest + 2_000 and stored(setup.gateway) == {}, 20, what="an empty history")


@pytest.mark.parametrize("table", ["", '[history]\nkeep = "0s"\n'])
def test_without_the_table_or_with_keep_0_there_is_no_file(site, table):
    setup = site(tables=table)
    setup.send_and_wait()
    setup.gateway.stop()
    assert not list(setup.gateway.data_dir.glob("history*"))


@pytest.mark.parametrize("trouble", ["full", "fail_writes", "read_only"])
def test_a_disk_that_refuses_the_history_hurts_nothing_else(setup, trouble):
    setup = setup(start=False)
    getattr(setup.disk, trouble)("history")
    setup.start()
    setup.is_hit()
    setup.reports("history", f"{REFUSALS[trouble]}|unable to open database file")
    setup.send_and_wait()
    setup.fire()
    setup.everything_arrives()
    assert len(re.findall("nothing else is affected", setup.gateway.log())) == 1, "reported once"
    setup.disk.heal()
    setup.is_well()
    setup.gateway.stop()
    assert stored(setup.gateway) == published(setup.received)


def test_a_stop_while_the_disk_refuses_the_history_ends_well(setup):
    setup = setup()
    setup.send_and_wait()
    setup.disk.full("history")
    assert setup.gateway.stop(timeout=15) == 0
    assert setup.disk.hits > 0
    setup.disk.heal()
    setup.start()
    setup.send()
    setup.everything_arrives()


def test_a_disk_that_hangs_with_the_history_holds_up_no_delivery_and_no_stop(setup):
    setup = setup()
    setup.send_and_wait()
    setup.disk.hang("history")
    setup.send()
    setup.everything_arrives()
    assert setup.gateway.stop(timeout=15) == 0
    assert setup.disk.waiting > 0
    assert "the history's disk does not answer" in setup.gateway.log()


def test_a_damaged_history_is_put_aside_and_a_new_one_begun(setup):
    setup = setup()
    setup.send_and_wait()
    setup.gateway.stop()
    file = setup.gateway.data_dir / "history.db"
    for number in (1, 2):
        file.write_bytes(b"\x5a" * file.stat().st_size)
        setup.start()
        setup.gateway.wait_log(f"history.db.damaged-{number}")
        setup.send()
        setup.everything_arrives()
        setup.gateway.stop()
        kept = [path.name for path in setup.gateway.data_dir.glob("history.db.damaged-?")]
        assert kept == [f"history.db.damaged-{number}"], "the newest only"
        assert 0 < len(stored(setup.gateway)) < len(published(setup.received))
        assert stored(setup.gateway).items() <= published(setup.received).items()

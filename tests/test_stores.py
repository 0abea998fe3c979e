"""Stores of every format version there ever was: the present gateway brings each to its own and loses nothing of it.

How they are made, and what is in them: stores/make.py."""

import json
import pathlib
import shutil

import pytest

from gateway import ID, config
from peers import wait_until
from readings import assert_gap_free, now_millis
from stores.make import CONFIG, DEVICES

STORES = sorted(path for path in (pathlib.Path(__file__).parent / "stores").iterdir() if (path / "data").is_dir())


@pytest.fixture(params=STORES, ids=lambda path: path.name)
def store(request):
    return request.param


def ledger_of(store):
    return json.loads((store / "ledger.json").read_text())


def test_a_store_is_brought_to_the_present_format_and_everything_in_it_arrives(store, cloud, floor, received, sensor, riser):
    gateway = riser(config(cloud=cloud.port, floor=floor.port, **CONFIG))
    shutil.copytree(store / "data", gateway.data_dir)
    before = ledger_of(store)
    assert {key: gateway.audit()[key] for key in before} == before, "read as it stands, before it is changed"

    gateway.start()
    received.wait_online()
    rest = before["queued"] + before["open"]
    # The windows that were open ended long ago.
    gateway.wait_ledger(published=before["published"] + rest, queued=0, open=0, timeout=40)
    received.wait_for(lambda: readings(received) == rest, 20, f"{rest} readings")
    assert_gap_free(received.numbered())
    assert {a["device"] for a in received.aggregates()} == set(DEVICES)
    assert {a["zone"] for a in received.aggregates("lounge")} == {"floor-1"}
    assert [a["device"] for a in received.alerts()] == ["attic"]
    assert min(b["seq"] for b in received.numbered()) > 6, "numbers go on where the old store was"

    sensor.send("sensors/lounge/telemetry", {"temperature": 21.0, "ts": now_millis()})
    gateway.wait_ledger(taken=before["in"] + 1, open=1)
    gateway.stop()
    gateway.start()
    gateway.wait_ledger(taken=before["in"] + 1, open=1)


def readings(received):
    highest = {}
    for aggregate in received.aggregates():
        key = aggregate["id"]
        if key not in highest or aggregate["revision"] >= highest[key]["revision"]:
            highest[key] = aggregate
    return sum(metric["count"] for a in highest.values() for metric in a["metrics"].values())


@pytest.mark.parametrize("file", ["state.checkpoint", "outbox/snapshot.0", "journal"])
def test_a_store_of_a_later_version_is_refused_and_left_alone(file, cloud, floor, sensor, received, riser):
    gateway = riser(config(cloud=cloud.port, floor=floor.port)).start()
    received.wait_online()
    sensor.send("sensors/lounge/telemetry", {"temperature": 21.0})
    gateway.wait_ledger(published=1)
    gateway.stop()
    path = make_newer(gateway.data_dir, file)
    as_it_was = path.read_bytes()
    done = gateway.cli("run", "--config", gateway.config, check=73)
    assert path.name in done.stderr and "version" in done.stderr or "format" in done.stderr, done.stderr
    assert path.read_bytes() == as_it_was


def make_newer(data_dir, file):
    """Raises the version in a file's header, with its checksum where it has one; returns the file."""
    import zlib

    path = data_dir / file if file != "journal" else sorted((data_dir / file).glob("*.journal"))[-1]
    data = bytearray(path.read_bytes())
    if file == "journal":
        # magic 8 | version u32, of which the lower half is the segment's format | first position u64 | crc32
        data[8:10] = (99).to_bytes(2, "little")
        data[20:24] = zlib.crc32(data[:20]).to_bytes(4, "little")
    elif file.startswith("outbox"):
        # magic 8 | version u32 | crc32 of version and body | body
        data[8:12] = (99).to_bytes(4, "little")
        data[12:16] = zlib.crc32(data[8:12] + data[16:]).to_bytes(4, "little")
    else:
        # magic 8 | version u32 | position u64 | crc32 of version, position and body
        data[8:12] = (99).to_bytes(4, "little")
        data[20:24] = zlib.crc32(data[8:20] + data[24:]).to_bytes(4, "little")
    path.write_bytes(data)
    return path

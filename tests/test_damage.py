"""A store that was damaged between two runs: the gateway always starts, says what it lost, and loses only what was hit.

One store is made for all tests: 40 readings in the outbox and 8 in an open window are in the checkpoint's books, as
many again came after it and are in the journal. Each test damages a copy.
"""

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from gateway import ID, Riser, config
from peers import Mosquitto, Publisher, free_port, stands_still, wait_until
from readings import Sent, assert_summary, counted, now_millis

LEDGER = ("in", "published", "queued", "open", "dropped")
HALF = 40
OPEN = 8


class Store:
    """The data directory, the gateway.toml it was made with, and what is in it."""

    def __init__(self, folder):
        self.sent = Sent(ID)
        floor = Mosquitto(folder / "floor")
        floor.start()
        # No cloud: what comes of the readings stays in the outbox.
        gateway = Riser(folder / "riser", config(cloud=free_port(), floor=floor.port))
        gateway.start()
        gateway.wait_log("connected and subscribed")
        sensor = Publisher(floor.port)
        self._fill(gateway, sensor, "cellar", 1)
        assert gateway.stop() == 0
        gateway.start()
        self._fill(gateway, sensor, "attic", 2)
        stands_still(lambda: [file.stat().st_size for file in gateway.data_dir.rglob("*")])
        gateway.kill()
        (gateway.data_dir / "riser.sock").unlink()
        self.data = gateway.data_dir
        sensor.close()
        floor.close()

    def _fill(self, gateway, sensor, device, times):
        sensor.send_all(self.sent.more(HALF // 8))
        ahead = now_millis() + 1_800_000
        sensor.send_all([(f"sensors/{device}/telemetry", {"temperature": 20.0, "ts": ahead + i}) for i in range(OPEN)])
        gateway.wait_ledger(queued=HALF * times, open=OPEN * times)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


def flip(file):
    """One bit in the middle."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x10
    file.write_bytes(data)


def falsify(file):
    """Other names in what is to be sent: the file still looks like one of ours."""
    data = file.read_bytes()
    assert b"temperature" in data
    file.write_bytes(data.replace(b"temperature", b"temperatura"))


def cut(file):
    os.truncate(file, file.stat().st_size // 2)


def empty(file):
    os.truncate(file, 0)


def garbage(file):
    file.write_bytes(os.urandom(file.stat().st_size))


def remove(file):
    file.unlink()


def tear(file):
    """The end of the last write is missing."""
    os.truncate(file, file.stat().st_size - 5)


def zero_tail(file):
    """As a power cut leaves it: the length is there, the bytes are not."""
    size = file.stat().st_size
    os.truncate(file, size - 20)
    os.truncate(file, size)


def add_zeros(file):
    os.truncate(file, file.stat().st_size + 5000)


@dataclass
class Damage:
    files: str
    how: Callable
    # What is left at least: readings that are delivered, and in open windows.
    delivered: int = 2 * HALF
    open: int = 2 * OPEN
    # Whether what was lost can be counted. Where the outbox's books are lost too, what it had is handed over again, so
    # that some arrives twice under the same id, and that it is unknown what never arrives.
    counted: bool = True

    def __str__(self):
        return f"{self.files}-{self.how.__name__}"


DAMAGES = [
    # What came after the checkpoint is made again from the journal.
    *(Damage("outbox/**/*", how, delivered=HALF, counted=False) for how in (garbage, cut, empty, remove)),
    *(Damage("outbox/*/*.journal", how, delivered=HALF) for how in (garbage, cut, empty, remove)),
    # Messages that were stored together share a checksum.
    *(Damage("outbox/*/*.journal", how, delivered=HALF) for how in (flip, tear, zero_tail)),
    # Every message is hit, and the log still says that the outbox had them all.
    Damage("outbox/aggregates/*.journal", falsify, delivered=0),
    *(Damage("outbox/snapshot.?", how, delivered=2 * HALF, counted=False) for how in (garbage, remove)),
    *(Damage("outbox/snapshot.0", how) for how in (flip, garbage, cut, empty, remove)),
    *(Damage("outbox/snapshot.1", how) for how in (flip, garbage, cut, empty, remove)),
    *(Damage("state.checkpoint", how, open=0) for how in (flip, cut, empty, remove)),
    *(Damage("journal/*", how, open=OPEN) for how in (flip, cut, garbage, empty, remove, tear, zero_tail)),
    Damage("journal/*", add_zeros),
    Damage("**/*", garbage, delivered=0, open=0, counted=False),
]


@pytest.mark.parametrize("damage", DAMAGES, ids=str)
def test_a_damaged_store_costs_what_was_hit_and_no_start(store, damage, cloud, floor, sensor, received, riser):
    gateway = riser(config(cloud=cloud.port, floor=floor.port))
    shutil.copytree(store.data, gateway.data_dir)
    hit = [file for file in gateway.data_dir.glob(damage.files) if file.is_file()]
    assert hit
    for file in hit:
        damage.how(file)
    gateway.start()
    wait_until(lambda: received.statuses() or gateway.process.poll() is not None, what="online")
    assert gateway.process.poll() is None, gateway.log()
    before = gateway.audit()

    fresh = Sent(ID, devices=("fresh",))
    sensor.send_all(fresh.more(3))
    received.wait_for(lambda: received.count("fresh", "temperature") == fresh.total, 15, "new readings")
    ledger = gateway.wait_ledger(queued=0)
    assert ledger["in"] == before["in"] + fresh.total
    assert ledger["open"] >= damage.open, ledger
    delivered = counted(received) - fresh.total
    assert damage.delivered <= delivered <= 2 * HALF
    if delivered < 2 * HALF and damage.counted:
        assert ledger["dropped"].get("damaged", 0) > 0, ledger
    if delivered < 2 * HALF or ledger["open"] < 2 * OPEN or ledger["dropped"].get("damaged"):
        assert re.search("damaged|lost|torn|missing|not there", gateway.log()), gateway.log()
    for body in received.latest():
        assert_summary(body["metrics"]["temperature"], (store.sent.windows | fresh.windows)[body["id"]])
    assert gateway.stop() == 0
    stopped = gateway.audit()
    assert {name: stopped[name] for name in LEDGER} == {name: ledger[name] for name in LEDGER}

"""Makes a store of the present format version for test_stores.py to keep: `python stores/make.py v1 path/to/riser`.

Do it again whenever version 1 changes before 0.1.0 is released. From then on do it with the last binary that writes a
version, before its successor lands. The store is one of a gateway that was
killed: a checkpoint, a journal with steps after it, an outbox with messages that the cloud has not had, open windows.
These windows end with the hour in which the store was made: from then on its test can pass.
"""

import json
import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import gateway
from peers import Collector, Mosquitto, Publisher, wait_until
from readings import now_millis

HERE = pathlib.Path(__file__).parent
HOUR = 3_600_000
DEVICES = ("lounge", "attic", "cellar")
CONFIG = {
    "aggregate": 'window = "1h"\nlateness = "1s"',
    "anomaly": "enabled = true",
    "more": '[alerts.hot]\nmetric = "temperature"\nabove = 40.0\n\n[devices.lounge]\nzone = "floor-1"',
}


def batch(begin, hours):
    """A reading per device and ten minutes."""
    return [
        (f"sensors/{d}/telemetry", {"temperature": 20.0 + i + n, "humidity": 40 + n, "ts": begin + n * HOUR // 6})
        for n in range(hours * 6)
        for i, d in enumerate(DEVICES)
    ]


def send(sensor, messages):
    """A round of all devices at a time: a device of which all messages come within a millisecond is not known to be silent."""
    for n in range(0, len(messages), len(DEVICES)):
        sensor.send_all(messages[n : n + len(DEVICES)])


def make(version, binary):
    gateway.BINARY = pathlib.Path(binary).resolve()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        cloud, floor = Mosquitto(folder / "cloud", persistent=True), Mosquitto(folder / "floor")
        cloud.start()
        floor.start()
        received = Collector(cloud.port, "#", session="maker")
        riser = gateway.Riser(folder / "riser", gateway.config(cloud=cloud.port, floor=floor.port, **CONFIG)).start()
        received.wait_online()
        sensor = Publisher(floor.port)
        hour = now_millis() // HOUR * HOUR
        send(sensor, batch(hour - 9 * HOUR, 2))
        riser.wait_ledger(published=72, timeout=120)
        cloud.stop()
        send(sensor, batch(hour - 6 * HOUR, 2))
        riser.wait_ledger(queued=72, timeout=120)
        riser.stop()
        riser.start()
        floor.wait_log("Sending SUBACK to riser", times=2)
        send(sensor, batch(hour - 3 * HOUR, 2))
        sensor.send("sensors/attic/telemetry", {"temperature": 50.0, "ts": now_millis()})
        sensor.send("sensors/attic/telemetry", b"no json")
        sensor.send("sensors/cellar/telemetry", {"temperature": 9.5, "ts": now_millis()})
        ledger = riser.wait_ledger(queued=144, open=2, timeout=120)
        # The bytes written to disk are reported only for a running gateway.
        ledger.pop("disk", None)
        riser.kill()
        keep(HERE / version, riser, ledger)
        for thing in (sensor, received, floor, cloud):
            thing.close()


def keep(folder, riser, ledger):
    shutil.rmtree(folder, ignore_errors=True)
    ignore = shutil.ignore_patterns("riser.sock", "broker")
    shutil.copytree(riser.data_dir, folder / "data", ignore=ignore)
    (folder / "ledger.json").write_text(json.dumps(ledger, indent=1) + "\n")
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            print(path.relative_to(HERE), path.stat().st_size)


if __name__ == "__main__":
    make(*sys.argv[1:])

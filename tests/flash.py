"""What each setting costs the flash: `target/venv/bin/python tests/flash.py target/release/riser [SECONDS]`.

20 devices with three metrics each send 50 messages a second, at QoS 1, into windows of 5 s, which is far harder on a
disk than windows of 5 min; `riser audit` shows the bytes that the kernel was given to write. The table in docs/storage.md is from
here.
"""

import pathlib
import random
import sys
import tempfile
import time

import gateway
from peers import Collector, Mosquitto, Publisher

RATE = 50
SETTINGS = (
    ("1s", "0s"),
    ("1s", "10s"),
    ("30s", "0s"),
    ("30s", "1m"),
    ("0s", "0s"),
)


def message(number):
    values = {name: base + random.random() for name, base in (("temperature", 20), ("humidity", 40), ("co2", 400))}
    return f"sensors/d{number % 20}/telemetry", values


def measure(folder, sync_every, spill_after, seconds):
    cloud, floor = Mosquitto(folder / "cloud"), Mosquitto(folder / "floor")
    cloud.start()
    floor.start()
    received = Collector(cloud.port, "#", session="flash")
    text = gateway.config(
        cloud=cloud.port,
        floor=floor.port,
        journal=f'sync_every = "{sync_every}"',
        outbox=f'spill_after = "{spill_after}"',
        aggregate='window = "5s"\nlateness = "300ms"',
    )
    riser = gateway.Riser(folder / "riser", text).start()
    received.wait_online()
    sensor = Publisher(floor.port)
    for _ in range(seconds):
        began = time.monotonic()
        sensor.send_all([message(number) for number in range(RATE)])
        time.sleep(max(0.0, began + 1 - time.monotonic()))
    disk = riser.audit()["disk"]
    for thing in (sensor, received, riser, floor, cloud):
        thing.close()
    return disk


def main(binary, seconds=45):
    gateway.BINARY = pathlib.Path(binary).resolve()
    print("sync_every  spill_after  bytes a reading  of which journal  MB a day")
    for sync_every, spill_after in SETTINGS:
        with tempfile.TemporaryDirectory() as folder:
            disk = measure(pathlib.Path(folder), sync_every, spill_after, int(seconds))
        journal = disk["per_reading"] * disk["journal"] / disk["bytes"]
        row = f"{sync_every:>10}  {spill_after:>11}  {disk['per_reading']:15.0f}  {journal:16.0f}"
        print(f"{row}  {disk['per_day'] / 1e6:8.0f}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

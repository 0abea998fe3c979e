"""A building at a steady rate, and what the gateway takes of the machine meanwhile.

Devices come and go, senders reconnect, some payloads are broken, some values raise alerts, and all of it repeats every
CYCLE seconds: from then on no new state is needed, so any growth is a leak.
"""

import itertools
import json
import os
import pathlib
import statistics
import random
import threading
import time
from dataclasses import dataclass

from gateway import Riser, config
from peers import Collector, Mosquitto, Publisher, wait_until

# Seconds after which every device has been seen, and every kind of trouble.
CYCLE = 60
STEADY = [f"steady-{i:03}" for i in range(100)]
VISITORS = [[f"visitor-{group}-{i}" for i in range(20)] for group in range(6)]
METRICS = ("temperature", "humidity", "co2", "power")
SENDERS = 4

# In place of every message: in an hour that would be a log of hundreds of MiB.
BROKER_LOG = ("log_type none", "log_type error", "log_type notice", "log_type information", "log_type subscribe")

# However long the run: on a busy machine, queues and buffers still find their largest size after the first quarter, and
# a checkpoint's bytes stay with the allocator. A leak of 23 bytes a reading shows in three minutes, of 1 in an hour.
MAX_GROWTH_MIB = 3
# A question on the live socket and a thread for a slow disk come and go.
MAX_SPREAD = 3
# The journal is cut at 8 MiB, late under load; the outbox's write-ahead log takes 4.
MAX_DISK_MIB = 32

# `correct_for` is short because closed windows are kept for that long: at its usual hour, memory would still grow.
CONFIG = dict(
    topics=[("sensors/{device}/telemetry", "json")],
    aggregate='window = "2s"\nlateness = "500ms"\ncorrect_for = "20s"\npercentiles = [50, 95]\nby_zone = true',
    anomaly="enabled = true",
    journal='sync_every = "1s"',
    more="\n".join(
        [f'[devices.{name}]\naddress = "{name}"\nzone = "floor-{i % 5}"' for i, name in enumerate(STEADY)]
        + ['[alerts.hot]\nmetric = "temperature"\nabove = 40.0', '[alerts.gone]\nsilent_for = "5s"']
    ),
)


def status_of(pid):
    """What the kernel says of a process, by name."""
    return dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())


def own_mib(status):
    """What is resident and its own: no pages of the binary."""
    return int(status["RssAnon"].split()[0]) / 1024


@dataclass
class Sample:
    """The gateway at one moment; its memory is its own."""

    seconds: float
    memory_mib: float
    files: int
    threads: int
    disk_mib: float
    sent: int


class Load:
    """Sends readings at a rate from SENDERS connections, and knows how many."""

    def __init__(self, port, rate):
        self.readings = 0
        self.broken = 0
        self._port = port
        self._messages = rate // len(METRICS)
        self._chance = random.Random(5)
        self._senders = [self._sender(index) for index in range(SENDERS)]
        self._last = [None] * SENDERS
        self._error = None
        self._stop = threading.Event()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            for number in itertools.count():
                # Late ones are sent at once: the rate holds over time.
                if self._stop.wait(max(0.0, self._began + number / self._messages - time.monotonic())):
                    return
                second, nth = divmod(number, self._messages)
                if nth == 0:
                    self._each(second)
                self._message(second, nth)
        except Exception as error:  # Reported at the next check.
            self._error = error

    def _each(self, second):
        """A broken payload each second, a reconnect each ten."""
        self._publish(second, STEADY[0], "not JSON")
        self.broken += 1
        if second % 10 == 9:
            index = second // 10 % SENDERS
            self._leave(index)
            self._senders[index] = self._sender(index)

    def _message(self, second, nth):
        """Each fifth is a visitor's; one a second and cycle is hot enough for an alert."""
        group = VISITORS[second % CYCLE * len(VISITORS) // CYCLE]
        device = group[nth % len(group)] if nth % 5 == 4 else STEADY[nth % len(STEADY)]
        heat = 25 if nth == second % CYCLE else 0
        values = (self._chance.gauss(21, 1) + heat, self._chance.uniform(30, 60), 400 + nth, second % 100)
        payload = json.dumps({name: round(value, 2) for name, value in zip(METRICS, values, strict=True)})
        self._publish(nth, device, payload)
        self.readings += len(METRICS)

    def _sender(self, index):
        return Publisher(self._port, client_id=f"sender-{index}")

    def _publish(self, number, device, payload):
        """From half of the senders with QoS 0, from the others with QoS 1."""
        index = number % SENDERS
        client = self._senders[index].client
        self._last[index] = client.publish(f"sensors/{device}/telemetry", payload, qos=index % 2)

    def _leave(self, index):
        """Waits until the last message is acknowledged; what stands before a DISCONNECT arrives before it."""
        if last := self._last[index]:
            last.wait_for_publish(30)
            assert last.is_published(), f"sender {index} waited 30 s for its last PUBACK"
        self._senders[index].close()

    def check(self):
        """Raises what ended the load."""
        if self._error:
            raise self._error

    def stop(self):
        self._stop.set()
        self._thread.join(60)
        self.check()
        for index in range(SENDERS):
            self._leave(index)


class Counter(Collector):
    """The cloud's application: counts the readings it received, without keeping the messages."""

    def __init__(self, port):
        self.windows = {}
        self.alerts = 0
        super().__init__(port, "building/#")

    def _on_message(self, client, userdata, message):
        body = json.loads(message.payload)
        self.alerts += "/alerts/" in message.topic
        if message.topic.startswith("building/sensors/"):
            count = sum(metric["count"] for metric in body["metrics"].values())
            self.windows[body["id"]] = max(self.windows.get(body["id"], (-1, 0)), (body["revision"], count))

    def readings(self):
        return sum(count for _, count in list(self.windows.values()))


class Soak:
    """Brokers, gateway and load in `folder`."""

    def __init__(self, folder, rate):
        self._open = []
        self.floor = self._keep(Mosquitto(folder / "floor", lines=BROKER_LOG))
        self.cloud = self._keep(Mosquitto(folder / "cloud", lines=BROKER_LOG))
        self.floor.start()
        self.cloud.start()
        self.counter = self._keep(Counter(self.cloud.port))
        text = config(cloud=self.cloud.port, floor=self.floor.port, **CONFIG)
        self.gateway = self._keep(Riser(folder / "riser", text))
        self.gateway.start()
        self.floor.wait_log("sensors/+/telemetry", timeout=30)
        self.began = time.monotonic()
        self.load = Load(self.floor.port, rate)

    def _keep(self, thing):
        self._open.append(thing)
        return thing

    def sample(self):
        self.load.check()
        pid = self.gateway.process.pid
        status = status_of(pid)
        return Sample(
            seconds=time.monotonic() - self.began,
            memory_mib=own_mib(status),
            files=len(os.listdir(f"/proc/{pid}/fd")),
            threads=int(status["Threads"]),
            disk_mib=bytes_in(self.gateway.data_dir) / 2**20,
            sent=self.load.readings,
        )

    def finish(self):
        """Ends the load, waits until everything has arrived, and returns the ledger; every reading must be in it."""
        self.load.stop()
        sent, broken = self.load.readings, self.load.broken
        ledger = self.gateway.wait_ledger(timeout=60, taken=sent + broken, open=0, queued=0)
        wait_until(lambda: self.counter.readings() >= sent, 30, "every reading in the cloud")
        assert self.counter.readings() == ledger["published"] == sent
        assert {reason: n for reason, n in ledger["dropped"].items() if n} == {"bad_payload": broken}
        assert self.counter.alerts > 0
        return ledger

    def close(self):
        for thing in reversed(self._open):
            thing.close()


def bytes_in(folder):
    """Of all files; one that goes away meanwhile counts nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def growth(samples):
    """MiB of memory from the first to the last, by the median slope between samples (Theil-Sen): no peak counts."""
    points = samples[:: 1 + len(samples) // 200]
    pairs = ((a, b) for i, a in enumerate(points) for b in points[i + 1 :])
    slope = statistics.median((b.memory_mib - a.memory_mib) / (b.seconds - a.seconds) for a, b in pairs)
    return slope * (samples[-1].seconds - samples[0].seconds)


def settled(samples):
    """Without the first quarter, in which buffers, caches and threads reach their sizes."""
    return samples[len(samples) // 4 :]


def problems(samples):
    """What is not flat once it has settled."""
    late = settled(samples)
    found = []
    if growth(late) > MAX_GROWTH_MIB:
        found.append(f"memory grows by {growth(late):.1f} MiB after the first quarter; {MAX_GROWTH_MIB} are noise")
    for what in ("files", "threads"):
        numbers = [getattr(sample, what) for sample in late]
        if max(numbers) - min(numbers) > MAX_SPREAD:
            found.append(f"{what} go from {min(numbers)} to {max(numbers)}; {MAX_SPREAD} apart is usual")
    if (disk := max(sample.disk_mib for sample in samples)) > MAX_DISK_MIB:
        found.append(f"data_dir held {disk:.1f} MiB; the journal should be cut long before {MAX_DISK_MIB}")
    return found

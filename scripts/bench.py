"""What Riser costs: the main job end to end beside a C client that only reads, and the hot functions one by one.

  scripts/bench                        1,000 devices x 3 metrics at 5,000 messages/s, QoS 0, three times
  scripts/bench --qos1                 the same at QoS 1 from `riser simulate`, as well
  scripts/bench --rate 1000 --runs 5   another load, more runs
  scripts/bench micro                  criterion benches, and instruction counts by valgrind

End to end: a mosquitto of its own is the floor's broker and the cloud. In turn, `mosquitto_sub` (it reads and does
nothing: the yardstick) and `riser run` with its defaults (anomaly model, journal and outbox on; windows of 10 s that
close after 1 s) take the same messages. Every reading that was sent must come back in an aggregate; one lost and the
exit code is 1. Other work on the machine shows in seconds more than in the ratio to the yardstick of the same run.

Installs the Debian packages that it needs first. Builds target/release/riser unless RISER_BIN names a binary.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import random
import re
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
import bench_micro  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
METRICS = 3
WINDOW = 10
LATENESS = 1
SUBSCRIBED = "sensors/"


class Failed(Exception):
    """Something to tell the person who started this."""


@dataclasses.dataclass
class Cost:
    """What one process took for one load."""

    cpu_s: float
    peak_mb: float
    messages: int
    readings: int
    counted: int
    written: int = 0

    @property
    def per_million_messages(self):
        return self.cpu_s / self.messages * 1e6


# --- the machine ------------------------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(seen, timeout, what):
    deadline = time.monotonic() + timeout
    while not seen():
        if time.monotonic() > deadline:
            raise Failed(f"waited {timeout} s in vain for {what}")
        time.sleep(0.05)


@contextlib.contextmanager
def running(arguments, **options):
    """A process that ends with the block, and is only ended if it has not by itself."""
    process = subprocess.Popen([str(a) for a in arguments], stdin=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def cpu_seconds(pid):
    """Of all threads, ended ones included, to the nanosecond: the clock that clock_getcpuclockid(3) names."""
    return time.clock_gettime((~pid << 3) | 2)


def peak_mb(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def written_bytes(pid):
    """Sent to the disk, whole pages, as the kernel accounts it; what lies on a tmpfs does not count."""
    return int(re.search(r"^write_bytes: (\d+)", pathlib.Path(f"/proc/{pid}/io").read_text(), re.M)[1])


class Broker:
    """A mosquitto without limits that tells who has subscribed."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.log = folder / "mosquitto.log"

    @contextlib.contextmanager
    def started(self):
        conf = self.folder / "mosquitto.conf"
        conf.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\n"
            f"log_dest file {self.log}\nlog_type subscribe\nlog_type error\nuser root\n"
        )
        with running(["mosquitto", "-c", conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            wait_until(self.is_up, 10, "mosquitto to listen")
            yield self

    def is_up(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def subscriptions(self, topic):
        return self.log.read_text().count(topic) if self.log.exists() else 0

    @contextlib.contextmanager
    def subscribing(self, topic):
        """Waits at its end until somebody has subscribed to something that begins with `topic`."""
        before = self.subscriptions(topic)
        yield
        wait_until(lambda: self.subscriptions(topic) > before, 20, f"a subscription to {topic}")


# --- the load ---------------------------------------------------------------------------------------------------------


def mqtt_packet(first_byte, body):
    length, rest = bytearray(), len(body)
    while True:
        rest, digit = divmod(rest, 128)
        length.append(digit | (0x80 if rest else 0))
        if not rest:
            return bytes([first_byte]) + bytes(length) + body


def mqtt_string(text):
    return struct.pack(">H", len(text)) + text.encode()


class Qos0Load:
    """Raw MQTT 3.1.1 from one connection: what it costs is not Riser's."""

    qos = 0

    def __init__(self, options):
        self.rate = options.rate
        rnd = random.Random(1)
        self.packets = [self.publish(rnd, number % options.devices) for number in range(options.messages)]

    @staticmethod
    def publish(rnd, device):
        values = {
            "temperature": round(rnd.gauss(21, 2), 2),
            "humidity": round(rnd.uniform(30, 60), 1),
            "co2": rnd.randrange(400, 1400),
        }
        payload = json.dumps(values, separators=(",", ":")).encode()
        return mqtt_packet(0x30, mqtt_string(f"sensors/dev{device:04}/telemetry") + payload)

    def send(self, port):
        """Returns how many messages and readings were sent."""
        connect = mqtt_string("MQTT") + bytes([4, 2]) + struct.pack(">H", 600) + mqtt_string("bench-load")
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.sendall(mqtt_packet(0x10, connect))
            if s.recv(4)[3:] != b"\0":
                raise Failed("mosquitto refused the sender")
            began, burst = time.perf_counter(), max(1, self.rate // 200)
            for sent in range(0, len(self.packets), burst):
                time.sleep(max(0.0, began + sent / self.rate - time.perf_counter()))
                s.sendall(b"".join(self.packets[sent : sent + burst]))
            s.sendall(mqtt_packet(0xE0, b""))
        return len(self.packets), len(self.packets) * METRICS


class Qos1Load:
    """`riser simulate`, which waits for PUBACKs."""

    qos = 1

    def __init__(self, options):
        self.arguments = ["--devices", options.devices, "--rate", options.rate]
        self.arguments += ["--for", f"{round(1000 * options.messages / options.rate)}ms"]

    def send(self, port):
        command = [binary(), "simulate", "--target", f"127.0.0.1:{port}", *self.arguments]
        done = subprocess.run([str(a) for a in command], capture_output=True, text=True)
        said = re.search(r"sent (\d+) messages with (\d+) readings; (\d+) sent again", done.stdout)
        if done.returncode or not said:
            raise Failed(f"riser simulate: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return int(said[1]), int(said[2])


# --- who is measured --------------------------------------------------------------------------------------------------


def measure_reader(broker, load):
    """`mosquitto_sub` writing to nowhere."""
    command = ["mosquitto_sub", "-p", broker.port, "-t", "sensors/#", "-q", load.qos]
    with contextlib.ExitStack() as stack:
        with broker.subscribing(SUBSCRIBED):
            reader = stack.enter_context(running(command, stdout=subprocess.DEVNULL))
        began = cpu_seconds(reader.pid)
        messages, readings = load.send(broker.port)
        settled(lambda: cpu_seconds(reader.pid))
        return Cost(cpu_seconds(reader.pid) - began, peak_mb(reader.pid), messages, readings, readings)


def settled(value, pause=0.5):
    """Waits until `value()` hardly grows any more."""
    last = value()
    while time.sleep(pause) or (now := value()) - last > 0.001:
        last = now


def measure_riser(broker, load):
    """`riser run`; what it counted comes back from the cloud."""
    config = broker.folder / "gateway.toml"
    config.write_text(GATEWAY.format(folder=broker.folder, port=broker.port))
    with contextlib.ExitStack() as stack:
        cloud = stack.enter_context(Cloud(broker).listening())
        with broker.subscribing(SUBSCRIBED):
            command = [binary(), "run", "--config", config]
            log = stack.enter_context(open(broker.folder / "riser.log", "w"))
            riser = stack.enter_context(running(command, stderr=log))
        settled(lambda: cpu_seconds(riser.pid))
        began, written = cpu_seconds(riser.pid), written_bytes(riser.pid)
        messages, readings = load.send(broker.port)
        with contextlib.suppress(Failed):  # what is missing is told as lost
            wait_until(lambda: cloud.counted() >= readings, 2 * WINDOW + LATENESS + 10, "the last window")
        settled(lambda: cpu_seconds(riser.pid))
        cost = Cost(cpu_seconds(riser.pid) - began, peak_mb(riser.pid), messages, readings, cloud.counted())
        cost.written = written_bytes(riser.pid) - written
        check_ledger(config, readings)
        return cost


GATEWAY = f"""
[gateway]
id = "bench"
data_dir = "{{folder}}/data"
[upstream]
url = "mqtt://127.0.0.1:{{port}}"
[adapters.mqtt.floor]
url = "mqtt://127.0.0.1:{{port}}"
topics = [ {{{{ filter = "sensors/{{{{device}}}}/telemetry", format = "json" }}}} ]
[aggregate]
window = "{WINDOW}s"
lateness = "{LATENESS}s"
"""


class Cloud:
    """Counts the readings in the aggregates that arrive; a corrected window replaces the one before."""

    TOPIC = "building/sensors/+/aggregated"

    def __init__(self, broker):
        self.broker = broker
        self.windows = {}

    @contextlib.contextmanager
    def listening(self):
        command = ["mosquitto_sub", "-p", self.broker.port, "-t", self.TOPIC, "-q", "1"]
        with contextlib.ExitStack() as stack:
            with self.broker.subscribing(self.TOPIC):
                subscriber = stack.enter_context(running(command, stdout=subprocess.PIPE))
            threading.Thread(target=self.collect, args=(subscriber.stdout,), daemon=True).start()
            yield self

    def collect(self, lines):
        for line in lines:
            row = json.loads(line)
            count = sum(metric["count"] for metric in row["metrics"].values())
            known = self.windows.get(row["id"], (-1, 0))
            self.windows[row["id"]] = max(known, (row["revision"], count))

    def counted(self):
        return sum(count for _, count in list(self.windows.values()))


def check_ledger(config, readings):
    """Riser's own books must say the same."""
    done = subprocess.run([binary(), "audit", "--json", "--config", config], capture_output=True, text=True)
    if done.returncode or json.loads(done.stdout)["in"] != readings:
        raise Failed(f"riser audit, {readings} readings sent: exit {done.returncode}\n{done.stdout}{done.stderr}")


# --- end to end -------------------------------------------------------------------------------------------------------


def binary():
    return pathlib.Path(os.environ.get("RISER_BIN", TARGET / "release/riser")).resolve()


def prepare(what):
    """Installs what is missing; where that cannot be, it has said why."""
    if subprocess.run([ROOT / "scripts/lib/prepare", what]).returncode:
        raise Failed("something is missing")
    # Where Debian keeps mosquitto.
    os.environ["PATH"] += ":/usr/sbin"


def end_to_end(options):
    if "RISER_BIN" not in os.environ:
        subprocess.run(["cargo", "build", "--locked", "--release", "-p", "riser"], cwd=ROOT, check=True)
    if not binary().is_file():
        raise Failed(f"no binary at {binary()}")
    loads = [Qos0Load(options)] + ([Qos1Load(options)] if options.qos1 else [])
    print(f"{options.messages:,} messages of {METRICS} readings from {options.devices:,} devices at {options.rate:,}/s")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {binary()}\n")
    TARGET.mkdir(exist_ok=True)
    costs = {load.qos: {"mosquitto_sub": [], "riser": []} for load in loads}
    for run in range(1, options.runs + 1):
        for load in loads:
            for name, measure in (("mosquitto_sub", measure_reader), ("riser", measure_riser)):
                # A mosquitto of its own each: it would keep Riser's session and the load for it.
                with tempfile.TemporaryDirectory(prefix="bench-", dir=TARGET) as folder:
                    with Broker(pathlib.Path(folder)).started() as broker:
                        cost = measure(broker, load)
                costs[load.qos][name].append(cost)
                seconds = f"{cost.per_million_messages:6.2f} s per million messages"
                print(f"run {run}, QoS {load.qos}: {name:14} {seconds}", flush=True)
    lost = [report(qos, **measured) for qos, measured in costs.items()]
    return 1 if any(lost) else 0


def report(qos, mosquitto_sub, riser):
    """Prints the medians; returns how many readings were lost."""
    median = lambda costs, what: statistics.median(what(cost) for cost in costs)
    print(f"\nQoS {qos}, median of {len(riser)} (least to most)            mosquitto_sub        riser")
    for title, what in (
        ("CPU s per million messages", lambda cost: cost.per_million_messages),
        ("CPU s per million readings", lambda cost: cost.cpu_s / cost.readings * 1e6),
        ("peak resident MB", lambda cost: cost.peak_mb),
    ):
        row = [median(costs, what) for costs in (mosquitto_sub, riser)]
        spread = f"({min(map(what, riser)):.2f} to {max(map(what, riser)):.2f})"
        print(f"  {title:36} {row[0]:20.2f} {row[1]:12.2f}  {spread}")
    per_reading = [cost.written / cost.readings for cost in riser]
    print(f"  {'bytes to disk per reading':36} {'-':>20} {statistics.median(per_reading):12.1f}")
    ratios = [r.cpu_s / r.messages / (m.cpu_s / m.messages) for m, r in zip(mosquitto_sub, riser)]
    spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
    print(f"  {'CPU, riser / mosquitto_sub, by run':36} {'1':>20} {statistics.median(ratios):12.2f}  {spread}")
    sent, counted = sum(cost.readings for cost in riser), sum(cost.counted for cost in riser)
    print(f"  readings: {sent:,} sent, {counted:,} counted in aggregates, {sent - counted:,} lost")
    return sent - counted


def main():
    about, rest = __doc__.split("\n", 1)
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=about, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("end-to-end", "micro"), default="end-to-end")
    parser.add_argument("--rate", type=positive, default=5000, help="messages a second (5000)")
    parser.add_argument("--messages", type=positive, default=100_000, help="messages of one run (100000)")
    parser.add_argument("--devices", type=positive, default=1000, help="devices that send in turn (1000)")
    parser.add_argument("--runs", type=positive, default=3, help="runs whose median is told (3)")
    parser.add_argument("--qos1", action="store_true", help="also at QoS 1, from `riser simulate`")
    options = parser.parse_args()
    try:
        prepare("bench" if options.what == "end-to-end" else "bench_micro")
        return end_to_end(options) if options.what == "end-to-end" else bench_micro.run(TARGET)
    except (Failed, LookupError) as failure:
        print(f"scripts/bench: {failure}", file=sys.stderr)
    except subprocess.CalledProcessError as failure:
        print(f"scripts/bench: {' '.join(map(str, failure.cmd))}: exit {failure.returncode}", file=sys.stderr)
    except KeyboardInterrupt:
        print("scripts/bench: interrupted", file=sys.stderr)
    return 2


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("give a number above 0")
    return number


if __name__ == "__main__":
    sys.exit(main())

"""What browsers cost the gateway: CPU time and memory of the process with none, and with 50 that follow the live stream.

  scripts/bench-http                      50 browsers, 2,000 readings/s from 1,000 devices, 30 s each way
  scripts/bench-http --browsers 10 --seconds 60
  scripts/bench-http --lists 60           60 readers that ask for the list of devices all the time: how long a reading waits
                                          for its acknowledgement, without them, when all ask the same, and when each asks its own

A browser here is a connection that reads the stream, as the page does. The rounds alternate (without, with, without, with), so
that a machine whose speed drifts harms both alike. Readings are sent by `riser simulate` to the embedded broker.

Installs what it needs first. Builds target/release/riser unless RISER_BIN names a binary.
"""

import argparse
import multiprocessing
import os
import pathlib
import selectors
import socket
import statistics
import sys
import tempfile
import threading
import time

import test_environment

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Readings in a message of the simulator's devices, about.
READINGS = 2.4


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Browsers:
    """Connections that read the stream and throw it away."""

    def __init__(self, port, count):
        self.bytes = 0
        self.stopped = False
        self.selector = selectors.DefaultSelector()
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            connection.setblocking(False)
            self.selector.register(connection, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        while not self.stopped:
            for key, _ in self.selector.select(0.5):
                self.bytes += len(key.fileobj.recv(1 << 20))

    def close(self):
        self.stopped = True
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()


def measure(gateway, web, browsers, seconds):
    streams = Browsers(web.port, browsers) if browsers else None
    time.sleep(3)
    began, cpu, taken = time.monotonic(), cpu_seconds(gateway.process.pid), web.get("/ledger")["in"]
    time.sleep(seconds)
    took = time.monotonic() - began
    row = {
        "cpu": (cpu_seconds(gateway.process.pid) - cpu) / took * 100,
        "rate": (web.get("/ledger")["in"] - taken) / took,
        "memory": gateway.memory_mib(),
    }
    if streams:
        streams.close()
        row["stream"] = streams.bytes / browsers / (took + 3) / 1024
    return row


class Readers:
    """Connections that ask for lists, one after the other, and throw the answers away. In a process of their own."""

    def __init__(self, port, paths):
        self.answers, self.refused, self.stopped = (multiprocessing.Value("q", 0) for _ in range(3))
        self.process = multiprocessing.Process(target=self.run, args=(port, paths))
        self.process.start()

    def run(self, port, paths):
        threads = [threading.Thread(target=self.ask, args=(port, path)) for path in paths]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def ask(self, port, path):
        request = f"GET /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", port)) as connection:
            answers = connection.makefile("rb", buffering=1 << 18)
            while not self.stopped.value:
                connection.sendall(request)
                status, length = answers.readline(), 0
                while (line := answers.readline()) not in (b"\r\n", b""):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                answers.read(length)
                count = self.answers if b" 200 " in status else self.refused
                with count.get_lock():
                    count.value += 1

    def close(self):
        self.stopped.value = True
        self.process.join()


def delays(broker, seconds):
    """How long readings wait for their acknowledgement, in milliseconds, sorted."""
    from peers import Publisher

    sensor, found, end = Publisher(broker), [], time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        sensor.send("sensors/probe/telemetry", {"temperature": 20 + len(found) % 7})
        found.append((time.monotonic() - began) * 1000)
        time.sleep(0.02)
    sensor.close()
    return sorted(found)


def measure_lists(gateway, web, broker, options):
    cases = {
        "no readers": [],
        "all ask the same": ["/devices?limit=1000"] * options.lists,
        "each asks its own": [f"/devices?limit={1000 - n}" for n in range(options.lists)],
    }
    wait = time.monotonic() + 60
    while web.get("/devices?limit=1")["total"] < options.devices and time.monotonic() < wait:
        time.sleep(0.5)
    for name, paths in cases.items():
        readers = Readers(web.port, paths)
        time.sleep(1)
        found = delays(broker, options.seconds)
        readers.close()
        half, most = found[len(found) // 2], found[int(len(found) * 0.99)]
        print(f"{name:>18}: a reading waits {half:6.1f} ms (p50), {most:6.1f} ms (p99), {found[-1]:6.1f} ms at most; "
              f"{readers.answers.value / options.seconds:6.0f} lists/s, {readers.refused.value} refused, {gateway.memory_mib():.0f} MiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--browsers", type=int, default=50)
    parser.add_argument("--rate", type=int, default=2000, help="readings a second")
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--lists", type=int, default=0, help="readers that ask for lists, instead of browsers")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    test_environment.enter("bench_http")
    sys.path.insert(0, str(ROOT / "tests"))
    import subprocess

    from gateway import BINARY, Riser, config
    from peers import free_port
    from web import http_table

    with tempfile.TemporaryDirectory() as folder:
        broker, (table, web) = free_port(), http_table()
        more = f'{table}[broker]\nlisten = "127.0.0.1:{broker}"\nanonymous = true\n[history]\n'
        topics = (("sensors/data/{device}/{metric}", "value"), ("sensors/{device}/telemetry", "json"), ("zigbee2mqtt/{device}", "zigbee2mqtt"))
        gateway = Riser(pathlib.Path(folder) / "riser", config(topics=topics, aggregate='window = "5m"', anomaly="enabled = true", more=more)).start()
        web.wait()
        load = subprocess.Popen(
            [BINARY, "simulate", "--target", f"127.0.0.1:{broker}", "--devices", str(options.devices), "--rate", str(options.rate / READINGS)],
            stdout=subprocess.DEVNULL,
        )
        try:
            if options.lists:
                return measure_lists(gateway, web, broker, options)
            time.sleep(10)
            rows = {0: [], options.browsers: []}
            for _ in range(options.rounds):
                for count, found in rows.items():
                    found.append(measure(gateway, web, count, options.seconds))
        finally:
            load.terminate()
            load.wait()
            gateway.stop()
    middle = {count: {key: statistics.median(row[key] for row in found) for key in found[0]} for count, found in rows.items()}
    for count, row in middle.items():
        print(f"{count:>3} browsers: {row['cpu']:5.1f} % of a processor, {row['memory']:6.1f} MiB, {row['rate']:7.0f} readings/s" + (f", {row['stream']:5.1f} KiB/s each" if "stream" in row else ""))
    none, many = middle[0], middle[options.browsers]
    more = 100 * (many["cpu"] / many["rate"] * none["rate"] / none["cpu"] - 1)
    print(f"CPU a reading with {options.browsers} browsers: {more:+.1f} %; memory: {(many['memory'] - none['memory']) * 1024 / options.browsers:.0f} KiB a browser")


if __name__ == "__main__":
    main()

"""What browsers cost the gateway: CPU time and memory of the process with none, and with 50 that follow the live stream.

  scripts/bench-http                      50 browsers, 2,000 readings/s from 1,000 devices, 30 s each way
  scripts/bench-http --browsers 10 --seconds 60

A browser here is a connection that reads the stream, as the page does. The rounds alternate (without, with, without, with), so
that a machine whose speed drifts harms both alike. Readings are sent by `riser simulate` to the embedded broker.

Installs what it needs first. Builds target/release/riser unless RISER_BIN names a binary.
"""

import argparse
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--browsers", type=int, default=50)
    parser.add_argument("--rate", type=int, default=2000, help="readings a second")
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=30)
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

"""What the embedded broker costs beside mosquitto: the same load on both, one after the other.

  scripts/bench-broker                       idle, retained and logins
  scripts/bench-broker idle                  memory of an idle connection: 1,000 and 10,000 of them, and what is given back
  scripts/bench-broker retained              2,000 discovery messages; start and subscription with 20,000 topics
  scripts/bench-broker logins                right passwords while wrong ones flood in

Resident memory is from /proc. Needs room for 11,000 open files (ulimit -n). Builds target/release unless RISER_BIN names
a binary.
"""

import argparse
import contextlib
import multiprocessing
import os
import pathlib
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
IN_FLIGHT = 20
GATEWAY = """
[gateway]
id = "bench"
data_dir = "{folder}/data"
[broker]
listen = "127.0.0.1:{port}"
anonymous = {anonymous}
max_clients = 20000
max_sessions = 20000
{users}
"""
MOSQUITTO = """
listener {port} 127.0.0.1
allow_anonymous {anonymous}
persistence true
persistence_location {folder}/
max_queued_messages 0
{users}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def text(value):
    return struct.pack(">H", len(value)) + value


def packet(first, body):
    length, rest = bytearray(), len(body)
    while True:
        rest, low = divmod(rest, 128)
        length.append(low | (128 if rest else 0))
        if not rest:
            return bytes([first]) + bytes(length) + body


def connect_packet(client, user=None, password=None):
    flags = 2 | (0xC0 if user else 0)
    login = text(user) + text(password) if user else b""
    return packet(0x10, text(b"MQTT") + bytes([4, flags, 0, 60]) + text(client) + login)


class Broker:
    """Riser or mosquitto with a configuration of its own."""

    def __init__(self, name, folder, users=""):
        self.name, self.port, self.folder = name, free_port(), pathlib.Path(folder)
        values = {"folder": folder, "port": self.port, "users": users, "anonymous": "false" if users else "true"}
        form = GATEWAY if name == "riser" else MOSQUITTO
        self.config = self.folder / "config"
        self.config.write_text(form.format(**values))
        self.start()

    def start(self):
        riser = os.environ.get("RISER_BIN", TARGET / "release/riser")
        command = [riser, "run", "--config"] if self.name == "riser" else ["mosquitto", "-c"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        began = time.monotonic()
        self.process = subprocess.Popen([*command, self.config], **quiet)
        while True:
            with contextlib.suppress(OSError), self.client(b"probe"):
                return time.monotonic() - began
            time.sleep(0.005)

    def client(self, name, **login):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(connect_packet(name, **login))
        answer = connection.recv(4)
        if len(answer) == 4 and answer[3] == 0 or not login and len(answer) == 4:
            return connection
        connection.close()
        raise ConnectionRefusedError(answer)

    def memory(self, field="VmRSS"):
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(field))

    def written(self):
        lines = pathlib.Path(f"/proc/{self.process.pid}/io").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait()


def idle(broker):
    before, rows = broker.memory(), {}
    for count in (1_000, 10_000):
        clients = [broker.client(b"idle-%d" % number) for number in range(count)]
        time.sleep(1)
        rows[f"kB a connection, {count}"] = round((broker.memory() - before) / count, 2)
        for one in clients:
            one.close()
    time.sleep(3)
    rows["MB left afterwards"] = round((broker.memory() - before) / 1024, 1)
    return rows


def publish_retained(broker, messages):
    """Publishes at QoS 1 with IN_FLIGHT unacknowledged; returns the seconds."""
    with broker.client(b"publisher") as connection:
        began, acknowledged, pending = time.monotonic(), 0, b""
        for number, (topic, payload) in enumerate(messages):
            connection.sendall(packet(0x33, text(topic) + struct.pack(">H", number % 65_000 + 1) + payload))
            while number + 1 - acknowledged >= IN_FLIGHT or number + 1 == len(messages) > acknowledged:
                pending += connection.recv(65_536)
                acknowledged, pending = acknowledged + len(pending) // 4, pending[len(pending) // 4 * 4 :]
        return time.monotonic() - began


def retained(broker):
    written = broker.written()
    discovery = [(b"homeassistant/sensor/x%d/config" % number, b"x" * 1800) for number in range(2_000)]
    rows = {"s for 2,000 of 1.8 kB": round(publish_retained(broker, discovery), 2)}
    publish_retained(broker, [(b"many/%d" % number, b"y" * 100) for number in range(20_000)])
    time.sleep(2.5)
    rows["MB written"] = round((broker.written() - written) / 2**20, 1)
    # mosquitto keeps nothing of what it has not saved: only Riser is killed.
    broker.stop(signal.SIGKILL if broker.name == "riser" else signal.SIGTERM)
    rows["s to start again"] = round(broker.start(), 3)
    with broker.client(b"reader") as connection:
        began, received = time.monotonic(), 0
        connection.sendall(packet(0x82, b"\x00\x01" + text(b"many/#") + b"\x00"))
        while received < 20_000 * 106:
            received += len(connection.recv(1 << 20))
        rows["s to read 20,000"] = round(time.monotonic() - began, 3)
    return rows


def flood(port, stop, count):
    """Logs in with a wrong password, again and again, over 100 connections at once."""

    def one(number):
        packet_of_one = connect_packet(b"wrong-%d" % number, user=b"ann", password=b"wrong")
        while not stop.is_set():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                connection.sendall(packet_of_one)
                connection.recv(4)
                count[number] += 1

    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(count))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def logins(broker):
    stop, count, times = multiprocessing.Event(), multiprocessing.Array("L", 100, lock=False), []
    process = multiprocessing.Process(target=flood, args=(broker.port, stop, count))
    process.start()
    for _ in range(200):
        began = time.monotonic()
        broker.client(b"right", user=b"ann", password=b"secret").close()
        times.append(time.monotonic() - began)
        time.sleep(0.02)
    stop.set()
    process.join()
    first, times = times[0], sorted(times[1:])
    figures = {"first": first, "p50": times[100], "p99": times[197]}
    rows = {f"ms of a right login, {name}": round(value * 1000, 1) for name, value in figures.items()}
    return rows | {"wrong ones": sum(count), "peak MB": broker.memory("VmHWM") // 1024}


def users(name, folder):
    if name == "riser":
        hashed = subprocess.run(
            ["argon2", "sixteen bytes of", "-id", "-k", "19456", "-t", "2", "-p", "1", "-e"],
            input=b"secret",
            stdout=subprocess.PIPE,
            check=True,
        ).stdout.decode()
        return f'[broker.users.ann]\npassword_hash = "{hashed.strip()}"\npublish = ["#"]\nsubscribe = ["#"]\n'
    path = pathlib.Path(folder) / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", path, "ann", "secret"], check=True)
    path.chmod(0o644)
    return f"password_file {path}\n"


CASES = {"idle": idle, "retained": retained, "logins": logins}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if subprocess.run([ROOT / "scripts/lib/prepare", "bench_broker"]).returncode:
        return 69
    if "RISER_BIN" not in os.environ:
        subprocess.run(["cargo", "build", "--release", "--locked", "-p", "riser"], cwd=ROOT, check=True)
    for case in options.cases or CASES:
        for name in ("riser", "mosquitto"):
            with tempfile.TemporaryDirectory(prefix="bench-broker-") as folder:
                os.chmod(folder, 0o777)
                broker = Broker(name, folder, users(name, folder) if case == "logins" else "")
                try:
                    rows = CASES[case](broker)
                finally:
                    broker.stop()
            print(f"{case:9} {name:10}", ", ".join(f"{what} {value}" for what, value in rows.items()), flush=True)


if __name__ == "__main__":
    sys.exit(main())

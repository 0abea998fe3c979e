"""The brokers that scripts/bench-broker measures, and what the kernel says about them."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PASSWORD = "right"
# Of PASSWORD: argon2id with 19,456 KiB, 2 passes, 1 lane.
PASSWORD_HASH = "$argon2id$v=19$m=19456,t=2,p=1$YmVuY2ggb2YgYnJva2Vycw$gH7YOmFAJBdXDV3SMjZcVgbyRcYBxNTfzwh/Qf2ge5A"
START_TIMEOUT = 30
ANONYMOUS = bytes([0x10, 16, 0, 4]) + b"MQTT" + bytes([4, 2, 0, 60, 0, 4]) + b"ping"


class Failed(Exception):
    """Something to tell the person who started this."""


def on_core(number, command):
    """The command, kept to one processor; a machine with one alone has no other."""
    pinned = ["taskset", "--cpu-list", number] if os.cpu_count() > 1 else []
    return [str(part) for part in [*pinned, *command]]


def wait_until(seen, timeout, what):
    deadline = time.monotonic() + timeout
    while not (value := seen()):
        if time.monotonic() > deadline:
            raise Failed(f"waited {timeout} s in vain for {what}")
        time.sleep(0.02)
    return value


class Server:
    """A broker with a folder of its own, that can be killed and started again on the same port."""

    process = None

    def __init__(self, folder):
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "log"
        self.port = free_port()

    def start(self):
        """Returns how many seconds passed until it answered a CONNECT."""
        with open(self.log, "ab") as log:
            command = on_core(0, self.command())
            began = time.monotonic()
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while not self.answers():
            if self.process.poll() is not None:
                raise Failed(f"{self.name} ended with {self.process.returncode}: {self.last_words()}")
            if time.monotonic() - began > START_TIMEOUT:
                raise Failed(f"{self.name} does not answer on port {self.port}")
            time.sleep(0.002)
        return time.monotonic() - began

    def answers(self):
        """Whether a CONNACK comes, be it a refusal."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), START_TIMEOUT) as s:
            s.sendall(ANONYMOUS)
            return s.recv(4)[:1] == b"\x20"
        return False

    def kill(self):
        """As a power cut does, except that the kernel keeps what was written."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def save(self):
        """Writes to the disk what would be lost by a kill."""

    def last_words(self):
        return " / ".join(self.log.read_text(errors="replace").splitlines()[-3:])

    @property
    def pid(self):
        if self.process.poll() is not None:
            raise Failed(f"{self.name} ended with {self.process.returncode}: {self.last_words()}")
        return self.process.pid

    def cpu_seconds(self):
        """Of all threads and children, ended ones included."""
        ticks = 0
        for pid in family(self.pid):
            # After the name, which may hold anything: the fields from the third on.
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def resident(self):
        return status(self.pid, "VmRSS")

    def peak(self):
        return status(self.pid, "VmHWM")

    def written(self):
        """Sent to the disk, whole pages, as the kernel accounts it; what lies on a tmpfs does not count."""
        return int(re.search(r"^write_bytes: (\d+)", pathlib.Path(f"/proc/{self.pid}/io").read_text(), re.M)[1])

    def stored(self):
        """What the data folder takes of the disk."""
        files = [path for path in self.data.rglob("*") if path.is_file()]
        return sum(path.stat().st_blocks * 512 for path in files)


class Riser(Server):
    name = "riser"
    # Beside these, the defaults. A binary that does not know a key has another bound or none.
    KEYS = {"max_clients": 12_000, "max_sessions": 12_000}
    UNBOUNDED = {"max_queue_size": "1GiB", "max_memory": "4GiB"}

    def __init__(self, folder, users=(), queue="bounded"):
        super().__init__(folder)
        known = subprocess.run([riser(), "config", "schema"], capture_output=True, text=True, check=True).stdout
        broker = {"listen": f"127.0.0.1:{self.port}", "anonymous": not users}
        wanted = self.KEYS | (self.UNBOUNDED if queue == "unbounded" else {})
        broker |= {key: value for key, value in wanted.items() if f'"{key}"' in known}
        tables = {"gateway": {"id": "bench", "data_dir": str(self.data)}, "broker": broker}
        for user in users:
            tables[f"broker.users.{user}"] = {"password_hash": PASSWORD_HASH, "publish": ["#"], "subscribe": ["#"]}
        self.config = folder / "gateway.toml"
        self.config.write_text(
            "".join(
                f"[{title}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
                for title, table in tables.items()
            )
        )
        self.config.chmod(0o600)

    def command(self):
        return [riser(), "run", "--config", self.config]


class Mosquitto(Server):
    name = "mosquitto"

    def __init__(self, folder, users=(), queue="bounded"):
        super().__init__(folder)
        self.data.mkdir()
        lines = [f"listener {self.port} 127.0.0.1", "user root", f"log_dest file {self.log}"]
        lines += ["persistence true", f"persistence_location {self.data}/", "max_inflight_messages 64"]
        lines += ["log_type error", "log_type warning", "log_type notice", "connection_messages false"]
        if queue == "unbounded":
            lines.append("max_queued_messages 0")
        if users:
            passwords = folder / "passwords"
            passwords.write_text("".join(f"{user}:{PASSWORD}\n" for user in users))
            subprocess.run(["mosquitto_passwd", "-U", passwords], check=True)
            lines += [f"password_file {passwords}"]
        else:
            lines.append("allow_anonymous true")
        self.config = folder / "mosquitto.conf"
        self.config.write_text("\n".join(lines) + "\n")

    def command(self):
        return ["mosquitto", "-c", self.config]

    def save(self):
        """It writes by itself every half hour only."""
        file = self.data / "mosquitto.db"
        before = file.stat().st_mtime_ns if file.exists() else 0
        os.kill(self.pid, signal.SIGUSR1)
        # It writes another file, and gives it this name at the end.
        wait_until(lambda: file.exists() and file.stat().st_mtime_ns > before, 20, "mosquitto to save")


@contextlib.contextmanager
def running(kind, logs=None, **options):
    """A broker that answers; at the end it is killed, and its folder removed."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-broker-", dir=TARGET))
    try:
        server = kind(folder, **options)
        try:
            server.start()
            yield server
        finally:
            server.kill()
            if logs and server.log.exists():
                logs.mkdir(parents=True, exist_ok=True)
                shutil.copy(server.log, logs / f"{len(list(logs.iterdir())):03}-{server.name}.log")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def riser():
    return pathlib.Path(os.environ.get("RISER_BIN", TARGET / "release/riser")).resolve()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def family(pid):
    """The process and its descendants."""
    yield pid
    for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from family(int(child))


def status(pid, field):
    return int(re.search(rf"{field}:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) * 1024

"""Where scripts/conformance finds the tests of the suites, what each needs, and how it is started."""

import contextlib
import dataclasses
import itertools
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

SCRIPTS = pathlib.Path(__file__).resolve().parent

# --- mosquitto --------------------------------------------------------------------------------------------------------

GROUPS = ("01", "02", "03", "04", "05", "07", "11", "12", "13")
OTHER_GROUPS = {
    "06": "bridges as mosquitto.conf describes them",
    "08": "TLS as mosquitto.conf describes it",
    "09": "mosquitto's plugins, and its files of passwords and permissions",
    "10": "mount points, which Riser has not",
    "14": "mosquitto's plugin for dynamic security",
}
# Beside the tests; they are started by them.
HELPERS = ("02-subpub-qos2-receive-maximum-helper.py",)
LEFT_OUT = {
    "03-publish-qos1-queued-bytes.py": "switched off by its authors too: it is written for Python 2",
}
STARTS_RISER = """#!/bin/sh
exec {python} -S -E {shim} "$@"
"""
# As root, mosquitto would become a user who may not write there.
STARTS_MOSQUITTO = """#!/bin/sh
if [ "$2" = -c ] && [ "$(id -u)" = 0 ]; then grep -q '^user root' "$3" || printf 'user root\\n' >>"$3"; fi
exec {mosquitto} "$@"
"""


class Missing(Exception):
    """A suite that is not there."""


@dataclasses.dataclass
class MosquittoTest:
    folder: pathlib.Path
    name: str
    ports: int
    left_out: str = ""
    suite: str = "mosquitto"

    def failed_parts(self, _said):
        """Of a test that goes on where a part fails: those."""
        return []

    @contextlib.contextmanager
    def started(self, _home, _env, _broker):
        yield [f"./{self.name}"], self.folder, free_ports(self.ports)


class SequencesTest(MosquittoTest):
    """1,483 short sequences of packets, malformed ones among them, that mosquitto has in files of JSON."""

    def failed_parts(self, said):
        return re.findall(r"^\x1b\[31m(.*?)\s* failed: ", said, re.MULTILINE)


def mosquitto_tests(source, folder, broker):
    """Makes the copy in which they run."""
    tests = source / "test"
    if not (tests / "broker").is_dir():
        raise Missing(f"no test/broker in {source}; it is in mosquitto's source, not in its packages")
    copy = folder / "mosquitto"
    shutil.copytree(tests, copy / "test", ignore=shutil.ignore_patterns("c", "client", "lib", "old", "ssl", "unit"))
    with open(copy / "test/mosq_test.py", "a") as library:
        library.write(f"\n\nsys.path.insert(0, {str(SCRIPTS)!r})\nimport conformance_library\n")
        library.write("conformance_library.install(sys.modules[__name__])\n")
    stand_in = copy / "src/mosquitto"
    stand_in.parent.mkdir()
    if broker == "riser":
        stand_in.write_text(STARTS_RISER.format(python=sys.executable, shim=SCRIPTS / "conformance_shim.py"))
    else:
        stand_in.write_text(STARTS_MOSQUITTO.format(mosquitto=installed_mosquitto()))
    stand_in.chmod(0o755)
    found = []
    for path in sorted((copy / "test/broker").glob("[01][0-9]-*.py")):
        if path.name in HELPERS or path.name[:2] in OTHER_GROUPS:
            continue
        ports = re.search(r"get_port\((\d)\)", path.read_text())
        found.append(MosquittoTest(path.parent, path.name, int(ports[1]) if ports else 1, LEFT_OUT.get(path.name, "")))
    found.append(SequencesTest(copy / "test/broker", "msg_sequence_test.py", 1))
    return found


def installed_mosquitto():
    found = os.environ.get("MOSQUITTO_BIN") or shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
    if not found:
        raise Missing("mosquitto is not installed")
    return found


def fetch_mosquitto(folder):
    """Debian's source of mosquitto, verified by apt, without a change of what this machine's apt knows."""
    found = sorted(folder.glob("mosquitto-*/test/broker"))
    if found:
        return found[-1].parent.parent
    apt = folder / "apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (apt / "sources.list").write_text(f"deb-src [signed-by={keys}] http://deb.debian.org/debian trixie main\n")
    options = {
        "Dir::Etc::sourcelist": apt / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": apt / "lists",
        "Dir::Cache": apt / "cache",
        "APT::Sandbox::User": "root",
    }
    flags = ["-qq", *(f"-o{name}={value}" for name, value in options.items())]
    subprocess.run(["apt-get", *flags, "update"], check=True)
    subprocess.run(["apt-get", *flags, "source", "--download-only", "mosquitto"], cwd=folder, check=True)
    for archive in folder.glob("mosquitto_*.orig.tar.gz"):
        subprocess.run(["tar", "-xzf", archive, "-C", folder], check=True)
    shutil.rmtree(apt)
    return fetch_mosquitto(folder)


# --- paho -------------------------------------------------------------------------------------------------------------

PAHO = "https://github.com/eclipse/paho.mqtt.testing"
PAHO_COMMIT = "9d7bb80bb8b9d9cfc0b52f8cb4c1916401281103"
# The standard leaves these to the broker, and client_test5.py fixes them: the server's keep-alive is 60 s
# (test_server_keep_alive), and the suite's limits of packets and of what is in flight are reached by its tests.
LIMITS = {
    "client_test.py": {"max_in_flight": 20},
    "client_test5.py": {"max_in_flight": 20, "max_keep_alive": "60s", "max_packet_size": "10KiB"},
}
# A topic that nobody may subscribe to, while others are free: the user there may subscribe to nothing else either.
OF_TEST = {"test_subscribe_failure": {"anonymous_subscribe": ["allowed"]}}
AS_MOSQUITTO = {
    "max_in_flight": "max_inflight_messages {}",
    "max_keep_alive": "max_keepalive 60",
    "max_packet_size": "max_packet_size 10240",
}
# `unittest.main` of the suite reads its arguments, and does not know `-p`.
DRIVER = """
import runpy, sys, unittest
suite, test, port = sys.argv[1:]
main = unittest.main
unittest.main = lambda: main(argv=[suite, "Test." + test])
sys.argv = [suite, "-p", port]
runpy.run_path(suite, run_name="__main__")
"""


@dataclasses.dataclass
class PahoTest:
    folder: pathlib.Path
    file: str
    test: str
    left_out: str = ""
    suite: str = "paho"

    def failed_parts(self, _said):
        return []

    @property
    def name(self):
        return f"{self.file}:{self.test}"

    @contextlib.contextmanager
    def started(self, home, env, broker):
        [port] = free_ports(1)
        settings = LIMITS[self.file] | OF_TEST.get(self.test, {})
        make = riser_command if broker == "riser" else mosquitto_command
        with open(home / "broker.log", "w") as log:
            process = subprocess.Popen(make(home, env, port, settings), stdout=log, stderr=log)
        try:
            wait_for_port(process, port)
            yield ["-c", DRIVER, self.file, self.test], self.folder, [port]
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def riser_command(home, env, port, settings):
    broker = {"listen": f"127.0.0.1:{port}", "anonymous": True, **settings}
    tables = {"gateway": {"id": "conformance", "data_dir": str(home / "data")}, "broker": broker}
    config = home / "gateway.toml"
    config.write_text(
        "".join(
            f"[{title}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
            for title, table in tables.items()
        )
    )
    return [env["RISER_BIN"], "run", "--config", config]


def mosquitto_command(home, _env, port, settings):
    rows = [AS_MOSQUITTO[key].format(value) for key, value in settings.items() if key in AS_MOSQUITTO]
    config = home / "mosquitto.conf"
    config.write_text("\n".join([f"listener {port} 127.0.0.1", "allow_anonymous true", *rows, ""]))
    return [installed_mosquitto(), "-v", "-c", config]


def paho_tests(source):
    folder = source / "interoperability"
    if not (folder / "client_test5.py").is_file():
        raise Missing(f"no interoperability/client_test5.py in {source}; it is in {PAHO}")
    found = []
    for file in LIMITS:
        # One of them is called so that unittest alone would not find it.
        for test in re.findall(r"^    def (test\w*|\w+_test)\(self", (folder / file).read_text(), re.MULTILINE):
            found.append(PahoTest(folder, file, test))
    return found


def fetch_paho(folder):
    source = folder / "paho.mqtt.testing"
    if not (source / "interoperability").is_dir():
        shutil.rmtree(source, ignore_errors=True)
        subprocess.run(["git", "clone", "--quiet", PAHO, source], check=True)
        subprocess.run(["git", "-C", source, "checkout", "--quiet", PAHO_COMMIT], check=True)
    return source


# --- ports ------------------------------------------------------------------------------------------------------------

# Below those that the system gives to clients; two runs at once begin at different ones.
numbers, lock = itertools.cycle(range(21_000, 32_000)), threading.Lock()
next(itertools.islice(numbers, os.getpid() * 97 % 11_000, None))


def free_ports(count):
    found = []
    with lock:
        while len(found) < count:
            port = next(numbers)
            with socket.socket() as s, contextlib.suppress(OSError):
                s.bind(("127.0.0.1", port))
                found.append(port)
    return found


def wait_for_port(process, port):
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.02)
    # The test fails, and the broker's log says why.

"""What CoAP costs: our engine and the gateway beside libcoap's server, driven by the same client.

  scripts/bench-coap                     round trips a second and CPU each, three times in turn; memory a peer
  scripts/bench-coap --runs 5 --seconds 8
  scripts/bench-coap --clients 1         latency instead of throughput
  scripts/bench-coap sessions            memory of 1,000 DTLS sessions

In turn, with the same load client (crates/coap-link/examples/load.rs: CON, one exchange at a time a client, every client
a UDP port of its own) over loopback, each server on one core and the client on another:
- libcoap's `coap-server-notls`, PUT of a climate sensor's JSON to its one resource that takes any;
- our engine's example server (crates/coap-link/examples/echo.rs), the same PUT;
- `riser run` with its defaults, POST to /sensors/{device}: decoded and in the journal before 2.04.
Then with 10,000 observers of another resource there, each a peer with a port of its own: what one costs in resident memory;
how long a new value, of which there is one a second, takes from the first of them that hears of it to the last, and CPU each;
and the round trips again. Other work on the machine shows in round trips a second; the CPU time of a round trip, by
libcoap's of the same run, is what to compare.

Installs libcoap3-bin where it is missing; needs room for 10,000 open files (ulimit -n). Builds target/release unless RISER_BIN and COAP_EXAMPLES
name a binary and a folder; without a binary of riser, `--without-riser`.

`sessions`: two `riser simulate --protocol coaps` of 500 devices each open a session a device with libcoap's
`coap-server-openssl` and with `riser run`, which have had the same devices without DTLS just before; what the resident
memory grows by is theirs.
"""

import argparse
import contextlib
import os
import pathlib
import re
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import typing

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
LIBCOAP = "coap-server-notls"
LIBCOAP_DTLS = "coap-server-openssl"
KEY = "sixteen byte key"
DEVICES = 500  # of one `riser simulate`
GATEWAY = """
[gateway]
id = "bench"
data_dir = "{folder}/data"
[adapters.coap.floor]
listen = "127.0.0.1:{port}"
max_peers = 20000
max_observers = 20000
"""
DTLS = """
listen_dtls = "127.0.0.1:{port}"
[adapters.coap.floor.psk]
{rows}
"""


class Failed(Exception):
    """Something to tell the person who started this."""


# --- servers ----------------------------------------------------------------------------------------------------------


def on_core(number, command):
    """The command, kept to one processor; a machine with one alone has no other."""
    pinned = ["taskset", "--cpu-list", number] if os.cpu_count() > 1 else []
    return [str(part) for part in [*pinned, *command]]


@contextlib.contextmanager
def running(arguments, port):
    """A server that answers; its process."""
    process = subprocess.Popen(
        on_core(0, arguments), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for_pong(process, port)
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for_pong(process, port):
    """Pings (RFC 7252, 4.3) until the reset comes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.1", port))
        s.settimeout(0.1)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise Failed(f"{process.args[0]} ended with {process.returncode}")
            with contextlib.suppress(OSError):
                s.send(b"\x40\x00\x12\x34")
                if s.recv(16) == b"\x70\x00\x12\x34":
                    return
            time.sleep(0.05)
    raise Failed(f"{process.args[0]} does not answer on port {port}")


class Server:
    def change(self, port, number):
        """Makes a new value of the observed resource; the examples do by themselves, each second."""


class Libcoap(Server):
    name, method, path, observable = "libcoap", "put", "/example_data", "/time"

    def started(self, _, port):
        return running([LIBCOAP, "-A", "127.0.0.1", "-p", port, "-v", 0], port)


class Engine(Server):
    name, method, path, observable = "engine", "put", "/value", "/time"

    def started(self, _, port):
        return running([examples() / "echo", f"127.0.0.1:{port}", "quiet"], port)


class Riser(Server):
    name, method, path, observable = "riser run", "post", "/sensors/lounge-0001", "/sensors/observed-0001"

    @contextlib.contextmanager
    def started(self, folder, port):
        config = folder / "gateway.toml"
        config.write_text(GATEWAY.format(folder=folder, port=port))
        with running([riser(), "run", "--config", config], port) as process:
            # A value must be there before it can be observed.
            load("post", port, self.observable, 1, 0.2)
            yield process

    def change(self, port, number):
        _, folder, device = self.observable.encode().split(b"/")
        path = bytes([0xB0 | len(folder)]) + folder + bytes([0x0D, len(device) - 13]) + device
        report = b"\x50\x02" + number.to_bytes(2, "big") + path + b"\x11\x32\xff" + b'{"temperature":%d}' % number
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(report, ("127.0.0.1", port))


def examples():
    return pathlib.Path(os.environ.get("COAP_EXAMPLES", TARGET / "release/examples")).resolve()


def riser():
    return pathlib.Path(os.environ.get("RISER_BIN", TARGET / "release/riser")).resolve()


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# --- measuring --------------------------------------------------------------------------------------------------------


def load(method, port, path, clients, seconds):
    """Round trips in all, and a second."""
    command = [examples() / "load", method, f"127.0.0.1:{port}", path, clients, seconds]
    done = subprocess.run(on_core(1, command), capture_output=True, text=True)
    said = re.search(r"(\d+) answers, (\d+) a second; (\d+) refused, (\d+) asked again", done.stdout)
    if done.returncode or not said:
        raise Failed(f"load: exit {done.returncode}\n{done.stdout}{done.stderr}")
    answers, rate, refused, again = map(int, said.groups())
    if refused:
        raise Failed(f"{method} {path}: {answers} answers, {refused} refused")
    return answers, rate


@contextlib.contextmanager
def observing(server, port, observers):
    """So many observers, each registered when the block begins, of a value that changes each second.

    Gives the list of how long each value took to reach all, in microseconds; it goes on growing.
    """
    command = [examples() / "load", "observe", f"127.0.0.1:{port}", server.observable, observers, 3600]
    process = subprocess.Popen(on_core(1, command), stdout=subprocess.PIPE, text=True)
    took, ended = [], threading.Event()

    def listen():
        for line in process.stdout:
            took.append(int(re.search(r"within (\d+) us", line)[1]))

    def change():
        for number in range(1, 60_000):
            server.change(port, number)
            if ended.wait(1):
                return

    threads = [threading.Thread(target=work, daemon=True) for work in (listen, change)]
    try:
        if process.stdout.readline() != "ready\n":
            raise Failed(f"no {observers} observers of {server.observable}")
        for thread in threads:
            thread.start()
        yield took
    finally:
        ended.set()
        process.kill()
        process.wait()


def cpu_seconds(pid):
    """Of all threads, ended ones included: the clock that clock_getcpuclockid(3) names."""
    return time.clock_gettime((~pid << 3) | 2)


def resident(pid):
    return int(re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) * 1024


class Measured(typing.NamedTuple):
    rate: float  # round trips a second
    cpu: float  # microseconds a round trip
    rate_observed: float  # the same with observers
    cpu_observed: float
    bytes_each: float  # resident, an observer
    to_all: float  # milliseconds from the first observer that hears of a value to the last; NaN where none reached all
    cpu_told: float  # microseconds a notification


def measure(server, options):
    """What a server does alone and with observers."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-coap-", dir=TARGET) as folder:
        with server.started(pathlib.Path(folder), port) as process:
            alone = round_trips(server, process.pid, port, options)
            if not alone[0]:
                raise Failed(f"{server.name} does not answer")
            before = resident(process.pid)
            with observing(server, port, options.observers) as took:
                # Long enough for some values to reach all.
                began, first = cpu_seconds(process.pid), len(took)
                time.sleep(max(10, options.seconds))
                told, cpu = took[first:], cpu_seconds(process.pid) - began
                bytes_each = (resident(process.pid) - before) / options.observers
                crowded = round_trips(server, process.pid, port, options)
    to_all = statistics.median(told) / 1e3 if told else float("nan")
    cpu_told = cpu / len(told) / options.observers * 1e6 if told else float("nan")
    return Measured(*alone, *crowded, bytes_each, to_all, cpu_told)


def round_trips(server, pid, port, options):
    began = cpu_seconds(pid)
    answers, rate = load(server.method, port, server.path, options.clients, options.seconds)
    # A server may be too busy with its observers to answer.
    return rate, (cpu_seconds(pid) - began) / answers * 1e6 if answers else float("nan")


# --- sessions ---------------------------------------------------------------------------------------------------------


class LibcoapSessions:
    name = "libcoap"

    def started(self, _, port):
        return running([LIBCOAP_DTLS, "-A", "127.0.0.1", "-p", port, "-k", KEY, "-h", "bench", "-v", 0], port)


class RiserSessions:
    name = "riser run"

    def started(self, folder, port):
        config = folder / "gateway.toml"
        rows = "\n".join(f'{name} = {{ key = "{KEY}", devices = ["*"] }}' for name in device_names())
        config.write_text(GATEWAY.format(folder=folder, port=port) + DTLS.format(port=port + 1, rows=rows))
        return running([riser(), "run", "--config", config], port)


def device_names():
    """As `riser simulate` calls them."""
    rooms = ("lounge", "kitchen", "office", "meeting-room", "hall", "server-room", "workshop", "archive")
    return [f"{rooms[index % len(rooms)]}-{index + 1:04}" for index in range(DEVICES)]


def sessions(options):
    """Bytes a session, each server's in turn."""
    for run in range(1, options.runs + 1):
        for server in [LibcoapSessions(), RiserSessions()]:
            port = free_port()
            with tempfile.TemporaryDirectory(prefix="bench-coap-", dir=TARGET) as folder:
                folder = pathlib.Path(folder)
                (folder / "psk").write_text(KEY)
                with server.started(folder, port) as process:
                    simulated(process.pid, 2, ["coap", "--target", f"127.0.0.1:{port}"])
                    before = resident(process.pid)
                    psk = ["--psk-identity", "{device}", "--psk-file", folder / "psk"]
                    most = simulated(process.pid, 2, ["coaps", "--target", f"127.0.0.1:{port + 1}", *psk])
            each = (most - before) / (2 * DEVICES)
            print(f"run {run}: {server.name:10} {each:7,.0f} bytes a DTLS session", flush=True)


def simulated(pid, times, protocol):
    """The most memory that the server had while so many simulators sent from all devices."""
    command = [riser(), "simulate", "--devices", DEVICES, "--rate", DEVICES / 2, "--for", "10s", "--protocol", *protocol]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    simulators = [subprocess.Popen([str(a) for a in command], **pipes) for _ in range(times)]
    most = 0
    while any(simulator.poll() is None for simulator in simulators):
        most = max(most, resident(pid))
        time.sleep(0.05)
    for simulator in simulators:
        out, err = simulator.communicate()
        if simulator.returncode:
            raise Failed(f"riser simulate: exit {simulator.returncode}\n{out}{err}")
    return most


def main():
    about, rest = __doc__.split("\n", 1)
    parser = argparse.ArgumentParser(
        prog="scripts/bench-coap", description=about, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("round-trips", "sessions"), default="round-trips")
    parser.add_argument("--runs", type=int, default=3, help="runs whose median is told (3)")
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement (4)")
    parser.add_argument("--clients", type=int, default=64, help="at a time (64)")
    parser.add_argument("--observers", type=int, default=10_000, help="(10000)")
    parser.add_argument("--without-riser", action="store_true", help="only libcoap and the engine")
    options = parser.parse_args()
    try:
        prepare(options)
        if options.what == "sessions":
            sessions(options)
            return 0
        servers = [Libcoap(), Engine()] + ([] if options.without_riser else [Riser()])
        report(compare(servers, options), options)
        return 0
    except Failed as failure:
        print(f"scripts/bench-coap: {failure}", file=sys.stderr)
    except subprocess.CalledProcessError as failure:
        print(f"scripts/bench-coap: {' '.join(map(str, failure.cmd))}: exit {failure.returncode}", file=sys.stderr)
    except KeyboardInterrupt:
        print("scripts/bench-coap: interrupted", file=sys.stderr)
    return 2


def prepare(options):
    if subprocess.run([ROOT / "scripts/lib/prepare", "bench_coap"]).returncode:
        raise Failed("something is missing")
    need, (_, hard) = options.observers + options.clients + 100, resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < need:
        raise Failed(f"{need} open files are needed and {hard} allowed; ulimit -Hn, or fewer --observers")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(need, hard), hard))
    cargo = ["cargo", "build", "--locked", "--release"]
    if "COAP_EXAMPLES" not in os.environ:
        subprocess.run([*cargo, "-p", "coap-link", "--examples"], cwd=ROOT, check=True)
    if "RISER_BIN" not in os.environ and not options.without_riser:
        subprocess.run([*cargo, "-p", "riser"], cwd=ROOT, check=True)
    TARGET.mkdir(exist_ok=True)


def compare(servers, options):
    print(f"{options.clients} clients; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    results = {server.name: [] for server in servers}
    for run in range(1, options.runs + 1):
        for server in servers:
            result = measure(server, options)
            results[server.name].append(result)
            print(
                f"run {run}: {server.name:10} {result.rate:7,} a second, {result.cpu:5.1f} us CPU each; with"
                f" {options.observers:,} observers {result.rate_observed:7,}, {result.cpu_observed:5.1f} us;"
                f" {result.bytes_each:,.0f} bytes an observer; all told in {result.to_all:,.0f} ms,"
                f" {result.cpu_told:.1f} us CPU each",
                flush=True,
            )
    return results


def report(results, options):
    print(f"\nmedian of {options.runs}          " + "".join(f"{name:>14}" for name in results))
    rows = [
        ("round trips a second", "rate", "{:,.0f}"),
        ("CPU us a round trip", "cpu", "{:.1f}"),
        ("round trips, observed", "rate_observed", "{:,.0f}"),
        ("CPU us, observed", "cpu_observed", "{:.1f}"),
        ("bytes an observer", "bytes_each", "{:,.0f}"),
        ("ms until all are told", "to_all", "{:,.0f}"),
        ("CPU us a notification", "cpu_told", "{:.1f}"),
    ]
    for title, what, form in rows:
        medians = [form.format(statistics.median(getattr(run, what) for run in runs)) for runs in results.values()]
        print(f"  {title:22}" + "".join(f"{median:>14}" for median in medians))
    for title, what in (("CPU by libcoap's", "cpu"), ("speed by libcoap's", "rate")):
        theirs = [getattr(run, what) for run in results["libcoap"]]
        ratios = [[getattr(run, what) / by for run, by in zip(runs, theirs)] for runs in results.values()]
        print(f"  {title:22}" + "".join(f"{statistics.median(ratio):>14.2f}" for ratio in ratios))
        print(f"  {'':22}" + "".join(f"{min(ratio):>8.2f} -{max(ratio):.2f}" for ratio in ratios))


if __name__ == "__main__":
    sys.exit(main())

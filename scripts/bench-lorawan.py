"""What a LoRaWAN uplink costs: `riser run` on one core, from a forwarder's datagram to readings in the journal.

  scripts/bench-lorawan                      Cayenne LPP and JavaScript, at rising rates
  scripts/bench-lorawan --codec js --rate 2000 --rate 5000
  scripts/bench-lorawan --codec lpp --seconds 10

200 devices with sessions of their own send in turn; eight frames in a datagram, as forwarders do after a busy moment. Each
frame is checked, decrypted, decoded (three measurements, beside the radio's) and journaled. The gateway runs with its
defaults (anomaly model and windows on) on one core, the sender on another. A row says how many frames a second were offered,
how many of them were taken, and the processor time of one; what one core takes at most is a second divided by that. Taken
are those that the ledger has: a rate that is too high shows there.

Frames are made before the clock starts. Installs what it needs first: Debian packages, and Python packages in target/venv.
Builds target/release unless RISER_BIN names a binary.
"""

import argparse
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / "target/venv"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
sys.path.insert(0, str(ROOT / "tests"))

DEVICES = 200
IN_A_DATAGRAM = 8
METRICS = 3
RADIO = ["rssi", "snr", "spreading_factor", "airtime", "frames_lost"]
HOST = "127.0.0.1"
CONFIG = """
[gateway]
id = "bench"
data_dir = "{folder}/data"
[adapters.lorawan.roof]
listen = "{host}:{port}"
region = "EU868"
dedup = "0s"
"""
DEVICE = """
[devices.d{n}]
codec = "{codec}"
lorawan = {{ dev_eui = "a84041{n:010x}", dev_addr = "{address:08x}", nwk_skey = "{key:032x}", app_skey = "{key:032x}" }}
"""
# As vendors write them: 21.5 °C, 45.5 %RH, 3.61 V in seven bytes.
SCRIPT = """
function decodeUplink(input) {
  var bytes = input.bytes, data = {};
  if (input.fPort !== 2 || bytes.length < 7) return { errors: ["not mine"] };
  data.temperature = ((bytes[0] << 24 >> 16) | bytes[1]) / 100;
  data.humidity = ((bytes[2] << 8) | bytes[3]) / 10;
  data.battery_voltage = (((bytes[4] << 8) | bytes[5]) & 0x3fff) / 1000;
  return { data: data, warnings: [] };
}
"""
CODECS = {
    "lpp": ("cayenne-lpp", bytes.fromhex("016700d702685b03740169")),
    "js": ("bench.js", bytes.fromhex("086601c70e1a01")),
}


class Failed(Exception):
    """Something to tell the person who started this."""


def on_core(number, command):
    pinned = ["taskset", "--cpu-list", number] if os.cpu_count() > 1 else []
    return [str(part) for part in [*pinned, *command]]


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((HOST, 0))
        return s.getsockname()[1]


def key(n):
    return 0xA0 << 120 | n


def write_config(folder, port, codec):
    text = CONFIG.format(folder=folder, host=HOST, port=port)
    text += "".join(
        DEVICE.format(n=n, codec=codec, address=0x26011000 + n, key=key(n)) for n in range(DEVICES)
    )
    (folder / "gateway.toml").write_text(text)
    (folder / "bench.js").write_text(SCRIPT)


def datagrams(payload, count):
    """PUSH_DATA with `count` frames in all, of the devices in turn."""
    import lorawan

    nodes = [
        lorawan.Node("", address=f"{0x26011000 + n:08x}", nwk=f"{key(n):032x}", app=f"{key(n):032x}")
        for n in range(DEVICES)
    ]
    forwarder = lorawan.Forwarder(9)
    rows, found = [], []
    for n in range(count):
        rows.append(forwarder.rxpk(nodes[n % DEVICES].uplink(payload)))
        if len(rows) == IN_A_DATAGRAM or n == count - 1:
            body = json.dumps({"rxpk": rows}).encode()
            found.append(b"\2" + len(found).to_bytes(4)[2:] + bytes([lorawan.PUSH_DATA]) + forwarder.eui + body)
            rows = []
    forwarder.close()
    return found


@contextlib.contextmanager
def running(riser, folder, port):
    command = on_core(0, [riser, "run", "--config", folder / "gateway.toml"])
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait(process, port, folder)
        yield process
    finally:
        process.terminate()
        process.wait()


def wait(process, port, folder):
    """Until a PULL_DATA is answered."""
    deadline = time.monotonic() + 20
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((HOST, port))
        s.settimeout(0.1)
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError):
                s.send(b"\2\0\0\2" + bytes.fromhex("aa555a0000000101"))
                s.recv(16)
                return
            time.sleep(0.05)
    raise Failed("riser does not start:\n" + (folder / "log").read_text())


def processor_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1000


def send(port, messages, rate):
    """At `rate` frames a second; how many seconds it took."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((HOST, port))
        s.setblocking(False)
        began = time.perf_counter()
        for n, message in enumerate(messages):
            pause = began + n * IN_A_DATAGRAM / rate - time.perf_counter()
            if pause > 0.0005:
                time.sleep(pause)
            s.send(message)
            with contextlib.suppress(BlockingIOError):
                s.recv(16)
        return time.perf_counter() - began


def readings(riser, folder):
    command = [riser, "audit", "--json", "--config", folder / "gateway.toml"]
    return json.loads(subprocess.run(command, check=False, stdout=subprocess.PIPE).stdout)


def settle(riser, folder, process):
    """Waits until nothing more comes in; the ledger, and the processor time by then without that of the asking."""
    before, spent = None, processor_seconds(process)
    while True:
        time.sleep(0.5)
        now = processor_seconds(process)
        if before is not None and now - spent < 0.05:
            return readings(riser, folder), spent
        before, spent = spent, now


def row(riser, codec, rate, seconds):
    name, payload = CODECS[codec]
    messages = datagrams(payload, int(rate * seconds))
    frames = int(rate * seconds)
    with tempfile.TemporaryDirectory() as folder:
        folder, port = pathlib.Path(folder), free_port()
        write_config(folder, port, name)
        with running(riser, folder, port) as process:
            idle = processor_seconds(process)
            took = send(port, messages, rate)
            ledger, spent = settle(riser, folder, process)
            memory = resident_mb(process)
    taken = (ledger["in"] - sum(ledger["dropped"].values())) / (METRICS + len(RADIO))
    each = (spent - idle) / max(taken, 1)
    print(
        f"{codec:4} {frames / took:9,.0f} {taken / took:9,.0f} {taken / frames:7.1%} {each * 1e6:8.1f} us "
        f"{1 / each:9,.0f} {memory:6.0f} MB  {ledger['dropped']}",
        flush=True,
    )


def prepare():
    """Installs what is missing and starts again inside the tests' Python environment."""
    if sys.prefix == str(VENV):
        return
    if subprocess.run([ROOT / "scripts/lib/prepare", "bench_lorawan"]).returncode:
        raise Failed("something is missing")
    os.execv(VENV / "bin/python", [VENV / "bin/python", *sys.argv])


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/bench-lorawan", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--codec", choices=sorted(CODECS), action="append")
    parser.add_argument("--rate", type=int, action="append", help="frames a second; default 1000, 5000, 20000")
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    prepare()
    riser = os.environ.get("RISER_BIN")
    if riser is None:
        subprocess.run(["cargo", "build", "--locked", "--release", "-p", "riser"], cwd=ROOT, check=True)
        riser = TARGET / "release/riser"
    print("codec  offered/s   taken/s   taken   CPU each  a core/s  memory  dropped")
    for codec in options.codec or ["lpp", "js"]:
        for rate in options.rate or [1000, 5000, 20000]:
            row(riser, codec, rate, options.seconds)


try:
    main()
except Failed as failure:
    sys.exit(f"scripts/bench-lorawan: {failure}")

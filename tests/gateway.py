"""The gateway under test: writes gateway.toml, runs the binary, and reads its ledger and log."""

import json
import os
import pathlib
import re
import signal
import subprocess

from peers import wait_until

BINARY = pathlib.Path(
    os.environ.get("RISER_BIN", pathlib.Path(__file__).parent.parent / "target/debug/riser")
).resolve()

ID = "hq-north"

TOPICS = (
    ("sensors/{device}/telemetry", "json"),
    ("values/{device}/{metric}", "value"),
    ("senml/{device}", "senml"),
    ("zigbee2mqtt/{device}", "zigbee2mqtt"),
    ("tele/{device}/SENSOR", "tasmota"),
    ("shelly/{device}/#", "shelly"),
)


def config(
    *,
    cloud=None,
    floor=None,
    topics=TOPICS,
    gateway="",
    upstream="",
    outbox="",
    adapter="",
    aggregate='window = "1s"\nlateness = "300ms"',
    anomaly="enabled = false",
    journal='sync_every = "100ms"',
    more="",
):
    """gateway.toml between the brokers on these ports; each part is further lines of its table, `more` further tables."""
    rows = ",\n".join(
        row if isinstance(row, str) else f'  {{ filter = "{row[0]}", format = "{row[1]}" }}' for row in topics
    )
    parts = [f'[gateway]\nid = "{ID}"\nprefix = "building"\ndata_dir = "data"\ntimezone = "UTC"\n{gateway}']
    if cloud is not None:
        url = "" if "url =" in upstream else f'url = "mqtt://127.0.0.1:{cloud}"\n'
        parts.append(f"[upstream]\n{url}{upstream}")
        if outbox:
            parts.append(f"[upstream.outbox]\n{outbox}")
    if floor is not None:
        adapter = f'url = "mqtt://127.0.0.1:{floor}"\n{adapter}'
    parts.append(f"[adapters.mqtt.floor]\n{adapter}\ntopics = [\n{rows}\n]")
    parts += [f"[aggregate]\n{aggregate}", f"[anomaly]\n{anomaly}", f"[journal]\n{journal}", more]
    return "\n\n".join(parts) + "\n"


# btleplug's library unwraps the answer to a subscription that it has given up already (docs/ble.md, btleplug).
HARMLESS_PANIC = re.compile(r"panicked at .*/bluez-async-[0-9.]+/src/messagestream\.rs")

# A line of [gateway], for tests that read `health`: it comes every second, not every minute.
HEALTH_EVERY_SECOND = 'health_every = "1s"'


class Riser:
    """One gateway in a folder of its own, which is also where `data_dir` lies."""

    def __init__(self, folder, text, env=None):
        self.folder = folder
        folder.mkdir(parents=True)
        self.config = folder / "gateway.toml"
        # Absolute, so that a test does not depend on what a relative data_dir is relative to.
        self.data_dir = folder / "data"
        self.write(text)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("RISER")} | (env or {})
        self.process = None

    def write(self, text):
        self.config.write_text(text.replace('data_dir = "data"', f'data_dir = "{self.data_dir}"'))

    def rewrite(self, old, new):
        """Replaces a piece of gateway.toml, which must be there."""
        text = self.config.read_text()
        assert old in text, f"{old!r} is not in gateway.toml"
        self.config.write_text(text.replace(old, new))

    def start(self):
        assert BINARY.exists(), f"no binary at {BINARY}; build it or set RISER_BIN"
        with open(self.folder / "stderr", "ab") as err, open(self.folder / "stdout", "ab") as out:
            self.process = subprocess.Popen(
                [BINARY, "run", "--config", self.config],
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env=self.env,
            )
        return self

    def log(self):
        path = self.folder / "stderr"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_log(self, text, timeout=15.0):
        def seen():
            assert self.process.poll() is None or text in self.log(), f"riser ended:\n{self.log()[-3000:]}"
            return text in self.log()

        wait_until(seen, timeout, lambda: f"{text!r} in the log:\n{self.log()[-3000:]}")

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def kill(self):
        """A power cut, as far as a process can have one."""
        self.process.kill()
        self.process.wait(10)

    def freeze(self):
        """SIGSTOP: connections stay open, nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)

    def wait_idle(self):
        """Until the thread on which it does everything waits for something to come."""
        stat = pathlib.Path(f"/proc/{self.process.pid}/stat")
        wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "S")

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self, timeout=15.0):
        """SIGTERM; returns the exit code."""
        self.process.terminate()
        return self.process.wait(timeout)

    def cli(self, *arguments, input=None, timeout=60.0, check=None):
        """Runs another command of the binary in the same folder; `check` is the exit code it must have."""
        done = subprocess.run(
            [BINARY, *map(str, arguments)],
            input=input,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=self.folder,
            env=self.env,
        )
        if check is not None:
            assert done.returncode == check, f"exit {done.returncode}, not {check}\n{done.stdout}\n{done.stderr}"
        return done

    def audit(self):
        """The loss ledger; it must balance, also by our own sum."""
        done = self.cli("audit", "--config", self.config, "--json", check=0)
        ledger = json.loads(done.stdout)
        assert ledger["balanced"] is True
        rows = ledger["adapters"].values()
        for row in (ledger, *rows):
            accounted = row["published"] + row["queued"] + row["open"] + sum(row["dropped"].values())
            assert row["in"] == accounted, ledger
        assert ledger["in"] == sum(row["in"] for row in rows), ledger
        return ledger

    def wait_ledger(self, timeout=15.0, **numbers):
        """Waits until the ledger says these numbers (`published=5`, `late=1` of the dropped, `taken` for its `in`, `distinct`
        for its `in` without `duplicate`: after a kill a broker sends again what it saw no PUBACK of), as long as it changes."""
        ledger = {}

        def says():
            ledger.update(self.audit())
            distinct = ledger["in"] - ledger["dropped"].get("duplicate", 0)
            reported = ledger | ledger["dropped"] | {"taken": ledger["in"], "distinct": distinct}
            return all(reported.get(name, 0) == number for name, number in numbers.items())

        def counted():
            return [ledger.get(row) for row in ("in", "published", "queued", "open", "dropped")]

        wait_until(says, timeout, lambda: f"{numbers} in {ledger}", counted)
        return ledger

    def memory_mib(self):
        """Resident memory now."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        panics = [line for line in self.log().splitlines() if "panicked" in line and not HARMLESS_PANIC.search(line)]
        assert not panics, f"a panic in the gateway:\n{self.log()[-5000:]}"

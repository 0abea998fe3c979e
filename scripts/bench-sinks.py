"""How fast a backlog goes to a sink's real server, and what CPU time a record costs.

  scripts/bench-sinks                    every kind
  scripts/bench-sinks postgres nats      these
  scripts/bench-sinks --records 200000   a longer backlog
  scripts/bench-sinks --dead             what a backlog for one dead sink costs the others: see bench_sinks_dead.py

While the server does not run, readings of 4 metrics are sent and wait in the store. Then the server is started, and the time is
taken from its first record to its last, acknowledged one. At the end the server must hold as many as were sent. The server
and the gateway share this machine; the kind `file` has no server and shows what the gateway alone can do.

Installs what it needs first: Debian packages, and Python packages in target/venv. Builds target/release/riser unless
RISER_BIN names a binary.
"""

import argparse
import os
import pathlib
import sys
import tempfile
import time

import test_environment

ROOT = pathlib.Path(__file__).resolve().parent.parent
METRICS = ("temperature", "humidity", "pressure", "battery")
DEVICES = 100
BATCH = 5000


class Influx:
    def __init__(self, folder):
        import influxdb

        self.server = influxdb.InfluxDb(folder)
        login = f'username = "{influxdb.USER}"\npassword = "{influxdb.PASSWORD}"\ndatabase = "building"'
        self.table = f'[sinks.influxdb.x]\nurl = "{self.server.url}"\n{login}'

    def count(self):
        rows = self.server.rows("SELECT count(temperature) AS n FROM readings")
        return rows[0]["n"] if rows else 0


class Postgres:
    def __init__(self, _folder):
        import postgres

        self.server = postgres.Postgres()
        login = f'username = "{postgres.USER}"\npassword = "{postgres.PASSWORD}"'
        self.table = f'[sinks.postgres.x]\nurl = "{self.server.url}"\n{login}'

    def count(self):
        rows = self.server.rows(f"SELECT count(*) / {len(METRICS)} FROM riser.readings")
        return int(rows[0][0]) if rows else 0


class Mongo:
    def __init__(self, folder):
        import mongodb

        self.server = mongodb.MongoDb(folder)
        login = f'username = "{mongodb.USER}"\npassword = "{mongodb.PASSWORD}"\ndatabase = "{mongodb.DATABASE}"'
        self.table = f'[sinks.mongodb.x]\nurl = "{self.server.url}"\n{login}'

    def count(self):
        return len(self.server.find("readings"))


class Nats:
    def __init__(self, folder):
        import nats_server

        self.server = nats_server.NatsServer(folder)
        self.ask = nats_server.ask
        login = f'username = "{nats_server.USER}"\npassword = "{nats_server.PASSWORD}"'
        self.table = f'[sinks.nats.x]\nurl = "{self.server.url}"\n{login}'

    def count(self):
        async def messages(js):
            return (await js.stream_info("riser")).state.messages

        return self.ask([self.server], messages)


class File:
    """A folder that is a file at first cannot be written to."""

    def __init__(self, folder):
        self.server, self.folder = self, folder
        folder.touch()
        self.table = f'[sinks.file.x]\npath = "{folder}"'

    def start(self):
        self.folder.unlink()

    def close(self):
        pass

    def count(self):
        return sum(file.read_bytes().count(b"\n") for file in self.folder.iterdir() if file.name.startswith("readings"))


KINDS = {"influxdb": Influx, "postgres": Postgres, "mongodb": Mongo, "nats": Nats, "file": File}


def measure(kind, count, folder, beside=""):
    """Records a second, and microseconds of the gateway's CPU time for each. `beside`: tables of further sinks."""
    from gateway import Riser, config
    from peers import Mosquitto, Publisher, wait_until

    sink, broker = KINDS[kind](folder / kind), Mosquitto(folder / "floor", log="information")
    broker.start()
    text = config(floor=broker.port, more=f'{sink.table}\nsend = ["readings"]\n{beside}')
    gateway = Riser(folder / "riser", text).start()
    name = f"{kind}.x"
    records = lambda: gateway.audit()["sinks"][name]
    try:
        gateway.wait_log("connected and subscribed")
        sensor = Publisher(broker.port)
        for first in range(0, count, BATCH):
            sensor.send_all([message(number) for number in range(first, min(first + BATCH, count))])
        gateway.wait_ledger(taken=count * len(METRICS), timeout=60)
        wait_until(lambda: records()["queued"] == count, 60, lambda: str(records()))
        sink.server.start()
        wait_until(lambda: records()["delivered"] > 0, 120, what="the first record")
        began, cpu, first = time.monotonic(), cpu_seconds(gateway.process.pid), records()["delivered"]
        wait_until(lambda: records()["queued"] == 0, 600, what="the last record")
        seconds, cpu = time.monotonic() - began, cpu_seconds(gateway.process.pid) - cpu
        if sink.count() != count:
            sys.exit(f"scripts/bench-sinks: {count:,} records were sent, {kind} has {sink.count():,}")
        return (count - first) / seconds, cpu / (count - first) * 1e6
    finally:
        gateway.close()
        sink.server.close()
        broker.close()


def message(number):
    values = {name: 20.0 + (number * 7 + place) % 100 / 10 for place, name in enumerate(METRICS)}
    return f"sensors/device-{number % DEVICES}/telemetry", values


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    options = argparse.ArgumentParser(
        prog="scripts/bench-sinks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; default: all")
    options.add_argument("--records", type=int, default=50_000, help="how many wait; default 50000")
    options.add_argument("--dead", action="store_true", help="measure what a dead sink costs the others")
    options.add_argument("--pairs", type=int, default=5, help="with --dead: runs with and without it; default 5")
    options.add_argument("--seconds", type=float, default=30, help="with --dead: how long delays are taken; default 30, 0: no delays")
    options = options.parse_args()
    unknown = [kind for kind in options.kinds if kind not in KINDS]
    if unknown:
        sys.exit(f"scripts/bench-sinks: no kind {unknown[0]!r}; there are: {', '.join(KINDS)}")
    test_environment.enter("soak")
    sys.path.insert(0, str(ROOT / "tests"))
    if options.dead:
        import bench_sinks_dead

        return bench_sinks_dead.compare(options, measure)
    print(f"{'kind':10} {'records/s':>10} {'values/s':>10} {'µs of CPU a record':>20}")
    for kind in options.kinds or KINDS:
        with tempfile.TemporaryDirectory(prefix="riser-bench-") as folder:
            rate, cpu = measure(kind, options.records, pathlib.Path(folder))
        print(f"{kind:10} {rate:10,.0f} {rate * len(METRICS):10,.0f} {cpu:20.1f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

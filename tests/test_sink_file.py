"""Records in files: each once, whatever is killed; a file under its final name is complete."""

import csv
import json

from gateway import config
from peers import wait_until
from readings import now_millis

SINK = "file.export"
ALERT = '[alerts.too-hot]\nmetric = "temperature"\nabove = 40.0'
EVERYTHING = 'send = ["aggregates", "alerts", "readings"]'


def sink(more=EVERYTHING):
    return f"[sinks.file.export]\n{more}\n\n{ALERT}"


def send(sensor, device, count, value=20.0):
    sensor.send_all(
        [(f"sensors/{device}/telemetry", {"temperature": value + n, "ts": now_millis() + n}) for n in range(count)]
    )


def files(gateway, kind, folder="export"):
    path = gateway.data_dir / folder
    return sorted(path.glob(f"{kind}-*")) if path.is_dir() else []


def records(gateway, kind):
    while True:
        try:
            return [json.loads(line) for path in files(gateway, kind) for line in path.read_text().splitlines()]
        except FileNotFoundError:
            pass  # It got its final name meanwhile.


def delivered(gateway):
    return gateway.audit()["sinks"][SINK]["delivered"]


def test_lines_are_the_payloads_of_the_cloud(cloud, floor, sensor, riser, received):
    gateway = riser(config(cloud=cloud.port, floor=floor.port, more=sink())).start()
    received.wait_online()
    sensor.send("sensors/lounge/telemetry", {"temperature": 41.5, "humidity": 50, "ts": now_millis()})
    wait_until(lambda: delivered(gateway) == 3, 20, lambda: gateway.audit()["sinks"])
    received.wait_for(lambda: received.aggregates() and received.alerts(), 20, "the same in the cloud")
    assert records(gateway, "aggregates") == received.aggregates() and records(gateway, "alerts") == received.alerts()
    (reading,) = records(gateway, "readings")
    assert reading["metrics"] == {"temperature": 41.5, "humidity": 50.0}
    assert all(path.name.endswith(".jsonl.part") for path in files(gateway, ""))


def test_csv_has_the_columns_that_are_promised(floor, sensor, riser):
    gateway = riser(config(floor=floor.port, more=sink(f'format = "csv"\npath = "{{data_dir}}/csv"\n{EVERYTHING}'))).start()
    gateway.wait_log("connected and subscribed")
    sensor.send('sensors/lounge, "north"/telemetry', {"temperature": 41.5, "humidity": 50, "ts": now_millis()})
    wait_until(lambda: delivered(gateway) == 3, 20, lambda: gateway.audit()["sinks"])

    def rows(kind):
        (path,) = files(gateway, kind, "csv")
        with open(path, newline="") as file:
            return list(csv.DictReader(file))

    device = 'lounge, "north"'
    assert [(row["device"], row["metric"], float(row["value"])) for row in rows("readings")] == [
        (device, "temperature", 41.5),
        (device, "humidity", 50.0),
    ]
    first = rows("aggregates")[0]
    assert list(first) == "gateway device metric start revision avg min max std count".split()
    assert (first["device"], first["avg"], first["count"], first["revision"]) == (device, "41.5", "1", "0")
    (alert,) = rows("alerts")
    assert list(alert) == "id time gateway device zone metric alert kind state severity value message".split()
    assert (alert["alert"], alert["state"], alert["value"]) == ("too-hot", "raised", "41.5")


def test_each_record_stands_once_over_kills_and_in_complete_files(floor, sensor, riser):
    more = sink('rotate = "2s"\nmax_size = "20KiB"\nsend = ["readings"]')
    gateway = riser(config(floor=floor.port, more=more)).start()
    gateway.wait_log("connected and subscribed")
    for turn in range(8):
        send(sensor, f"device-{turn}", 100, 1000.0 * turn)
        gateway.wait_ledger(distinct=100 * (turn + 1))
        if turn % 2:
            # Records are written, and the store may not know it yet.
            before = len(records(gateway, "readings"))
            wait_until(lambda: len(records(gateway, "readings")) > before, 20, what="lines")
        gateway.kill()
        gateway.start()
    wait_until(lambda: gateway.audit()["sinks"][SINK]["queued"] == 0, 30, what="everything acknowledged")
    wait_until(lambda: not any(path.name.endswith(".part") for path in files(gateway, "readings")), 20, what="final names")
    found = records(gateway, "readings")
    values = sorted(record["metrics"]["temperature"] for record in found)
    assert values == [1000.0 * turn + n for turn in range(8) for n in range(100)]
    assert len({record["id"] for record in found}) == 800
    assert len(files(gateway, "readings")) > 2


def test_a_disk_that_is_full_loses_nothing_and_harms_nobody_else(site):
    setup = site(tables="\n" + sink('send = ["aggregates"]').split("\n\n")[0] + "\n")
    setup.send_and_wait()
    setup.disk.full("export")
    setup.send()
    setup.everything_arrives()
    setup.gateway.wait_log("No space left on device")
    queued = setup.gateway.audit()["sinks"][SINK]["queued"]
    assert queued > 0
    setup.disk.heal()
    wait_until(lambda: setup.gateway.audit()["sinks"][SINK]["queued"] == 0, 30, lambda: setup.gateway.audit()["sinks"])
    found = {record["id"]: record for record in records(setup.gateway, "aggregates")}
    assert sum(record["metrics"]["temperature"]["count"] for record in found.values()) == setup.sent.total

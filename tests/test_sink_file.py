"""Records in files: each once, whatever is killed; a file under its final name is complete."""

import csv
import datetime
import json
import math

import pyarrow
import pyarrow.parquet
import pytest
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


def files(gateway, kind="*", folder="export"):
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
    written = files(gateway)
    assert len(written) == 3 and all(path.name.endswith(".jsonl.part") for path in written), written


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


def tables(gateway, kind):
    """Of complete files."""
    found = [pyarrow.parquet.read_table(path) for path in files(gateway, kind) if path.suffix == ".parquet"]
    return pyarrow.concat_tables(found) if found else None


def reading_values(gateway):
    """Those of complete files, and of the lines that Parquet files will be made of."""
    complete = tables(gateway, "readings")
    values = complete["value"].to_pylist() if complete else []
    for path in files(gateway, "readings"):
        if path.suffix == ".part" and not path.with_suffix("").exists():
            text = path.read_text()
            # The last line may be half written.
            values += [json.loads(line)[3] for line in text[: text.rfind("\n") + 1].splitlines()]
    return values


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_each_record_stands_once_over_kills_and_in_complete_files(floor, sensor, riser, form):
    more = sink(f'format = "{form}"\nrotate = "2s"\nmax_size = "10KiB"\nsend = ["readings"]')
    gateway = riser(config(floor=floor.port, more=more)).start()

    def values():
        while True:
            try:
                if form == "parquet":
                    return reading_values(gateway)
                return [record["metrics"]["temperature"] for record in records(gateway, "readings")]
            except FileNotFoundError:
                pass  # It got its final name meanwhile.

    gateway.wait_log("connected and subscribed")
    for turn in range(8):
        send(sensor, f"device-{turn}", 100, 1000.0 * turn)
        gateway.wait_ledger(distinct=100 * (turn + 1))
        if turn % 2:
            # Records are written, and the store may not know it yet.
            before = len(values())
            wait_until(lambda: len(values()) > before, 20, what="lines")
        gateway.kill()
        gateway.start()
    wait_until(lambda: gateway.audit()["sinks"][SINK]["queued"] == 0, 30, what="everything acknowledged")
    wait_until(lambda: all(path.suffix == f".{form}" for path in files(gateway, "readings")), 20, what="final names")
    assert sorted(values()) == [1000.0 * turn + n for turn in range(8) for n in range(100)]
    if form == "jsonl":
        assert len({record["id"] for record in records(gateway, "readings")}) == 800
    assert len(files(gateway, "readings")) > 2


UTC_MILLIS = pyarrow.timestamp("ms", tz="UTC")
TYPES = {
    "readings": [("device", "string"), ("time", UTC_MILLIS), ("metric", "string"), ("value", "double")],
    "aggregates": [("gateway", "string"), ("device", "string"), ("metric", "string"), ("start", UTC_MILLIS)]
    + [("revision", "int64"), ("avg", "double"), ("min", "double"), ("max", "double"), ("std", "double"), ("count", "int64")],
    "alerts": [("id", "string"), ("time", UTC_MILLIS), ("gateway", "string"), ("device", "string"), ("zone", "string")]
    + [("metric", "string"), ("alert", "string"), ("kind", "string"), ("state", "string"), ("severity", "string")]
    + [("value", "double"), ("message", "string")],
}


def test_parquet_has_the_columns_values_and_types_that_are_promised(floor, sensor, riser):
    more = sink(f'format = "parquet"\nrotate = "1s"\n{EVERYTHING}')
    gateway = riser(config(floor=floor.port, more=more)).start()
    gateway.wait_log("connected and subscribed")
    device, metric = 'lounge, "north". Büro 会議室', 'temp "x".y\'s 温度'
    sent = [5e-324, -1.7976931348623157e308, 0.1 + 0.2, 2.0**63, 9007199254740991.0, -0.0]
    time = now_millis()
    for number, value in enumerate(sent):
        sensor.send(f"sensors/{device}/telemetry", {metric: value, "ts": time + number})
    sensor.send("sensors/hall/telemetry", {"temperature": 41.5, "ts": now_millis()})

    def complete():
        return all(files(gateway, kind) for kind in TYPES) and all(p.suffix == ".parquet" for p in files(gateway))

    wait_until(lambda: delivered(gateway) >= len(sent) + 4 and complete(), 30, lambda: files(gateway))
    for kind, columns in TYPES.items():
        for path in files(gateway, kind):
            schema = pyarrow.parquet.read_schema(path)
            is_optional = [kind == "alerts" and name in ("zone", "metric", "value") for name, _ in columns]
            assert [(f.name, str(f.type), f.nullable) for f in schema] == [
                (name, str(type), optional) for (name, type), optional in zip(columns, is_optional)
            ]
    readings = [row for row in tables(gateway, "readings").to_pylist() if row["device"] == device]
    assert [row["metric"] for row in readings] == [metric] * len(sent)
    assert [row["value"].hex() for row in readings] == [value.hex() for value in sent]
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    millis = [(row["time"] - epoch) // datetime.timedelta(milliseconds=1) for row in readings]
    assert millis == [time + n for n in range(len(sent))]
    (hall,) = [row for row in tables(gateway, "aggregates").to_pylist() if row["device"] == "hall"]
    assert (hall["avg"], hall["std"], hall["count"], hall["revision"]) == (41.5, 0.0, 1, 0)
    (alert,) = tables(gateway, "alerts").to_pylist()
    assert (alert["alert"], alert["state"], alert["value"], alert["zone"]) == ("too-hot", "raised", 41.5, None)


def test_what_a_crash_left_becomes_parquet_and_damaged_lines_are_kept(floor, riser):
    gateway = riser(config(floor=floor.port, more=sink(f'format = "parquet"\n{EVERYTHING}')))
    folder = gateway.data_dir / "export"
    folder.mkdir(parents=True)
    most = 2**63 - 1
    lines = [
        ["hq", "zones/a", "t", 1, 4294967295, 1.7976931348623157e308, "-inf", "inf", "NaN", most],
        ["hq", 'a "b"', "t", -1, 0, -0.0, 5e-324, 0.1, 1e-7, 2**53 + 1],
    ]
    name = "aggregates-20261120T000000Z-000.parquet"
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / f"{name}.part").write_text(text + '["hq","cut\n' + '["hq","cut')
    (folder / f"{name}.tmp").write_bytes(b"PAR1 and then a crash")
    # What was made of these lines is there: they were to be deleted.
    done = folder / "readings-20261120T000000Z-000.parquet"
    columns = pyarrow.schema([(name, type) for name, type in TYPES["readings"]])
    pyarrow.parquet.write_table(columns.empty_table(), done)
    (folder / f"{done.name}.part").write_text('["lounge",1,"t",1.0]\n')
    gateway.start()
    wait_until(lambda: not [p for p in files(gateway) if p.suffix in (".part", ".tmp")], 30, lambda: files(gateway))
    first, second = (list(row.values()) for row in tables(gateway, "aggregates").to_pylist())
    assert first[4:8] == [4294967295, 1.7976931348623157e308, -math.inf, math.inf] and math.isnan(first[8])
    assert first[9] == most and second[1] == 'a "b"' and second[4:] == lines[1][4:]
    assert math.copysign(1, second[5]) == -1
    assert [t.timestamp() for t in (first[3], second[3])] == [0.001, -0.001]
    assert (folder / f"{name}.damaged").read_text() == '["hq","cut\n'
    assert tables(gateway, "readings").num_rows == 0


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_disk_that_is_full_loses_nothing_and_harms_nobody_else(site, form):
    more = f'format = "{form}"\nrotate = "1s"\nsend = ["aggregates"]'
    setup = site(tables="\n" + sink(more).split("\n\n")[0] + "\n")
    setup.send_and_wait()
    setup.disk.full("export")
    setup.send()
    setup.everything_arrives()
    setup.gateway.wait_log("No space left on device")
    queued = setup.gateway.audit()["sinks"][SINK]["queued"]
    assert queued > 0
    setup.disk.heal()
    wait_until(lambda: setup.gateway.audit()["sinks"][SINK]["queued"] == 0, 30, lambda: setup.gateway.audit()["sinks"])
    if form == "jsonl":
        found = {record["id"]: record for record in records(setup.gateway, "aggregates")}
        counts = [record["metrics"]["temperature"]["count"] for record in found.values()]
    else:
        wait_until(lambda: all(p.suffix == ".parquet" for p in files(setup.gateway)), 30, what="final names")
        rows = tables(setup.gateway, "aggregates").to_pylist()
        rows = sorted((row for row in rows if row["metric"] == "temperature"), key=lambda row: row["revision"])
        newest = {(row["device"], row["start"]): row for row in rows if not row["device"].startswith("zones/")}
        counts = [row["count"] for row in newest.values()]
    assert sum(counts) == setup.sent.total


def test_a_parquet_file_that_cannot_be_made_is_told_and_made_when_the_disk_has_room(site):
    setup = site(tables="\n" + sink('format = "parquet"\nrotate = "2s"\nsend = ["readings"]').split("\n\n")[0] + "\n")
    # Lines can be written, and the files that are made of them cannot.
    setup.disk.full(".parquet.tmp")
    setup.send()
    setup.everything_arrives()
    said = lambda: setup.gateway.audit()["sinks"][SINK].get("last_error") or ""
    # Nothing more comes: it is told although nothing is to be written.
    wait_until(lambda: "cannot be made of its lines" in said(), 30, lambda: setup.gateway.audit()["sinks"])
    assert "No space left on device" in said()
    assert [path for path in files(setup.gateway) if path.suffix == ".part"], "the lines are there"
    assert not [path for path in files(setup.gateway) if path.suffix in (".parquet", ".tmp")], files(setup.gateway)
    # What comes meanwhile waits, and the attempts come less often.
    setup.send()
    setup.everything_arrives()
    wait_until(lambda: setup.gateway.audit()["sinks"][SINK]["queued"] > 0, 20, lambda: setup.gateway.audit()["sinks"])
    assert "cannot be made of its lines" in said()
    lines = [line for line in setup.gateway.log().splitlines() if "cannot be made of its lines" in line]
    assert len(lines) <= 2, lines
    setup.disk.heal()
    wait_until(lambda: not said() and setup.gateway.audit()["sinks"][SINK]["queued"] == 0, 60, said)
    wait_until(lambda: all(path.suffix == ".parquet" for path in files(setup.gateway)), 30, lambda: files(setup.gateway))
    assert tables(setup.gateway, "readings").num_rows == setup.sent.total

"""riser export: the windows that the cloud got, as CSV and Parquet, also while the gateway runs."""

import contextlib
import csv
import io
import json
import os
import sqlite3
import subprocess

import pyarrow
import pyarrow.parquet
import pytest
from gateway import BINARY
from readings import now_millis

HISTORY = '[history]\nkeep = "30d"\nreadings = "1d"\n'
COLUMNS = ["device", "metric", "start", "end", "avg", "min", "max", "std", "count"]


def export(gateway, *arguments, check=0):
    return gateway.cli("export", "--config", gateway.config, *arguments, check=check).stdout


def rows_of(text):
    rows = list(csv.DictReader(io.StringIO(text)))
    for row in rows:
        for key in ("avg", "min", "max", "std"):
            row[key] = float(row[key])
        row["count"] = int(row["count"])
    return rows


def published(received):
    """The rows that the cloud's aggregates make, the highest revision of each."""
    windows = {}
    for a in received.aggregates():
        key = (a["device"], a["window"]["start"], a["window"]["end"])
        if key not in windows or windows[key]["revision"] < a["revision"]:
            windows[key] = a
    rows = [
        {"device": d, "metric": name, "start": start, "end": end}
        | {key: m[key] for key in ("avg", "min", "max", "std", "count")}
        for (d, start, end), a in sorted(windows.items())
        for name, m in a["metrics"].items()
    ]
    return rows


@pytest.fixture
def gateway(main_job, sensor, received):
    """A stopped gateway with some windows of three devices."""
    gateway = main_job(more=HISTORY)
    start = (now_millis() // 1000 - 20) * 1000
    for n in range(10):
        for device, base in (("lounge", 20.0), ("attic", 30.0), ("meter-1", 1.5)):
            values = {"temperature": base + n / 3, "humidity": 40 + n, "ts": start + n * 1000}
            sensor.send(f"sensors/{device}/telemetry", values)
    received.wait_for(lambda: len(received.aggregates()) >= 30, 30, "thirty windows")
    gateway.stop()
    return gateway


def test_csv_is_what_the_cloud_got(gateway, received):
    text = export(gateway, "--from", "-1h")
    assert text.splitlines()[0] == ",".join(COLUMNS)
    assert rows_of(text) == published(received)


def test_a_glob_and_a_time_choose_rows(gateway, received):
    everything = published(received)
    meters = rows_of(export(gateway, "--from", "-1d", "--device", "meter-*"))
    assert meters and meters == [row for row in everything if row["device"] == "meter-1"]
    third = sorted({row["start"] for row in everything})[3]
    older = rows_of(export(gateway, "--from", "2020-01-01", "--to", third))
    assert older and older == [row for row in everything if row["start"] < third]
    assert rows_of(export(gateway, "--from", "2020-01-01", "--to", "2020-01-02")) == []


def test_parquet_has_the_same_rows_and_true_times(gateway, received, tmp_path):
    path = tmp_path / "export.parquet"
    assert export(gateway, "--from", "-1h", "--format", "parquet", "--output", path) == ""
    table = pyarrow.parquet.read_table(path)
    assert table.column_names == COLUMNS
    assert table.schema.field("start").type == pyarrow.timestamp("ms", tz="UTC")
    rows = table.to_pylist()
    for row in rows:
        for key in ("start", "end"):
            row[key] = row[key].isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert rows == published(received)


def test_a_file_is_there_as_a_whole_or_not_at_all(gateway, tmp_path):
    path = tmp_path / "export.csv"
    export(gateway, "--from", "-1h", "--output", path)
    assert path.read_text() == export(gateway, "--from", "-1h")
    folder = tmp_path / "folder"
    folder.mkdir()
    export(gateway, "--from", "-1h", "--output", folder, check=73)
    export(gateway, "--from", "-1h", "--output", tmp_path / "no" / "such" / "folder.csv", check=73)
    assert sorted(p.name for p in tmp_path.glob("*.csv")) == ["export.csv"]
    assert not list(tmp_path.glob(".riser*"))


def test_it_reads_beside_a_running_gateway(gateway, received):
    gateway.start()
    before = rows_of(export(gateway, "--from", "-1h"))
    assert before == published(received)
    gateway.stop()


def test_a_reader_that_goes_away_ends_it_quietly(gateway):
    reader, writer = os.pipe()
    os.close(reader)
    command = [BINARY, "export", "--config", gateway.config, "--from", "-1h"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=30)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--from", "yesterday"], 64),
        (["--from", "-1h", "--to", "-2h"], 64),
        (["--from", "-1h", "--device", "["], 64),
        (["--from", "-1h", "--format", "parquet"], 64),
        (["--from", "-1h", "--format", "xlsx"], 64),
        ([], 64),
        (["--from", "-1h", "--device", "nobody"], 66),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_code(gateway, arguments, code):
    export(gateway, *arguments, check=code)


def test_without_a_history_there_is_no_input(main_job):
    gateway = main_job()
    done = gateway.cli("export", "--config", gateway.config, "--from", "-1h", check=66)
    assert "[history]" in done.stderr


def test_a_kill_makes_no_alert_twice(main_job, sensor, received):
    gateway = main_job(more=HISTORY + '[alerts.hot]\nmetric = "temperature"\nabove = 40.0\n')
    sensor.send("sensors/lounge/telemetry", {"temperature": 50.0, "ts": now_millis()})
    received.wait_for(lambda: received.alerts(), 15, "an alert")
    for _ in range(2):
        gateway.kill()
        gateway.start()
        received.wait_online()
    sensor.send("sensors/lounge/telemetry", {"temperature": 20.0, "ts": now_millis()})
    received.wait_for(lambda: len({a["state"] for a in received.alerts()}) == 2, 15, "its end")
    gateway.stop()
    with contextlib.closing(sqlite3.connect(f"file:{gateway.data_dir / 'history.db'}?mode=ro", uri=True)) as file:
        rows = file.execute("SELECT raised, cleared FROM alerts").fetchall()
        readings = file.execute("SELECT count(*) FROM (SELECT 1 FROM readings UNION ALL SELECT 1 FROM recent_readings)")
        assert readings.fetchone() == (2,), "each message once"
    ((raised, cleared),) = rows
    stored = [json.loads(payload[:-4]) for payload in (raised, cleared)]
    sent = {a["state"]: {k: v for k, v in a.items() if k != "seq"} for a in received.alerts()}
    assert stored == [sent["raised"], sent["cleared"]]

"""riser simulate --days as a recording: what riser replay makes of it, and what the command line lets through."""

import json
import subprocess

import pytest

from gateway import BINARY, ID

CONFIG = f"""[gateway]
id = "{ID}"
data_dir = "data"
timezone = "UTC"
[aggregate]
window = "1h"
[alerts.hot]
metric = "temperature"
above = 60.0
[devices.climate-101]
zone = "floor-1/east"
"""


@pytest.fixture
def recorded(riser):
    """Simulates into month.jsonl and replays that; the alerts and aggregates, and the ledger."""
    gateway = riser(CONFIG)

    def replay(*arguments):
        month = gateway.cli("simulate", *arguments, check=0)
        assert month.stderr == ""
        (gateway.folder / "month.jsonl").write_text(month.stdout)
        done = gateway.cli("replay", "month.jsonl", "--config", gateway.config, "--json", check=0)
        assert done.stderr == "", "every line can be read"
        *rows, last = [json.loads(line) for line in done.stdout.splitlines()]
        return month.stdout, rows, last["ledger"]

    return replay


def test_two_days_of_a_building_are_replayed_whole(recorded):
    month, rows, ledger = recorded("--days", "2", "--every", "10m")
    assert month.count("\n") == 25 * 288
    assert ledger["in"] == ledger["published"] == 50 * 288 and ledger["balanced"]
    aggregates = [row for row in rows if "window" in row]
    assert len({row["device"] for row in aggregates}) == 25
    (noon,) = [
        row for row in aggregates if row["device"] == "climate-101" and row["window"]["start"].startswith("2026-01-06T12")
    ]
    assert noon["zone"] == "floor-1/east"
    assert noon["metrics"].keys() == {"temperature", "humidity", "co2", "battery"}
    means = {metric: summary["avg"] for metric, summary in noon["metrics"].items()}
    assert 15 < means["temperature"] < 28 and 450 < means["co2"] < 1300


def test_a_line_reports_time_device_zone_and_metrics(riser):
    done = riser(CONFIG).cli("simulate", "--days", "1", "--from", "2026-07-06", "--zone", "outside", check=0)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 288
    assert (rows[0]["time"], rows[-1]["time"]) == ("2026-07-06T00:00:00.000Z", "2026-07-06T23:55:00.000Z")
    assert all((row["device"], row["zone"]) == ("weather", "outside") for row in rows)
    assert all(row["metrics"].keys() == {"temperature", "pressure"} for row in rows)


def test_the_same_seed_writes_the_same_month(riser):
    def month(seed):
        return riser(CONFIG).cli("simulate", "--days", "1", "--every", "1h", "--seed", seed, check=0).stdout

    assert month(7) == month(7) != month(8)


def test_a_fault_is_heard_from_its_start_on(recorded):
    _, rows, _ = recorded("--days", "2", "--every", "10m", "--zone", "floor-1/east", "--fault", "dropout@heating-101+30h")
    aggregates = [row for row in rows if row["device"] == "heating-101" and "window" in row]
    lowest = {row["window"]["start"][:13]: row["metrics"]["supply_temperature"]["min"] for row in aggregates}
    assert lowest["2026-01-06T05"] > 20 and lowest["2026-01-06T06"] in (-40, 85)


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        ([], "--target <ADDR>|--print-config|--days <N>"),
        (["--days", "2", "--target", "127.0.0.1:1883"], "cannot be used with"),
        (["--target", "127.0.0.1:1883", "--every", "1m"], "cannot be used with"),
        (["--days", "2", "--rate", "5"], "cannot be used with"),
        (["--days", "2", "--fault", "stick"], "`stick` is no fault; there are stuck, offset,"),
        (["--days", "2", "--fault", "stuck@lounge+1d"], "no device `lounge` to go wrong; there are weather,"),
        (["--days", "2", "--fault", "stuck+3d"], "not before the end at 2026-01-07"),
        (["--days", "2", "--every", "90s"], "give whole minutes"),
        (["--days", "2", "--from", "5.1.2026"], "`5.1.2026` is not a date like 2026-01-05"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_simulated_is_64_and_reported(riser, arguments, reported):
    done = riser(CONFIG).cli("simulate", *arguments, check=64)
    assert done.stdout == "" and reported in done.stderr


def test_a_reader_that_goes_away_ends_it_quietly(riser):
    gateway = riser(CONFIG)
    process = subprocess.Popen(
        [BINARY, "simulate", "--days", "365"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=gateway.folder
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.wait(30)

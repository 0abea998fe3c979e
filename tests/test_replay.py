"""riser replay as the way to try settings on last week: what would have been raised, by whom, for how long."""

import json

import numpy as np
import pytest

from gateway import ID, config
from readings import rfc3339

BEGIN = 1_795_132_800_000
MINUTE = 60_000
DAYS = 4
SPIKE = 3 * 288 + 100
HOT = range(3 * 288 + 150, 3 * 288 + 156)

CONFIG = f"""[gateway]
id = "{ID}"
data_dir = "data"
timezone = "UTC"
[aggregate]
window = "1h"
[alerts.hot]
metric = "temperature"
above = 30.0
devices = ["hall"]
"""


def recording():
    """Two rooms, a reading every 5 minutes; a spike in the lounge, and half an hour of heat in the hall."""
    rng = np.random.default_rng(9)
    lines = ["time,device,temperature,humidity"]
    for row in range(DAYS * 288):
        for device, level in (("lounge", 21.0), ("hall", 19.0)):
            value = level + 2 * np.sin(2 * np.pi * row / 288) + rng.normal(0, 0.1)
            if device == "lounge" and row == SPIKE:
                value = 60.0
            if device == "hall" and row in HOT:
                value = 31.0
            humidity = 45 + rng.normal(0, 1)
            lines.append(f"{rfc3339(BEGIN + row * 5 * MINUTE)},{device},{value:.2f},{humidity:.1f}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def recorded(riser):
    gateway = riser(CONFIG)
    (gateway.folder / "week.csv").write_text(recording())

    def replay(*arguments):
        return gateway.cli("replay", "week.csv", "--config", gateway.config, *arguments, check=0).stdout

    return replay


def as_json(out):
    *rows, last = [json.loads(line) for line in out.splitlines()]
    assert last["ledger"]["balanced"]
    return rows, last["alerts"]


def test_the_summary_says_who_was_raised_and_for_how_long(recorded):
    rows, summary = as_json(recorded("--json", "--set", "anomaly.enabled=false"))
    assert any("window" in row for row in rows)
    (line,) = summary
    expected = {"device": "hall", "metric": "temperature", "alert": "hot", "raised": 1, "open": False}
    assert expected.items() <= line.items()
    assert line["duration"] == line["longest"] == 6 * 5 * 60, "from the first hot reading to the first that is not"


def test_the_model_speaks_in_words_and_the_summary_counts_what_it_said(recorded):
    rows, summary = as_json(recorded("--json", "--alerts"))
    assert not any("window" in row for row in rows), "only alerts were asked for"
    spike = [r for r in rows if r["kind"] == "anomaly" and r["device"] == "lounge" and r["state"] == "raised"]
    assert rfc3339(BEGIN + SPIKE * 5 * MINUTE) in {r["time"] for r in spike}
    assert all(r["message"].startswith(f"{r['metric']} ") for r in spike)
    raised = [r for r in rows if r["state"] == "raised"]
    assert sum(line["raised"] for line in summary) == len(raised)
    by_series = {(r["device"], r["metric"], r["alert"]) for r in raised}
    assert {(line["device"], line["metric"], line["alert"]) for line in summary} == by_series
    for line in summary:
        assert 0 <= line["longest"] <= line["duration"] <= DAYS * 86_400


def test_a_higher_threshold_speaks_less(recorded):
    def raised(threshold):
        _, summary = as_json(recorded("--json", "--alerts", "--set", f"anomaly.threshold={threshold}"))
        return sum(line["raised"] for line in summary if line["alert"] == "anomaly")

    assert raised(0.5) > 0
    assert raised(0.2) > raised(1)


def test_people_read_alerts_then_the_summary_then_the_ledger(recorded):
    out = recorded("--alerts").splitlines()
    begin = next(i for i, line in enumerate(out) if line.startswith("alerts "))
    assert out[begin].endswith("of 4 series in 4.0 d")
    assert all("raised:" in line or "cleared:" in line for line in out[:begin]), out[:begin]
    assert any("hall temperature: hot, 30 min in all, at most 30 min" in line for line in out[begin:])
    assert out[-1].startswith("balanced"), "it ends with the ledger"


def test_what_is_still_raised_at_the_end_is_reported(recorded, riser):
    gateway = riser(CONFIG)
    rows = [f"{rfc3339(BEGIN + i * MINUTE)},hall,{35 if i > 10 else 20}" for i in range(31)]
    (gateway.folder / "short.csv").write_text("time,device,temperature\n" + "\n".join(rows) + "\n")
    done = gateway.cli("replay", "short.csv", "--config", gateway.config, "--json", check=0)
    _, (line,) = as_json(done.stdout)
    assert line["open"] is True and line["duration"] == 19 * 60
    done = gateway.cli("replay", "short.csv", "--config", gateway.config, check=0)
    assert "still raised" in done.stdout


def test_settings_can_be_tried_without_a_configuration(recorded, riser):
    gateway = riser(CONFIG)
    gateway.config.unlink()
    (gateway.folder / "week.csv").write_text(recording())

    def raised(*arguments):
        done = gateway.cli("replay", "week.csv", "--json", "--alerts", *arguments, check=0)
        return len(as_json(done.stdout)[0])

    assert raised() > 0
    assert raised("--set", "anomaly.enabled=false") == 0
    wrong = gateway.cli("replay", "week.csv", "--set", "anomaly.treshold=1", check=78)
    assert 'did you mean "threshold"' in wrong.stdout


def test_a_name_cannot_write_to_the_terminal(riser):
    gateway = riser(CONFIG)
    readings = [{"time": rfc3339(BEGIN), "device": "hall\u001b[2J", "metric": "temperature", "value": 50}]
    (gateway.folder / "evil.jsonl").write_text("".join(json.dumps(r) + "\n" for r in readings))
    out = gateway.cli("replay", "evil.jsonl", "--config", gateway.config, "--set", 'alerts.hot.devices=["*"]', check=0)
    assert "\x1b" not in out.stdout and r"hall\u{1b}[2J temperature: hot" in out.stdout


def test_a_folder_and_a_line_without_end_are_refused_and_fill_no_memory(riser, tmp_path):
    gateway = riser(config(floor=1883))
    assert "it is a folder" in gateway.cli("replay", tmp_path, check=66).stderr
    assert "it is a folder" in gateway.cli("train", "--history", tmp_path, check=66).stderr
    rows = tmp_path / "rows.jsonl"
    good = '{"time":"2026-11-20T10:00:00Z","device":"lounge","metric":"temperature","value":21.0}\n'
    rows.write_text(good + "x" * 3_000_000 + "\n" + good.replace("10:00", "10:01"))
    done = gateway.cli("replay", rows, "--json", check=0)
    assert "a line longer than 1048576 bytes" in done.stderr
    (tmp_path / "rows.csv").write_text("time,device,temperature\n" + "x" * 3_000_000)
    done = gateway.cli("replay", tmp_path / "rows.csv", "--json")
    assert "a line longer than 1048576 bytes" in done.stderr
    done = gateway.cli("decode", "--batch", input="y" * 3_000_000 + '\n{"codec":"cayenne-lpp","fPort":1,"bytes":"016700D2"}\n', check=0)
    first, second = done.stdout.splitlines()
    assert "a line longer than" in first and "temperature_1" in second

"""riser train and what a gateway makes of it: a window whose combination is odd, though each value is ordinary."""

import json
import math
import random
import time

import pytest
from gateway import config
from peers import wait_until

WINDOW = 300
DAYS = 7
NOW = int(time.time())


def radiator(rng, index):
    """The wider the valve, the warmer the water that leaves it; the room depends on neither."""
    valve = min(100.0, max(0.0, 50 + 30 * math.sin(index / 288 * 2 * math.pi) + 8 * rng.gauss(0, 1)))
    return {"valve": valve, "warmer": 2 + 0.2 * valve + 0.8 * rng.gauss(0, 1), "room": 21 + 0.5 * rng.gauss(0, 1)}


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def history(path, *, readings=False, device="radiator", windows=DAYS * 288, metrics=("valve", "warmer", "room")):
    """A week of windows that ended yesterday: as they are published, or as one reading each."""
    rng = random.Random(1)
    begin = (NOW - (DAYS + 1) * 86_400) // WINDOW * WINDOW
    with open(path, "a") as out:
        for index in range(windows):
            start = begin + index * WINDOW
            values = {name: value for name, value in radiator(rng, index).items() if name in metrics}
            if readings:
                row = {"time": stamp(start + 1), "device": device, "metrics": values}
            else:
                summary = {n: {"avg": v, "min": v, "max": v, "std": 0, "count": 1} for n, v in values.items()}
                window = {"start": stamp(start), "end": stamp(start + WINDOW)}
                row = {"device": device, "window": window, "metrics": summary, "revision": 0}
            out.write(json.dumps(row) + "\n")
    return path


@pytest.fixture
def gateway(riser, cloud, floor):
    return riser(
        config(
            cloud=cloud.port,
            floor=floor.port,
            anomaly="enabled = true",
            aggregate='window = "2s"\nlateness = "100ms"',
        )
    )


def train(gateway, *arguments, check=0):
    return gateway.cli("train", "--config", gateway.config, *arguments, check=check)


def test_a_device_is_trained_from_published_aggregates(gateway, tmp_path):
    file = history(tmp_path / "week.jsonl")
    done = train(gateway, "--history", file, "--json")
    (report,) = map(json.loads, done.stdout.splitlines())
    assert report["device"] == "radiator"
    assert report["windows"] == DAYS * 288
    assert report["metrics"] == ["room", "valve", "warmer"]
    tried = {row["shape"]: row["likelihood"] for row in report["candidates"]}
    assert {"PCA, 1 component", "PCA, 2 components", "1 Gaussian"} <= tried.keys()
    assert tried[report["picked"]] > max(tried.values()) - 0.1
    assert report["limit"] > report["ordinary"]
    assert (gateway.data_dir / "models" / "radiator.model").is_file()
    assert "radiator (1 of 1)" in done.stderr


def test_raw_readings_give_the_same_model_as_their_aggregates(gateway, tmp_path):
    gateway.rewrite('window = "2s"', 'window = "5m"')
    reports = []
    for readings in (False, True):
        file = history(tmp_path / f"{readings}.jsonl", readings=readings, windows=400)
        reports.append(json.loads(train(gateway, "--history", file, "--json").stdout))
    assert reports[0] == reports[1]


def test_who_cannot_be_trained_is_told_why(gateway, tmp_path):
    file = history(tmp_path / "week.jsonl", windows=150)
    history(file, device="alone", metrics=("room",))
    done = train(gateway, "--history", file, check=66)
    assert "radiator: no model: 150 windows" in done.stdout
    assert "alone: no model: a model needs two metrics" in done.stdout
    assert "no device `cellar`" in train(gateway, "--history", file, "--device", "cellar", check=66).stderr
    assert "--history FILE" in train(gateway, check=66).stderr
    assert "cannot read" in train(gateway, "--history", tmp_path / "nothing", check=66).stderr


def send(sensor, **values):
    sensor.send("sensors/radiator/telemetry", json.dumps(values))


def combination_alerts(heard):
    return [alert for alert in heard.alerts("radiator") if "metric" not in alert or alert["metric"] is None]


def feed_until(sensor, heard, state, **values):
    """A window is 2 s: the same values go on until an alert with this state was heard."""
    alerts = []

    def told():
        send(sensor, **values)
        alerts[:] = [alert for alert in combination_alerts(heard) if alert["state"] == state]
        return alerts

    wait_until(told, 30, lambda: f"the device as a whole {state} in {heard.alerts()}")
    return alerts[0]


def test_an_odd_combination_raises_an_alert_and_an_ordinary_one_clears_it(gateway, sensor, heard, tmp_path):
    train(gateway, "--history", history(tmp_path / "week.jsonl"))
    gateway.start()
    heard.wait_online()
    raised = feed_until(sensor, heard, "raised", valve=85.0, warmer=7.0, room=21.0)
    assert raised["kind"] == "anomaly"
    assert raised["score"] >= 0.5
    assert "warmer 7 (rather 1" in raised["message"]
    gateway.kill()
    gateway.start()
    feed_until(sensor, heard, "cleared", valve=85.0, warmer=19.0, room=21.0)
    # What was raised is still known after the crash; upstream may hear of it twice, under the same id.
    assert {alert["id"] for alert in combination_alerts(heard) if alert["state"] == "raised"} == {raised["id"]}


def test_a_running_gateway_takes_a_model_when_it_reloads(gateway, sensor, heard, tmp_path):
    gateway.start()
    heard.wait_online()
    train(gateway, "--history", history(tmp_path / "week.jsonl"))
    gateway.reload()
    feed_until(sensor, heard, "raised", valve=85.0, warmer=7.0, room=21.0)


def test_a_damaged_model_is_told_and_keeps_nothing_from_running(gateway, sensor, heard, tmp_path):
    train(gateway, "--history", history(tmp_path / "week.jsonl"))
    file = gateway.data_dir / "models" / "radiator.model"
    damaged = bytearray(file.read_bytes())
    damaged[100] ^= 1
    file.write_bytes(damaged)
    gateway.start()
    heard.wait_online()
    gateway.wait_log("radiator.model is damaged: its checksum is wrong")
    send(sensor, valve=85.0, warmer=7.0, room=21.0)
    heard.wait_count("radiator", "valve", 1)
    assert combination_alerts(heard) == []

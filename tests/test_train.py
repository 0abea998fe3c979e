"""riser train and what a gateway makes of it: a window whose combination is odd, though each value is ordinary."""

import json
import math
import random
import time

import pytest
from gateway import config
from peers import wait_until
from readings import now_millis

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


def test_who_cannot_be_trained_is_reported_why(gateway, tmp_path):
    file = history(tmp_path / "week.jsonl", windows=150)
    history(file, device="alone", metrics=("room",))
    done = train(gateway, "--history", file, check=66)
    assert "radiator: no model: 150 windows" in done.stdout
    assert "alone: no model: a model needs two metrics" in done.stdout
    assert "no device `cellar`" in train(gateway, "--history", file, "--device", "cellar", check=66).stderr
    refused = train(gateway, check=66).stderr
    assert "add `[history]`" in refused and "--history FILE" in refused
    assert "cannot read" in train(gateway, "--history", tmp_path / "nothing", check=66).stderr


def send(sensor, **values):
    sensor.send("sensors/radiator/telemetry", json.dumps(values))


def combination_alerts(received):
    return [alert for alert in received.alerts("radiator") if "metric" not in alert or alert["metric"] is None]


def feed_until(sensor, received, state, **values):
    """A window is 2 s: the same values go on until an alert with this state was received."""
    alerts = []

    def reported():
        send(sensor, **values)
        alerts[:] = [alert for alert in combination_alerts(received) if alert["state"] == state]
        return alerts

    wait_until(reported, 30, lambda: f"the device as a whole {state} in {received.alerts()}")
    return alerts[0]


def test_an_odd_combination_raises_an_alert_and_an_ordinary_one_clears_it(gateway, sensor, received, tmp_path):
    train(gateway, "--history", history(tmp_path / "week.jsonl"))
    gateway.start()
    received.wait_online()
    raised = feed_until(sensor, received, "raised", valve=85.0, warmer=7.0, room=21.0)
    assert raised["kind"] == "anomaly"
    assert raised["score"] >= 0.5
    assert "warmer 7 (rather 1" in raised["message"]
    gateway.kill()
    gateway.start()
    feed_until(sensor, received, "cleared", valve=85.0, warmer=19.0, room=21.0)
    # What was raised is still known after the crash; upstream may hear of it twice, under the same id.
    assert {alert["id"] for alert in combination_alerts(received) if alert["state"] == "raised"} == {raised["id"]}


def test_a_running_gateway_takes_a_model_when_it_reloads(gateway, sensor, received, tmp_path):
    gateway.start()
    received.wait_online()
    train(gateway, "--history", history(tmp_path / "week.jsonl"))
    gateway.reload()
    feed_until(sensor, received, "raised", valve=85.0, warmer=7.0, room=21.0)


def test_a_damaged_model_is_reported_and_keeps_nothing_from_running(gateway, sensor, received, tmp_path):
    train(gateway, "--history", history(tmp_path / "week.jsonl"))
    file = gateway.data_dir / "models" / "radiator.model"
    damaged = bytearray(file.read_bytes())
    damaged[100] ^= 1
    file.write_bytes(damaged)
    gateway.start()
    received.wait_online()
    gateway.wait_log("radiator.model is damaged: its checksum is wrong")
    send(sensor, valve=85.0, warmer=7.0, room=21.0)
    received.wait_count("radiator", "valve", 1)
    assert combination_alerts(received) == []


HISTORY = '[history]\nkeep = "30d"\n'
# The history writes this many windows at once.
GATHERED = 1_000


@pytest.fixture
def keeper(riser, cloud, floor):
    """A factory: a gateway with a history and windows of a second."""

    def make(retrain):
        return riser(
            config(cloud=cloud.port, floor=floor.port, anomaly=f'enabled = true\nretrain = "{retrain}"', more=HISTORY)
        )

    return make


def past(windows, devices=("radiator",)):
    """A reading of each device in each of so many windows of a second, of the last half hour."""
    rng = random.Random(2)
    begin = (now_millis() // 1000 - 1_800) * 1000
    return [
        (f"sensors/{device}/telemetry", radiator(rng, index) | {"ts": begin + index * 1000})
        for index in range(windows)
        for device in devices
    ]


FLOOR = ("north", "east", "south", "radiator")


def models(gateway):
    return {path.name for path in (gateway.data_dir / "models").glob("*.model")}


def wait_trained(gateway, *devices):
    trained = {f"{device}.model" for device in devices}
    wait_until(lambda: models(gateway) == trained, 60, lambda: f"{devices} in {models(gateway)}: {gateway.log()[-2000:]}")


def test_a_device_is_trained_from_the_gateways_own_history_beside_it_and_after_it_has_stopped(
    keeper, sensor, received
):
    gateway = keeper(retrain="0s").start()
    received.wait_online()
    sensor.send_all(past(GATHERED + 50))
    wait_until(lambda: trains(gateway), 30, "a history that was written")
    beside = json.loads(train(gateway, "--json", "--device", "radiator").stdout)
    assert beside["windows"] >= GATHERED
    assert beside["metrics"] == ["room", "valve", "warmer"]
    assert gateway.stop() == 0
    after = json.loads(train(gateway, "--json").stdout)
    # The last window closes when time has gone by, so a stop may take it before.
    assert GATHERED + 49 <= after["windows"] <= GATHERED + 50
    assert after["from"] == beside["from"]
    assert "no device `cellar`" in train(gateway, "--device", "cellar", check=66).stderr


def trains(gateway):
    return train(gateway, "--json", check=None).returncode == 0


def test_a_gateway_trains_by_itself_and_takes_readings_meanwhile(keeper, sensor, received):
    gateway = keeper(retrain="1s").start()
    received.wait_online()
    sensor.send_all(past(GATHERED // len(FLOOR) + 20, FLOOR))
    wait_until(lambda: models(gateway), 60, lambda: f"a model in {gateway.log()[-2000:]}")
    took = []
    while len(models(gateway)) < len(FLOOR):
        begun, before = time.monotonic(), gateway.audit()["in"]
        send(sensor, room=21.0)
        wait_until(lambda before=before: gateway.audit()["in"] > before, 5, "a reading that is taken")
        took.append(time.monotonic() - begun)
    assert len(took) >= 3, "it trained one device after the other meanwhile"
    assert max(took) < 2, took
    wait_trained(gateway, *FLOOR)
    gateway.wait_log("new models of devices as a whole are in force")
    feed_until(sensor, received, "raised", valve=85.0, warmer=7.0, room=21.0)
    assert gateway.stop() == 0
    assert " WARN " not in gateway.log()


def test_a_gateway_that_is_killed_while_it_trains_has_the_models_so_far_and_trains_the_rest(keeper, sensor, received):
    gateway = keeper(retrain="1s").start()
    received.wait_online()
    sensor.send_all(past(GATHERED // len(FLOOR) + 20, FLOOR))
    wait_until(lambda: len(models(gateway)) >= 2, 60, lambda: f"two models in {gateway.log()[-2000:]}")
    gateway.kill()
    so_far = {path.name: path.read_bytes() for path in (gateway.data_dir / "models").glob("*.model")}
    assert len(so_far) < len(FLOOR)
    # What was trained stays: a day has not passed.
    gateway.rewrite('retrain = "1s"', 'retrain = "1d"')
    gateway.start()
    wait_trained(gateway, *FLOOR)
    assert so_far.items() <= {p.name: p.read_bytes() for p in (gateway.data_dir / "models").glob("*")}.items()
    feed_until(sensor, received, "raised", valve=85.0, warmer=7.0, room=21.0)
    gateway.kill()
    gateway.start()
    feed_until(sensor, received, "cleared", valve=85.0, warmer=19.0, room=21.0)


def test_a_stop_does_not_wait_for_training(keeper, sensor, received):
    gateway = keeper(retrain="1s").start()
    received.wait_online()
    sensor.send_all(past(GATHERED // len(FLOOR) + 20, FLOOR))
    wait_until(lambda: models(gateway), 60, lambda: f"a model in {gateway.log()[-2000:]}")
    begun = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - begun < 5
    assert len(models(gateway)) < len(FLOOR)


def test_a_reload_turns_training_on(keeper, sensor, received):
    gateway = keeper(retrain="0s").start()
    received.wait_online()
    sensor.send_all(past(GATHERED))
    wait_until(lambda: trains(gateway), 30, "a history that was written")
    (gateway.data_dir / "models" / "radiator.model").unlink()
    gateway.rewrite('retrain = "0s"', 'retrain = "1h"')
    gateway.reload()
    wait_trained(gateway, "radiator")
    feed_until(sensor, received, "raised", valve=85.0, warmer=7.0, room=21.0)


def test_replay_judges_by_the_models_of_the_data_directory(gateway, tmp_path):
    train(gateway, "--history", history(tmp_path / "week.jsonl"))
    gateway.rewrite('window = "2s"', 'window = "5m"')
    odd = tmp_path / "odd.jsonl"
    values = {"valve": 85.0, "warmer": 7.0, "room": 21.0}
    rows = [{"time": stamp(NOW // WINDOW * WINDOW + i * WINDOW), "device": "radiator", "metrics": values} for i in (0, 1)]
    odd.write_text("".join(json.dumps(row) + "\n" for row in rows))
    reported = gateway.cli("replay", odd, "--config", gateway.config, "--alerts", check=0).stdout
    assert "warmer 7 (rather 1" in reported
    (gateway.data_dir / "models" / "radiator.model").unlink()
    reported = gateway.cli("replay", odd, "--config", gateway.config, "--alerts", check=0).stdout
    assert "rather" not in reported

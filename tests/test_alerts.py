"""Alerts: at once, not with the window; with hysteresis; into the building as well; from rules and from the model."""

import numpy as np

from gateway import ID
from peers import wait_until
from readings import now_millis, rfc3339

SLOW_WINDOWS = 'window = "5m"\nlateness = "10s"'


def publish(sensor, device, at=None, **metrics):
    sensor.send(f"sensors/{device}/telemetry", metrics | {"ts": at or now_millis()})


def states(received, device="lounge"):
    return [a["state"] for a in received.alerts(device)]


def test_an_alert_leaves_at_once_and_clears_with_hysteresis(main_job, floor, sensor, received, collector):
    topic, payload = "zigbee2mqtt/hvac_zone_1/set", '{"fan_mode":"high"}'
    main_job(
        aggregate=SLOW_WINDOWS,
        more='[devices.lounge]\nzone = "floor-1/lounge"\n'
        '[alerts.too-hot]\nmetric = "temperature"\nabove = 40.0\nclear_by = 0.5\nseverity = "critical"\nzones = ["floor-1/*"]\n'
        f'actions = [ {{ adapter = "mqtt.floor", topic = "{topic}", payload = \'{payload}\' }} ]',
    )
    actions = collector(floor, topic)
    publish(sensor, "lounge", temperature=39.9)
    at = now_millis()
    publish(sensor, "lounge", at, temperature=41.2)
    received.wait_for(lambda: received.alerts(), 5, "the alert")
    (message,) = [m for m in received.messages if m.topic == "building/alerts/lounge"]
    assert message.at - at / 1000 < 1.0 and not message.retained
    raised = message.body
    assert received.aggregates() == []
    expected = {
        "gateway": ID,
        "device": "lounge",
        "zone": "floor-1/lounge",
        "metric": "temperature",
        "alert": "too-hot",
        "kind": "threshold",
        "state": "raised",
        "severity": "critical",
        "value": 41.2,
        "time": rfc3339(at),
        "message": "temperature 41.2 is above 40",
    }
    assert {k: raised.get(k) for k in expected} == expected
    assert raised["id"] and isinstance(raised["seq"], int)
    actions.wait_for(lambda: actions.messages, 5, "the action on the device's topic")
    assert actions.messages[0].raw.decode() == payload and not actions.messages[0].retained

    publish(sensor, "lounge", temperature=39.8)  # below the limit, not by clear_by
    publish(sensor, "lounge", temperature=41.5)
    publish(sensor, "elsewhere", temperature=50.0)  # no zone of the rule's
    publish(sensor, "lounge", temperature=39.2)
    received.wait_for(lambda: len(received.alerts()) == 2, 5, "the alert cleared")
    cleared = received.alerts()[1]
    assert cleared["state"] == "cleared" and cleared["value"] == 39.2 and cleared["alert"] == "too-hot"
    publish(sensor, "lounge", temperature=42.0)
    received.wait_for(lambda: len(received.alerts()) == 3, 5, "the alert raised again")
    assert states(received) == ["raised", "cleared", "raised"]
    actions.wait_for(lambda: len(actions.messages) == 2, 5, "the second action")
    assert len({a["id"] for a in received.alerts()}) == 3


def test_below_holds_for_and_rises_by_are_conditions_of_their_own(main_job, sensor, received):
    main_job(
        aggregate=SLOW_WINDOWS,
        more='[alerts.cold]\nmetric = "temperature"\nbelow = 5.0\nfor = "30s"\ndevices = ["freezer-*"]\n'
        '[alerts.jump]\nmetric = "pressure"\nrises_by = 5.0\nwithin = "1m"\nseverity = "info"\n',
    )
    now = now_millis()
    for device, second, value in (
        ("freezer-1", -90, 4.0),
        ("freezer-1", -80, 6.0),
        ("freezer-1", -79, 4.0),
        ("freezer-1", -55, 4.0),
        ("freezer-1", -48, 3.5),
        ("room", -48, 1.0),
    ):
        publish(sensor, device, now + second * 1000, temperature=value)
    received.wait_for(lambda: received.alerts("freezer-1"), 5, "the alert after 30 s below")
    (alert,) = received.alerts()
    assert alert["alert"] == "cold" and alert["kind"] == "threshold" and alert["severity"] == "warning"
    assert alert["value"] == 3.5 and alert["time"] == rfc3339(now - 48_000)

    for second, value in ((-200, 1000.0), (-100, 1006.0), (-40, 1008.0), (-10, 1013.5)):
        publish(sensor, "roof", now + second * 1000, pressure=value)
    received.wait_for(lambda: received.alerts("roof"), 5, "the alert of the rise")
    (alert,) = received.alerts("roof")
    assert (
        alert["kind"] == "rate"
        and alert["alert"] == "jump"
        and alert["value"] == 1013.5
        and alert["severity"] == "info"
    )


def test_a_silent_device_is_reported_and_its_return_too(main_job, sensor, received):
    main_job(aggregate=SLOW_WINDOWS, more='[alerts.gone]\nsilent_for = "1s"')
    publish(sensor, "lounge", temperature=21.0)
    received.wait_for(lambda: states(received) == ["raised"], 10, "the alert of silence")
    assert received.alerts()[0]["kind"] == "silent" and received.alerts()[0]["alert"] == "gone"
    publish(sensor, "lounge", temperature=21.0)
    received.wait_for(lambda: states(received)[:2] == ["raised", "cleared"], 10, "the return")


def test_the_model_learns_a_series_and_reports_what_is_unlike_it(main_job, sensor, received):
    main_job(aggregate='window = "1h"\nlateness = "10s"\ncorrect_for = "7d"', anomaly="enabled = true")
    # Two days of one reading a minute: a day's rise and fall with noise.
    minutes = np.arange(2 * 1440)
    values = 21 + 2 * np.sin(2 * np.pi * minutes / 1440) + np.random.default_rng(6).normal(0, 0.1, len(minutes))
    begin = now_millis() - (len(minutes) + 2) * 60_000
    sensor.send_all(
        ("sensors/lounge/telemetry", {"temperature": round(float(v), 3), "ts": begin + int(m) * 60_000})
        for m, v in zip(minutes, values, strict=True)
    )
    publish(sensor, "lounge", now_millis() - 60_000, temperature=55.0)
    received.wait_for(lambda: received.alerts(), 20, "the anomaly")
    alert = received.alerts()[0]
    assert alert["value"] == 55.0, "nothing before it was odd"
    assert alert["kind"] == "anomaly" and alert["state"] == "raised" and alert["metric"] == "temperature"
    assert 0.5 <= alert["score"] <= 1 and alert["message"]


def test_alerts_overtake_a_backlog_of_aggregates(main_job, cloud, sensor, received):
    gateway = main_job(more='[alerts.too-hot]\nmetric = "temperature"\nabove = 40.0', outbox="max_in_flight = 4")
    cloud.freeze()
    batch = now_millis() // 1000 * 1000 - 600_000
    sensor.send_all(
        (f"sensors/dev{d}/telemetry", {"temperature": 21.0, "ts": batch + s * 1000})
        for s in range(60)
        for d in range(10)
    )
    wait_until(lambda: gateway.audit()["queued"] > 500, what="a backlog")
    publish(sensor, "lounge", temperature=41.0)
    gateway.wait_ledger(taken=601)
    cloud.thaw()
    received.wait_for(lambda: received.alerts(), 15, "the alert")
    before = [b["seq"] for b in received.numbered()].index(received.alerts()[0]["seq"])
    assert before <= 100, f"{before} aggregates came before the alert"
    received.wait_for(lambda: sum(received.count(f"dev{d}", "temperature") for d in range(10)) >= 550, 30, "the backlog")

"""Sensors on a floor's broker in, aggregates out to the cloud: numbers, identities, windows, corrections, status."""

import math

import numpy as np

from gateway import HEALTH_EVERY_SECOND, ID
from readings import assert_gap_free, assert_summary, now_millis, rfc3339, spread, window_ahead


def send_window(sensor, device, start, values, metric="temperature", length=1000):
    times = spread(start, len(values), length)
    sensor.send_all((f"sensors/{device}/telemetry", {metric: v, "ts": t}) for v, t in zip(values, times, strict=True))


def test_aggregates_of_many_devices_equal_numpy(main_job, sensor, heard):
    main_job()
    random, start = np.random.default_rng(1), window_ahead()
    sent = {
        f"dev{i}": {"temperature": random.normal(21, 2, 50), "air.co2": random.integers(400, 1400, 50)}
        for i in range(8)
    }
    sensor.send_all(
        (
            f"sensors/{device}/telemetry",
            {
                "temperature": float(m["temperature"][i]),
                "air": {"co2": int(m["air.co2"][i])},
                "ts": at,
                "name": "x",
                "note": None,
                "raw": [1, 2],
            },
        )
        for i, at in enumerate(spread(start, 50))
        for device, m in sent.items()
    )
    for device, metrics in sent.items():
        heard.wait_count(device, "temperature", 50)
        (aggregate,) = heard.latest(device)
        assert set(aggregate["metrics"]) == {"temperature", "air.co2"}
        for metric, values in metrics.items():
            assert_summary(aggregate["metrics"][metric], values)


def test_small_spreads_around_a_billion_keep_their_digits(main_job, sensor, heard):
    main_job()
    values = 1e9 + np.random.default_rng(2).normal(0, 1, 400)
    send_window(sensor, "meter", window_ahead(), [float(v) for v in values], "power")
    heard.wait_count("meter", "power", 400)
    assert_summary(heard.latest("meter")[0]["metrics"]["power"], values)


def test_an_aggregate_says_who_when_and_what(main_job, sensor, heard):
    main_job(more='[devices.lounge]\naddress = "lounge"\nzone = "floor-1/lounge"')
    start = window_ahead()
    send_window(sensor, "lounge", start, [21.0, 22.0])
    heard.wait_count("lounge", "temperature", 2)
    (message,) = [m for m in heard.messages if m.topic == "building/sensors/lounge/aggregated"]
    body = message.body
    assert not message.retained
    assert body["id"] == f"{ID}/lounge/{start}/1000"
    assert body["gateway"] == ID and body["device"] == "lounge" and body["zone"] == "floor-1/lounge"
    assert body["protocol"] == "mqtt"
    assert body["window"] == {"start": rfc3339(start), "end": rfc3339(start + 1000)}
    assert body["revision"] == 0 and body["late"] == 0 and body["time_quality"] == "synced"
    assert isinstance(body["seq"], int)
    assert body["metrics"]["temperature"]["unit"] == "Cel"
    assert body["metrics"]["temperature"]["first"] == 21.0 and body["metrics"]["temperature"]["last"] == 22.0


def test_an_aggregate_leaves_once_its_window_is_over_and_not_before(main_job, sensor, heard):
    main_job()
    start = window_ahead()
    send_window(sensor, "lounge", start, [21.0])
    heard.wait_count("lounge", "temperature", 1)
    (message,) = [m for m in heard.messages if m.topic.endswith("lounge/aggregated")]
    late_by = message.at - (start + 1000) / 1000
    assert 0.3 <= late_by < 2.0, f"{late_by} s after the window's end, where lateness is 0.3 s"


def test_seq_has_no_gaps_over_devices_alerts_and_restarts(main_job, sensor, heard):
    gateway = main_job(more='[alerts.hot]\nmetric = "temperature"\nabove = 40.0')
    for device in ("a", "b", "c"):
        send_window(sensor, device, window_ahead(), [21.0, 45.0, 20.0])
        heard.wait_count(device, "temperature", 3)
    heard.wait_for(lambda: len(heard.alerts()) == 6, what="an alert raised and cleared for each of three devices")
    assert gateway.stop() == 0
    gateway.start()
    heard.wait_for(lambda: heard.statuses()[-2:] == ["offline", "online"], what="offline, then online")
    send_window(sensor, "a", window_ahead(), [21.0])
    heard.wait_count("a", "temperature", 4)
    seqs = assert_gap_free(heard.numbered())
    assert len(seqs) == len(heard.numbered()) == 10


def test_names_are_percent_encoded_in_topics(main_job, sensor, heard):
    main_job(
        topics=[
            '{ filter = "csv", format = "csv", columns = ["device", "temperature"] }',
            ("zigbee2mqtt/{device}", "zigbee2mqtt"),
        ]
    )
    sensor.send("csv", "a+b#c,21.5")
    sensor.send("zigbee2mqtt/kitchen/lamp", {"temperature": 20.5})
    heard.wait_count("a+b#c", "temperature", 1)
    heard.wait_count("kitchen/lamp", "temperature", 1)
    topics = {m.topic for m in heard.messages if m.topic.endswith("/aggregated")}
    assert topics == {"building/sensors/a%2Bb%23c/aggregated", "building/sensors/kitchen%2Flamp/aggregated"}


def test_percentiles_counters_and_states_have_their_own_numbers(main_job, sensor, heard):
    main_job(
        aggregate='window = "1s"\nlateness = "300ms"\npercentiles = [50, 95]\n'
        '[aggregate.metrics.energy]\nkind = "counter"\n[aggregate.metrics.mode]\nkind = "state"'
    )
    values = np.random.default_rng(3).gamma(2.0, 100.0, 500)
    start = window_ahead()
    send_window(sensor, "skewed", start, [float(v) for v in values], "co2")
    send_window(sensor, "meter", start, [100.0, 110.0, 5.0, 8.0], "energy")
    send_window(sensor, "meter", start + 1000, [9.0, 20.0], "energy")
    send_window(sensor, "door", start, [False, True, True, False], "contact")
    send_window(sensor, "unit", start, [2, 2, 3, 2], "mode")
    heard.wait_count("skewed", "co2", 500)
    co2 = heard.latest("skewed")[0]["metrics"]["co2"]
    for percent in (50, 95):
        assert math.isclose(co2[f"p{percent}"], np.percentile(values, percent), rel_tol=0.02), percent

    heard.wait_count("meter", "energy", 6)
    first, second = (a["metrics"]["energy"] for a in heard.latest("meter"))
    assert first["resets"] == 1 and second["resets"] == 0
    # 10 up, started again and 5, 3 more; then from 8 to 20: nothing between two windows is lost.
    assert first["delta"] == 18.0 and second["delta"] == 12.0
    assert second["rate"] > 0
    assert_summary(first, [100.0, 110.0, 5.0, 8.0])

    heard.wait_count("door", "contact", 4)
    contact = heard.latest("door")[0]["metrics"]["contact"]
    assert contact["last"] == 0 and contact["changes"] == 2
    assert contact["duration"] == {"0": 0.5, "1": 0.5}
    assert_summary(contact, [0, 1, 1, 0])
    heard.wait_count("unit", "mode", 4)
    mode = heard.latest("unit")[0]["metrics"]["mode"]
    assert mode["changes"] == 2 and mode["duration"] == {"2": 0.75, "3": 0.25}


def test_a_zone_gets_its_own_aggregate_over_all_its_devices(main_job, sensor, heard):
    devices = "".join(f'[devices.{d}]\naddress = "{d}"\nzone = "floor-1/lounge"\n' for d in ("east", "west"))
    main_job(aggregate='window = "1s"\nlateness = "300ms"\nby_zone = true', more=devices)
    start = window_ahead()
    east, west = [20.0, 21.0, 22.5], [25.0, 26.0]
    send_window(sensor, "east", start, east)
    send_window(sensor, "west", start, west)
    send_window(sensor, "elsewhere", start, [99.0])
    zone = "floor-1/lounge"
    heard.wait_for(
        lambda: sum(a["metrics"]["temperature"]["count"] for a in heard.latest(zone=zone)) >= 5,
        what="the zone's aggregate",
    )
    (body,) = heard.latest(zone=zone)
    assert_summary(body["metrics"]["temperature"], east + west)
    assert body["id"] == f"{ID}/zones/{zone}/{start}/1000" and "device" not in body
    assert heard.on(f"building/zones/{zone}/aggregated")[-1] == body


def test_a_straggler_makes_a_corrected_aggregate(main_job, sensor, heard):
    gateway = main_job()
    start = window_ahead()
    send_window(sensor, "lounge", start, [20.0, 21.0, 22.0])
    heard.wait_count("lounge", "temperature", 3)
    send_window(sensor, "lounge", start, [30.0])
    heard.wait_count("lounge", "temperature", 4)
    first, corrected = heard.aggregates("lounge")
    assert first["id"] == corrected["id"]
    assert (first["revision"], first["late"]) == (0, 0)
    assert (corrected["revision"], corrected["late"]) == (1, 1)
    assert_summary(corrected["metrics"]["temperature"], [20.0, 21.0, 22.0, 30.0])
    # A window in which it had said nothing starts at revision 0.
    send_window(sensor, "lounge", start - 5000, [10.0])
    heard.wait_for(lambda: len(heard.latest("lounge")) == 2, what="a second window")
    assert heard.latest("lounge")[0]["revision"] == 0
    assert gateway.wait_ledger(published=5)["in"] == 5


def test_what_is_too_late_or_from_too_far_ahead_is_counted(main_job, sensor, heard):
    gateway = main_job(aggregate='window = "1s"\nlateness = "300ms"\ncorrect_for = "10s"\nmax_future = "30s"')
    now = now_millis()
    sensor.send("sensors/lounge/telemetry", {"temperature": 21.0, "ts": now})
    sensor.send("sensors/lounge/telemetry", {"temperature": 5.0, "ts": now - 60_000})
    sensor.send("sensors/lounge/telemetry", {"temperature": 6.0, "humidity": 7.0, "ts": now + 120_000})
    sensor.send("sensors/lounge/telemetry", {"temperature": 22.0, "ts": now + 1})
    heard.wait_count("lounge", "temperature", 2)
    ledger = gateway.wait_ledger(published=2)
    assert ledger["dropped"] == {"late": 1, "future": 2} | {
        k: 0 for k in ledger["dropped"] if k not in ("late", "future")
    }
    assert ledger["in"] == 5


def test_an_hour_of_old_readings_falls_into_its_right_windows(main_job, sensor, heard):
    main_job(aggregate='window = "1m"\nlateness = "1s"\ncorrect_for = "2h"')
    last = now_millis() // 60_000 * 60_000
    values = np.random.default_rng(4).normal(21, 2, 360)
    times = [last - 3_600_000 + i * 10_000 for i in range(360)] + [last]
    sensor.send_all(
        ("sensors/logger/telemetry", {"temperature": float(v), "ts": t})
        for v, t in zip([*values, 21.0], times, strict=True)
    )
    heard.wait_for(lambda: len(heard.latest("logger")) >= 60, what="60 windows, one a minute")
    for i, body in enumerate(heard.latest("logger")[:60]):
        assert body["window"]["start"] == rfc3339(last - 3_600_000 + i * 60_000)
        assert_summary(body["metrics"]["temperature"], values[i * 6 : i * 6 + 6])
    assert max(a["revision"] for a in heard.aggregates("logger")) == 0, "a batch in order needs no corrections"


def test_a_device_with_a_wrong_clock_delays_nobody(main_job, sensor, heard):
    main_job()
    sensor.send("sensors/ahead/telemetry", {"temperature": 1.0, "ts": now_millis() + 3_000_000})
    sensor.send("sensors/behind/telemetry", {"temperature": 2.0, "ts": now_millis() - 3_000_000})
    start = window_ahead()
    send_window(sensor, "right", start, [20.0, 21.0])
    heard.wait_count("right", "temperature", 2, timeout=5)
    assert heard.latest("right")[0]["late"] == 0
    heard.wait_count("behind", "temperature", 1)


def test_hopping_windows_overlap(main_job, sensor, heard):
    gateway = main_job(aggregate='window = "2s"\nevery = "1s"\nlateness = "300ms"')
    start = window_ahead(2)
    values = [float(v) for v in np.random.default_rng(5).normal(21, 2, 40)]
    send_window(sensor, "lounge", start, values, length=2000)
    heard.wait_for(lambda: len(heard.latest("lounge")) == 3, what="three windows that share the readings")
    for body, part, begin in zip(
        heard.latest("lounge"), (values[:20], values, values[20:]), (-1000, 0, 1000), strict=True
    ):
        assert body["id"] == f"{ID}/lounge/{start + begin}/2000"
        assert_summary(body["metrics"]["temperature"], part)
    # A reading in two windows is one reading.
    assert gateway.wait_ledger(published=40)["in"] == 40


def test_two_equal_messages_are_two_readings(main_job, sensor, heard):
    main_job()
    at = window_ahead()
    for _ in range(2):
        sensor.send("sensors/lounge/telemetry", {"temperature": 21.5, "ts": at})
    heard.wait_count("lounge", "temperature", 2)


def test_unknown_devices_can_be_left_out(main_job, sensor, heard):
    gateway = main_job(gateway='unknown_devices = "ignore"', more='[devices.lounge]\naddress = "n-17"')
    start = window_ahead()
    send_window(sensor, "stranger", start, [1.0, 2.0])
    send_window(sensor, "n-17", start, [21.0])
    heard.wait_count("lounge", "temperature", 1)
    assert {a["device"] for a in heard.aggregates()} == {"lounge"}
    gateway.wait_ledger(unknown_device=2, published=1)


def test_a_device_table_renames_and_calibrates(main_job, sensor, heard):
    main_job(
        more='[devices.lounge]\naddress = "n-17"\nrename = { tempc = "temperature" }\ncalibrate = { temperature = { scale = 2.0, offset = -0.5 } }'
    )
    send_window(sensor, "n-17", window_ahead(), [20.0, 21.0], "tempc")
    heard.wait_count("lounge", "temperature", 2)
    assert_summary(heard.latest("lounge")[0]["metrics"]["temperature"], [39.5, 41.5])


def test_status_is_retained_and_the_will_says_offline(main_job, cloud, heard, collector):
    gateway = main_job()
    topic = f"building/gateways/{ID}/status"
    status = heard.on(topic)[-1]
    assert status["state"] == "online" and status["version"] and status["time"].endswith("Z")
    late = collector(cloud, topic)
    late.wait_for(lambda: late.messages, what="the retained status")
    assert late.messages[0].retained and late.messages[0].body["state"] == "online"
    gateway.kill()
    heard.wait_for(lambda: heard.statuses()[-1] == "offline", what="the last will")
    gateway.start()
    heard.wait_for(lambda: heard.statuses()[-1] == "online", what="online again")
    assert gateway.stop() == 0
    heard.wait_for(lambda: heard.statuses() == ["online", "offline", "online", "offline"], what="offline at the end")


def test_health_comes_as_often_as_it_is_asked_for(main_job, sensor, heard):
    main_job(gateway=HEALTH_EVERY_SECOND)
    sensor.send("sensors/lounge/telemetry", {"temperature": 21.0})
    topic = f"building/gateways/{ID}/health"
    heard.wait_for(lambda: any(h["ledger"]["in"] == 1 for h in heard.on(topic)), what="health after the reading")
    heard.wait_for(lambda: len(heard.on(topic)) >= 5, what="five health messages")
    # Four pauses of a second lie between the first and the fifth; uptime is in whole seconds.
    uptimes = [h["uptime"] for h in heard.on(topic)[:5]]
    assert uptimes == sorted(uptimes) and uptimes[-1] - uptimes[0] >= 3, uptimes
    health = heard.on(topic)[-1]
    assert {"adapters", "ledger"} <= set(health)
    assert "mqtt.floor" in str(health["adapters"])
    for word in ("queue", "memory", "uptime"):
        assert any(word in key for key in health), f"no {word} in {sorted(health)}"
    assert health["memory"]["resident"] > 0
    assert health["memory"]["budget"]["each_adapter"] == 8 << 20


def test_clean_stop_keeps_open_windows_for_the_next_start(main_job, sensor, heard):
    gateway = main_job(aggregate='window = "4s"\nlateness = "300ms"')
    start = window_ahead(4)
    send_window(sensor, "lounge", start, [20.0, 21.0], length=4000)
    gateway.wait_ledger(open=2)
    assert gateway.stop() == 0
    gateway.start()
    heard.wait_for(lambda: heard.statuses()[-2:] == ["offline", "online"], what="offline, then online")
    heard.wait_count("lounge", "temperature", 2)
    assert_summary(heard.latest("lounge")[0]["metrics"]["temperature"], [20.0, 21.0])

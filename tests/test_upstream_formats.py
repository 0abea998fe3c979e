"""`[upstream] format`: SenML and Sparkplug B, read by others' decoders."""

import json
import re
import threading

import pytest
from senml.senml import SenMLDocument
from tahu.sparkplug_b_pb2 import Payload

from gateway import ID, config
from peers import wait_until
from readings import assert_summary, now_millis, window_ahead
from sparkplug import INT64, NCMD, STRING, Host, rebirth

VALUES = [20.0, 21.5, 23.0]
HOT = '[alerts.too-hot]\nmetric = "temperature"\nabove = 22.0\n'


@pytest.fixture
def host(cloud, collector):
    return Host(collector(cloud, "spBv1.0/#", decode=Payload.FromString, session="sparkplug-host"))


@pytest.fixture
def edge(cloud, floor, riser, received):
    """A factory: a gateway that speaks Sparkplug, once it is online."""

    def run(upstream="", **parts):
        gateway = riser(config(cloud=cloud.port, floor=floor.port, upstream=f'format = "sparkplug"\n{upstream}', **parts))
        gateway.start()
        received.wait_online()
        return gateway

    return run


def past_seconds(seconds, devices, begin=None):
    """One reading per device and second, from the past: each second is a window of its own."""
    begin = begin or now_millis() // 1000 * 1000 - 600_000
    return [
        (f"sensors/{device}/telemetry", {"temperature": 20.0 + s % 7, "ts": begin + s * 1000 + 500})
        for s in range(seconds)
        for device in devices
    ]


def summary(values, metric="temperature"):
    return {name: values[f"{metric}/{name}"] for name in ("avg", "min", "max", "std", "count")}


@pytest.mark.parametrize("upstream", ['protocol = "5"', 'protocol = "3.1.1"'], ids=["v5", "v3.1.1"])
def test_births_come_before_data_and_the_values_are_those_sent(edge, sensor, host, upstream):
    edge(upstream)
    start = window_ahead()
    readings = [{"temperature": value, "ts": start + i} for i, value in enumerate(VALUES)]
    sensor.send_all(("sensors/lounge/telemetry", reading) for reading in readings)
    (data,) = host.wait("DDATA")
    assert_summary(summary(data.values), VALUES)
    assert data.values["aggregate/id"] == f"{ID}/lounge/{start}/1000"
    assert (data.values["aggregate/revision"], data.values["aggregate/length"]) == (0, 1.0)
    assert data.values["aggregate/protocol"] == "mqtt"
    metrics = {metric.name: metric for metric in data.payload.metrics}
    assert metrics["temperature/avg"].timestamp == start + 1000 and not data.historical
    assert (metrics["temperature/count"].datatype, metrics["aggregate/id"].datatype) == (INT64, STRING)
    assert [e.kind for e in host.events()] == ["NBIRTH", "DBIRTH", "DDATA"]
    (birth,) = host.events("DBIRTH")
    unit = next(metric for metric in birth.payload.metrics if metric.name == "temperature/avg").properties
    assert list(unit.keys) == ["engUnit"] and unit.values[0].string_value == "Cel"
    assert host.check().keys() == {"lounge"}


def test_seq_wraps_without_a_gap_and_a_new_metric_makes_a_new_birth(edge, sensor, host):
    edge()
    sensor.send_all(past_seconds(200, ["lounge", "hall"]))
    host.wait("DDATA", 398)
    sensor.send("sensors/lounge/telemetry", {"temperature": 21.0, "co2": 400})
    assert "co2/avg" in host.wait("DBIRTH", 2, "lounge")[-1].values
    host.wait("DDATA", 401)
    host.check()
    # What was sent before stands in the new birth, with its time.
    birth = host.events("DBIRTH", "lounge")[1].values
    assert birth["temperature/count"] == 1 and birth["co2/avg"] is None
    assert host.readings("lounge") == 201


def test_a_rebirth_request_is_answered_with_all_births(cloud, edge, sensor, host, publisher):
    gateway = edge(more='[devices."floor 1+2/a"]\naddress = "attic"')
    sensor.send_all(past_seconds(2, ["lounge", "hall", "attic"]))
    host.wait("DDATA", 3)
    application = publisher(cloud.port)
    for garbage in (b"", b"\xff" * 1000, b"\x12\xff\xff\xff\xff\x0f", b"\x12\x00" * 50_000):
        application.send(NCMD, garbage)
    before = len(host.events("DBIRTH"))
    application.send(NCMD, rebirth())
    assert len(host.wait("NBIRTH", 2)) == 2
    births = host.wait("DBIRTH", before + 3)[before:]
    assert {birth.device for birth in births} == {"lounge", "hall", "floor 1%2B2%2Fa"}
    assert all(birth.values["temperature/avg"] is not None for birth in births)
    first, second = host.events("NBIRTH")
    assert first.values["bdSeq"] == second.values["bdSeq"], "it is the same connection"
    sensor.send_all(past_seconds(1, ["lounge"], now_millis() - 300_000))
    host.wait("DDATA", len(host.events("DDATA")) + 1)
    host.check()
    assert gateway.process.poll() is None


@pytest.mark.parametrize("upstream", ['protocol = "5"', 'protocol = "3.1.1"'], ids=["v5", "v3.1.1"])
def test_the_will_has_the_number_of_the_birth(cloud, edge, sensor, host, received, upstream):
    gateway = edge(upstream)
    sensor.send_all(past_seconds(2, ["lounge"]))
    host.wait("DDATA")
    gateway.kill()
    host.wait("NDEATH")
    gateway.start()
    host.wait("NBIRTH", 2)
    # A connection that the broker loses has a number of its own.
    cloud.stop()
    cloud.start()
    wait_until(host.collector.client.is_connected, what="the host's connection")
    third = host.wait("NBIRTH", 3)
    assert third[2].values["bdSeq"] != third[1].values["bdSeq"]
    received.wait_online()
    assert gateway.stop() == 0
    host.wait("NDEATH", len(host.events("NDEATH")) or 1)
    received.wait_for(lambda: received.statuses()[-1] == "offline", what="the status offline")
    deaths = [e for e in host.events("NDEATH") if e.at > third[2].at]
    assert [death.values for death in deaths] == [{"bdSeq": third[2].values["bdSeq"]}]
    births = {birth.values["bdSeq"] for birth in host.events("NBIRTH")}
    assert all(death.values["bdSeq"] in births for death in host.events("NDEATH"))


def test_what_waited_for_the_connection_is_historical(cloud, edge, sensor, host):
    gateway = edge()
    sensor.send_all(past_seconds(2, ["lounge"]))
    host.wait("DDATA")
    cloud.stop()
    sensor.send_all(past_seconds(20, ["lounge"], now_millis() // 1000 * 1000 - 300_000))
    wait_until(lambda: gateway.audit()["queued"] >= 19, what="windows in the outbox")
    cloud.start()
    host.wait("NBIRTH", 2)
    waiting = host.wait("DDATA", 20)
    assert not waiting[0].historical
    assert all(event.historical for event in waiting[2:20])
    sensor.send("sensors/lounge/telemetry", {"temperature": 33.0})
    wait_until(lambda: host.events("DDATA")[-1].values["temperature/avg"] == 33.0, what="the newest value")
    assert not host.events("DDATA")[-1].historical
    host.check()


def test_alerts_are_metrics_and_silence_is_the_death_of_a_device(edge, sensor, host):
    edge(more=HOT + '[alerts.gone]\nsilent_for = "2s"')
    sensor.send("sensors/lounge/telemetry", {"temperature": 41.2})
    alerts = [e for e in host.wait("DDATA", 2) if "alerts/too-hot/state" in e.values]
    values = alerts[0].values
    assert (values["alerts/too-hot/state"], values["alerts/too-hot/value"]) == ("raised", 41.2)
    assert values["alerts/too-hot/metric"] == "temperature" and "41.2" in values["alerts/too-hot/message"]
    (death,) = host.wait("DDEATH")
    assert (death.device, list(death.payload.metrics)) == ("lounge", [])
    before = host.events()[-2]
    assert (before.kind, before.values["alerts/gone/state"]) == ("DDATA", "raised")
    assert host.check() == {}
    births = len(host.events("DBIRTH"))
    sensor.send("sensors/lounge/telemetry", {"temperature": 20.0})
    birth = host.wait("DBIRTH", births + 1)[-1]
    assert birth.values["alerts/gone/state"] == "raised", "the last that was sent before"
    host.collector.wait_for(lambda: host.events("DDATA")[-1].values.get("temperature/avg") == 20.0, what="its window")
    states = [e.values["alerts/gone/state"] for e in host.events("DDATA") if "alerts/gone/state" in e.values]
    assert states[:2] == ["raised", "cleared"]
    host.check()


def test_zones_are_devices_with_encoded_names(edge, sensor, host):
    edge(
        aggregate='window = "1s"\nlateness = "300ms"\nby_zone = true',
        more='[devices.lounge]\naddress = "lounge"\nzone = "floor-1/lounge"',
    )
    sensor.send_all(past_seconds(3, ["lounge"]))
    (zone, *_) = host.wait("DDATA", device="zones%2Ffloor-1%2Flounge")
    assert zone.values["aggregate/id"].startswith(f"{ID}/zones/floor-1/lounge/")
    assert zone.values["aggregate/zone"] == "floor-1/lounge"
    host.check()


@pytest.mark.timeout(180)
def test_nothing_is_lost_over_three_kills_of_gateway_and_broker(cloud, edge, sensor, host):
    devices = [f"dev{i}" for i in range(5)]
    gateway = edge(journal='sync_every = "0s"')
    cloud.save()
    sent, stop = [], threading.Event()

    def send():
        while not stop.is_set():
            sensor.send(f"sensors/{devices[len(sent) % 5]}/telemetry", {"temperature": 21.0, "n": len(sent)})
            sent.append(1)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        for _ in range(3):
            goal = len(sent) + 200
            wait_until(lambda goal=goal: len(sent) > goal, 40, "messages under way")
            births = len(host.events("NBIRTH"))
            gateway.kill()
            gateway.start()
            host.wait("NBIRTH", births + 1, timeout=30)
            goal = len(sent) + 200
            wait_until(lambda goal=goal: len(sent) > goal, 40, "messages under way")
            cloud.freeze()
            # What the broker has passed on must be read before it dies: its end resets the connection.
            passed_on = cloud.log().count("Sending PUBLISH to sparkplug-host")
            host.collector.wait_for(lambda n=passed_on: len(host.collector.messages) >= n - 1, what="what was passed on")
            cloud.kill()
            cloud.start()
            wait_until(host.collector.client.is_connected, what="the host's connection")
            host.wait("NBIRTH", births + 2, timeout=30)
    finally:
        stop.set()
        thread.join(20)

    def total():
        return sum(host.readings(device) for device in devices)

    host.collector.wait_for(lambda: total() >= len(sent), 30, f"{len(sent)} readings", progress=total)
    wait_until(lambda: gateway.audit()["open"] == 0 and gateway.audit()["queued"] == 0, what="nothing left under way")
    assert total() == len(sent)
    # `seq` of the gateway has no holes over all that came.
    seqs = {v for e in host.events("DDATA") for name, v in e.values.items() if name == "aggregate/seq"}
    assert seqs == set(range(min(seqs), max(seqs) + 1))


def test_sparkplug_is_not_compressed(riser, floor, cloud):
    upstream = 'format = "sparkplug"\ncompression = "zlib"'
    gateway = riser(config(cloud=cloud.port, floor=floor.port, upstream=upstream))
    done = gateway.cli("check", "--no-environment", check=78)
    assert "error: upstream.compression:" in done.stdout and "sparkplug" in done.stdout


def measurements(pack):
    """A pack by names, as a SenML library resolves it, and its time."""
    document = SenMLDocument.from_json(pack)
    resolved = [row.to_absolute(document.base) for row in document.measurements]
    times = {row.time for row in resolved}
    assert len(times) == 1 and all(re.fullmatch(r"[A-Za-z0-9][-A-Za-z0-9:./_]*", row.name) for row in resolved)
    return {row.name: row for row in resolved}, times.pop()


def test_senml_packs_have_the_values_sent_and_what_identifies_them(cloud, floor, sensor, riser, received):
    riser(config(cloud=cloud.port, floor=floor.port, upstream='format = "senml"', more=HOT)).start()
    received.wait_online()
    start = window_ahead()
    readings = [{"temperature": value, "ts": start + i} for i, value in enumerate(VALUES)]
    sensor.send_all(("sensors/Küche 1.5/telemetry", reading) for reading in readings)
    (pack,) = received.wait_for(lambda: received.on("building/sensors/Küche 1.5/aggregated"), what="the aggregate")
    rows, at = measurements(pack)
    base = f"{ID}/K.C3.BCche.201.2E5"
    values = {name: rows[f"{base}/temperature/{name}"].value for name in ("avg", "min", "max", "std", "count")}
    assert_summary(values, VALUES)
    assert rows[f"{base}/temperature/avg"].unit == "Cel" and at == start / 1000 + 1
    assert rows[f"{base}/aggregate/id"].value == f"{ID}/Küche 1.5/{start}/1000"
    assert (rows[f"{base}/aggregate/revision"].value, rows[f"{base}/aggregate/length"].value) == (0, 1)
    (alert,) = received.on("building/alerts/Küche 1.5")
    rows, at = measurements(alert)
    assert rows[f"{base}/alerts/too-hot/value"].value == 23.0
    assert rows[f"{base}/alerts/too-hot/state"].value == "raised"
    assert rows[f"{base}/alerts/too-hot/severity"].value == "warning"
    assert at == (start + 2) / 1000


def test_a_senml_pack_with_a_secondary_unit_says_so_and_is_read_again(cloud, floor, sensor, riser, received):
    gateway = riser(config(cloud=cloud.port, floor=floor.port, upstream='format = "senml"')).start()
    received.wait_online()
    start = window_ahead()
    sensor.send("sensors/lounge/telemetry", {"temperature": 21.0, "ts": start})
    sensor.send("sensors/hall/telemetry", {"pressure": 1013.0, "co2": 600, "ts": start})
    packs = {
        device: received.wait_for(lambda d=device: received.on(f"building/sensors/{d}/aggregated"), what=device)[0]
        for device in ("lounge", "hall")
    }
    assert "bver" not in packs["lounge"][0] and packs["hall"][0]["bver"] == 26
    rows, _ = measurements(packs["hall"])
    assert (rows[f"{ID}/hall/pressure/avg"].unit, rows[f"{ID}/hall/co2/avg"].unit) == ("hPa", "ppm")
    # The gateway's own decoder refuses versions with features that it does not know.
    again = gateway.cli("decode", "--codec", "senml", json.dumps(packs["hall"]).encode().hex())
    assert again.returncode == 0 and "1013" in again.stdout, again.stdout + again.stderr


def test_a_correction_in_senml_has_the_same_id_and_a_higher_revision(cloud, floor, sensor, riser, collector, received):
    packed = collector(cloud, "building/sensors/+/aggregated")
    riser(config(cloud=cloud.port, floor=floor.port, upstream='format = "senml"')).start()
    received.wait_online()
    start = now_millis() // 1000 * 1000 - 60_000
    for count, value in enumerate(VALUES, start=1):
        sensor.send("sensors/lounge/telemetry", {"temperature": value, "ts": start + count})
        packed.wait_for(lambda n=count: len(packed.messages) >= n, what=f"revision {count - 1}")
    found = [measurements(json.loads(message.raw))[0] for message in packed.messages]
    base = f"{ID}/lounge"
    assert {rows[f"{base}/aggregate/id"].value for rows in found} == {f"{ID}/lounge/{start}/1000"}
    assert [rows[f"{base}/aggregate/revision"].value for rows in found] == [0, 1, 2]
    assert found[-1][f"{base}/temperature/count"].value == 3

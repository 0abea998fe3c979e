"""Records in a real InfluxDB: every aggregate and alert once, whatever is killed meanwhile."""

import json

import pytest

from gateway import config
from http_server import Server
from influxdb import PASSWORD, USER, InfluxDb, VictoriaMetrics
from peers import free_port, wait_until
from readings import now_millis
from sinks import send_over_kills

ALERT = '[alerts.too-hot]\nmetric = "temperature"\nabove = 40.0'
SINK = "influxdb.local"


@pytest.fixture
def influx(started, tmp_path):
    return started.keep(InfluxDb(tmp_path / "influx")).start()


def sink(influx, password=PASSWORD, more=""):
    login = f'username = "{USER}"\npassword = "{password}"'
    return f'[sinks.influxdb.local]\nurl = "{influx.url}"\ndatabase = "building"\n{login}\n{more}\n\n{ALERT}'


def counted(influx):
    """Readings that the stored aggregates stand for."""
    rows = influx.rows("SELECT sum(temperature_count) AS readings FROM aggregates")
    return rows[0]["readings"] if rows else 0


def health_of(received):
    """The sink in the newest health message."""
    health = received.healths()
    return health[-1]["sinks"].get(SINK, {}) if health else {}


def send(sensor, device, count, value=21.0):
    for number in range(count):
        sensor.send(f"sensors/{device}/telemetry", {"temperature": value + number % 5, "ts": now_millis()})


def test_aggregates_and_alerts_are_written_with_their_tags_and_fields(influx, cloud, floor, sensor, riser, received):
    zone = '[devices."lounge, north=1"]\nzone = "floor 1/a"'
    gateway = riser(config(cloud=cloud.port, floor=floor.port, more=f"{sink(influx)}\n\n{zone}")).start()
    received.wait_online()
    sensor.send("sensors/lounge, north=1/telemetry", {"temperature": 41.5, "contact": True, "ts": now_millis()})
    wait_until(lambda: counted(influx) == 1, 20, what="the aggregate in the database, which is created")
    wait_until(lambda: influx.rows("SELECT * FROM alerts"), 20, what="the alert")
    row = influx.rows("SELECT * FROM aggregates WHERE device != ''")[0]
    assert row["device"] == "lounge, north=1" and row["zone"] == "floor 1/a", row
    assert (row["gateway"], row["protocol"]) == ("hq-north", "mqtt")
    assert (row["temperature_avg"], row["temperature_count"], row["contact_last"]) == (41.5, 1, 1)
    alert = influx.rows("SELECT * FROM alerts")[0]
    assert (alert["alert"], alert["state"], alert["value"]) == ("too-hot", "raised", 41.5)
    assert alert["message"] == "temperature 41.5 is above 40"
    received.wait_for(lambda: received.aggregates() and received.alerts(), 20, "the same in the cloud")
    wait_until(lambda: gateway.audit()["sinks"][SINK]["queued"] == 0, 20, what="everything acknowledged")
    audit = gateway.audit()["sinks"]
    assert audit[SINK]["dropped"] == 0 and audit[SINK] == audit["mqtt.upstream"], audit
    assert gateway.stop() == 0
    assert gateway.audit()["sinks"] == audit


def test_nothing_is_lost_and_nothing_comes_twice_while_gateway_and_database_are_killed(influx, cloud, floor, sensor, riser):
    gateway = riser(config(cloud=cloud.port, floor=floor.port, more=sink(influx))).start()
    gateway.wait_log("connected and subscribed")
    total = 0
    for turn in range(4):
        send(sensor, f"device-{turn}", 40)
        total += 40
        if turn % 2:
            influx.kill()
            gateway.wait_ledger(distinct=total)
            influx.start()
        gateway.wait_ledger(distinct=total)
        gateway.kill()
        gateway.start()
    wait_until(lambda: counted(influx) == total, 60, lambda: f"{total} readings, not {counted(influx)}")
    wait_until(lambda: gateway.audit()["sinks"][SINK]["queued"] == 0, 30, what="everything acknowledged")
    assert counted(influx) == total
    assert gateway.audit()["sinks"][SINK]["dropped"] == 0


def test_a_sink_that_is_away_holds_up_no_other(cloud, floor, sensor, received, riser):
    away = f'[sinks.influxdb.local]\nurl = "http://127.0.0.1:{free_port()}"\ndatabase = "building"'
    text = config(cloud=cloud.port, floor=floor.port, more=away, gateway='health_every = "1s"')
    gateway = riser(text).start()
    received.wait_online()
    send(sensor, "lounge", 20)
    received.wait_for(lambda: received.count("lounge", "temperature") == 20, 20, "all readings in the cloud")
    gateway.wait_ledger(published=20, queued=0)
    sinks = gateway.audit()["sinks"]
    assert sinks["mqtt.upstream"]["queued"] == 0 and sinks[SINK]["queued"] > 0, sinks
    gateway.wait_log("is out of reach")
    assert gateway.log().count("is out of reach") == 1, "an error is logged once"
    received.wait_for(lambda: health_of(received).get("last_error"), 20, "the error in the health message")
    assert health_of(received)["queued"] > 0 and health_of(received)["bytes"] > 0


def test_a_wrong_password_is_named_and_tried_again(influx, cloud, floor, sensor, riser):
    text = config(cloud=cloud.port, floor=floor.port, more=sink(influx, password="geheim99"))
    gateway = riser(text).start()
    gateway.wait_log("connected and subscribed")
    send(sensor, "lounge", 3)
    gateway.wait_log("401 Unauthorized")
    assert "look at username" in gateway.log() and "geheim99" not in gateway.log()
    found = gateway.cli("check", "--config", gateway.config)
    assert "sinks.influxdb.local.username" in found.stdout, found.stdout
    gateway.stop()
    gateway.config.write_text(config(cloud=cloud.port, floor=floor.port, more=sink(influx)))
    gateway.start()
    wait_until(lambda: counted(influx) == 3, 20, what="what was queued")


def test_a_field_of_another_type_costs_that_record_alone(influx, cloud, floor, sensor, riser):
    influx.query("CREATE DATABASE building")
    gateway = riser(config(cloud=cloud.port, floor=floor.port, more=sink(influx))).start()
    gateway.wait_log("connected and subscribed")
    influx.write(f'aggregates odd_avg="text" {now_millis()}')
    for number in range(5):
        sensor.send(f"sensors/good-{number}/telemetry", {"temperature": 20.0, "ts": now_millis()})
    sensor.send("sensors/bad/telemetry", {"odd": 1.0, "ts": now_millis()})
    wait_until(lambda: counted(influx) == 5, 20, lambda: f"5 readings, not {counted(influx)}: {gateway.log()[-800:]}")
    gateway.wait_log("field type conflict")
    assert "odd_avg" in gateway.log()
    wait_until(lambda: gateway.audit()["sinks"][SINK]["queued"] == 0, 20, what="an empty queue")
    assert gateway.audit()["sinks"][SINK]["dropped"] == 1


def test_a_gateway_without_a_cloud_counts_what_the_database_has(influx, floor, sensor, riser):
    gateway = riser(config(floor=floor.port, more=sink(influx))).start()
    gateway.wait_log("connected and subscribed")
    send(sensor, "lounge", 7)
    gateway.wait_ledger(published=7, queued=0)
    assert counted(influx) == 7


def test_each_message_is_one_point_of_readings_and_a_time_that_is_given_twice_is_counted(influx, cloud, floor, sensor, riser):
    every = 'send = ["readings", "aggregates", "alerts"]'
    gateway = riser(config(cloud=cloud.port, floor=floor.port, more=sink(influx, more=every))).start()
    gateway.wait_log("connected and subscribed")
    # Arrivals: none has a time of its own, and many come in one millisecond.
    sensor.send_all([("sensors/fast/telemetry", {"temperature": 20 + n, "humidity": 50.5}) for n in range(300)])
    now = now_millis()
    for value in (1.0, 2.0, 3.0):
        sensor.send("sensors/again/telemetry", {"temperature": value, "ts": now})
    sensor.send("sensors/again/telemetry", {"temperature": 4.0, "ts": now + 1})
    # Too late for its window, but a reading all the same.
    sensor.send("sensors/again/telemetry", {"temperature": 5.0, "ts": now - 600_000})

    def points(device):
        return influx.rows(f"SELECT temperature, humidity FROM readings WHERE device = '{device}'")

    wait_until(lambda: len(points("fast")) == 300, 30, lambda: f"300 points, not {len(points('fast'))}")
    assert sorted(row["temperature"] for row in points("fast")) == [20.0 + n for n in range(300)]
    assert {row["humidity"] for row in points("fast")} == {50.5}
    wait_until(lambda: gateway.audit()["sinks"][SINK]["queued"] == 0, 30, what="everything acknowledged")
    assert [row["temperature"] for row in points("again")] == [5.0, 3.0, 4.0]
    gateway.wait_ledger(open=0)
    wait_until(lambda: not any(it["queued"] for it in gateway.audit()["sinks"].values()), 30, what="everything acknowledged")
    records = gateway.audit()["sinks"][SINK]
    assert (records["same_time"], records["dropped"]) == (2, 2), records
    written = sum(len(influx.rows(f"SELECT * FROM {name}")) for name in ("aggregates", "alerts", "readings"))
    assert records["delivered"] >= written
    assert gateway.audit()["sinks"]["mqtt.upstream"]["delivered"] == records["delivered"] - 303


def test_no_reading_is_lost_or_comes_twice_while_gateway_and_database_are_killed(influx, cloud, floor, sensor, riser):
    gateway = riser(config(cloud=cloud.port, floor=floor.port, more=sink(influx, more='send = ["readings"]'))).start()
    gateway.wait_log("connected and subscribed")

    def found():
        return sorted(row["temperature"] for row in influx.rows("SELECT temperature FROM readings"))

    sent = send_over_kills(gateway, sensor, influx)
    wait_until(lambda: len(found()) >= len(sent), 60, lambda: f"{len(sent)} readings, not {len(found())}")
    wait_until(lambda: gateway.audit()["sinks"][SINK]["queued"] == 0, 30, what="everything acknowledged")
    assert found() == sent
    assert gateway.audit()["sinks"][SINK]["dropped"] == 0


@pytest.mark.parametrize(
    "keys", ['version = 2\norg = "home"\nbucket = "building"\ntoken = "any"', 'version = 1\ndatabase = "building"'], ids=["v2", "v1"]
)
def test_victoriametrics_takes_the_interfaces_of_versions_1_and_2(keys, started, tmp_path, floor, sensor, riser):
    database = started.keep(VictoriaMetrics(tmp_path / "victoria")).start()
    sink = f'[sinks.influxdb.local]\nurl = "{database.url}"\n{keys}\nsend = ["readings"]'
    gateway = riser(config(floor=floor.port, more=sink)).start()
    found = gateway.cli("check", "--config", gateway.config).stdout
    assert "sinks.influxdb.local.url" not in found and "sinks.influxdb.local.bucket" not in found, found
    gateway.wait_log("connected and subscribed")
    sensor.send_all([("sensors/lounge 1/telemetry", {"temperature": 20.0 + n}) for n in range(50)])
    wait_until(lambda: gateway.audit()["sinks"][SINK]["delivered"] == 50, 20, what="everything acknowledged")
    wait_until(lambda: database.values("readings_temperature"), 20, what="the series")
    [(labels, values)] = database.values("readings_temperature")
    assert (labels["device"], labels["gateway"], labels["protocol"]) == ("lounge 1", "hq-north", "mqtt"), labels
    assert sorted(values) == [20.0 + n for n in range(50)]


def test_a_connection_is_encrypted_and_the_certificate_is_checked(started, tmp_path, certificates, floor, sensor, riser):
    database = started.keep(InfluxDb(tmp_path / "influx", certificates)).start()
    gateway = riser(config(floor=floor.port, more=sink(database))).start()
    gateway.wait_log("connected and subscribed")
    send(sensor, "lounge", 3)
    gateway.wait_log("UnknownIssuer")
    gateway.stop()
    trusting = f'ca_file = "{certificates.ca}"'
    gateway.config.write_text(config(floor=floor.port, more=sink(database, more=trusting)))
    gateway.start()
    wait_until(lambda: counted(database) == 3, 20, what="what was queued")


def documented(status, error, data, headers=None):
    """An answer of InfluxDB 3 as its documentation has it."""
    body = json.dumps({"error": error, "data": data}).encode()
    return status, {"Content-Type": "application/json", **(headers or {})}, body


@pytest.mark.parametrize("named", [1, 100], ids=["one line at a time", "all lines"])
def test_version_3_names_the_lines_that_it_refuses_and_has_the_others(named, started, floor, sensor, riser):
    """There is no server of version 3 to be had: this one answers as the documentation of `/api/v3/write_lp` says."""
    server = started.keep(Server())
    table = f'[sinks.influxdb.local]\nurl = "{server.address}"\nversion = 3\ndatabase = "building"\ntoken = "hush"\nsend = ["readings"]'
    stored = []

    def answer(number):
        path, headers, body = server.requests[number - 1]
        if number == 1:
            return documented(503, "not ready", None, {"Retry-After": "1"})
        assert path == "/api/v3/write_lp?db=building&precision=millisecond&accept_partial=true", path
        assert headers["Authorization"] == "Bearer hush"
        lines = body.decode().splitlines()
        bad = [n for n, line in enumerate(lines, 1) if "temperature=21" in line or "temperature=23" in line]
        stored.extend(line for n, line in enumerate(lines, 1) if n not in bad)
        if not bad:
            return 204
        text = "invalid column type for column 'temperature', expected iox::column_type::field::integer, got float"
        rows = [{"error_message": text, "line_number": n, "original_line": lines[n - 1][:20]} for n in bad[:named]]
        return documented(400, "partial write of line protocol occurred", rows)

    server.answer = answer
    gateway = riser(config(floor=floor.port, more=table)).start()
    gateway.wait_log("connected and subscribed")
    sensor.send_all([("sensors/lounge/telemetry", {"temperature": 20.0 + n}) for n in range(5)])
    wait_until(lambda: gateway.audit()["sinks"][SINK]["delivered"] == 3, 20, lambda: gateway.audit()["sinks"])
    records = gateway.audit()["sinks"][SINK]
    assert (records["delivered"], records["dropped"]) == (3, 2), records
    assert {line.split("temperature=")[1].split()[0] for line in stored} == {"20.0", "22.0", "24.0"}, stored
    assert "invalid column type for column" in gateway.log() and "hush" not in gateway.log()


def test_version_3_refuses_a_batch_that_is_too_large_and_a_token(started, floor, sensor, riser):
    server = started.keep(Server())
    table = f'[sinks.influxdb.local]\nurl = "{server.address}"\nversion = 3\ndatabase = "building"\ntoken = "hush"\nsend = ["readings"]'
    server.answer = lambda number: documented(401, "unauthorized", None)
    gateway = riser(config(floor=floor.port, more=table)).start()
    gateway.wait_log("connected and subscribed")
    sensor.send_all([("sensors/lounge/telemetry", {"temperature": 20.0 + n}) for n in range(20)])
    gateway.wait_log("answers 401 Unauthorized: unauthorized; look at token_file")
    server.answer = lambda number: 413 if server.requests[number - 1][2].count(b"\n") > 4 else 204
    wait_until(lambda: gateway.audit()["sinks"][SINK]["delivered"] == 20, 20, lambda: gateway.audit()["sinks"])

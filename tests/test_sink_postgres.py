"""Records in a real PostgreSQL: every aggregate, reading and alert once, whatever is killed meanwhile."""

import json
import re
from pathlib import Path

import pytest

from gateway import config
from peers import HOST, free_port, wait_until
from postgres import DATABASE, PASSWORD, USER, Postgres
from readings import now_millis
from sinks import send_over_kills

ALERT = '[alerts.too-hot]\nmetric = "temperature"\nabove = 40.0'
SINK = "postgres.building"
DOCS = Path(__file__).parent.parent / "docs/sinks.md"
DOCUMENTED = re.search(r"```sql\n(CREATE SCHEMA riser;.*?)```", DOCS.read_text(), re.S)[1]
EVERYTHING = 'send = ["aggregates", "alerts", "readings"]'


@pytest.fixture(scope="module")
def server():
    database = Postgres()
    try:
        yield database.start()
    finally:
        database.close()


@pytest.fixture
def postgres(server):
    yield server
    server.run(f'DROP DATABASE "{DATABASE}" WITH (FORCE)', database="postgres")
    server.run(f'CREATE DATABASE "{DATABASE}"', database="postgres")


def sink(postgres, password=PASSWORD, more=""):
    login = f'username = "{USER}"\npassword = "{password}"'
    return f'[sinks.postgres.building]\nurl = "{postgres.url}"\n{login}\n{more}\n\n{ALERT}'


def counted(postgres):
    """Readings that the stored aggregates stand for."""
    rows = postgres.rows("SELECT coalesce(sum(count), 0) FROM riser.aggregates WHERE metric = 'temperature'")
    return int(rows[0][0]) if rows else 0


def settled(gateway):
    wait_until(lambda: gateway.audit()["sinks"][SINK]["queued"] == 0, 30, what="everything acknowledged")
    return gateway.audit()["sinks"][SINK]


def warnings(gateway):
    """What `riser check` says of the sink, without the warning of the test's own configuration that all may read."""
    lines = gateway.cli("check", "--config", gateway.config).stdout.splitlines()
    return "\n".join(line for line in lines if "sinks.postgres" in line and "chmod" not in line)


def send(sensor, device, count, value=21.0):
    for number in range(count):
        sensor.send(f"sensors/{device}/telemetry", {"temperature": value + number % 5, "ts": now_millis()})


def test_each_kind_of_record_has_its_table(postgres, cloud, floor, sensor, riser, received):
    device = "lounge '$1\\ \"grün\""
    zone = f'[devices.{json.dumps(device, ensure_ascii=False)}]\nzone = "floor 1/a.b"'
    text = config(cloud=cloud.port, floor=floor.port, more=f"{sink(postgres, more=EVERYTHING)}\n\n{zone}")
    gateway = riser(text).start()
    received.wait_online()
    then = now_millis()
    sensor.send(f"sensors/{device}/telemetry", {"temperature": 41.5, "contact": True, "ts": then})
    own = "WHERE device LIKE 'lounge%'"
    wait_until(lambda: len(postgres.rows(f"SELECT * FROM riser.aggregates {own}")) == 2, 20, what="the aggregate")
    columns = "gateway, device, zone, protocol, length, avg, min, max, std, count, revision, late"
    row = postgres.rows(f"SELECT {columns} FROM riser.aggregates {own} AND metric = 'temperature'")
    assert row == [["hq-north", device, "floor 1/a.b", "mqtt", "1000", "41.5", "41.5", "41.5", "0", "1", "0", "0"]], row
    start = postgres.rows(f"SELECT DISTINCT (extract(epoch FROM start) * 1000)::bigint FROM riser.aggregates {own}")
    assert start == [[str(then // 1000 * 1000)]], (start, then)
    wait_until(lambda: postgres.rows("SELECT * FROM riser.alerts"), 20, what="the alert")
    columns = "gateway, device, zone, metric, alert, kind, state, severity, value, message"
    alert = postgres.rows(f"SELECT {columns} FROM riser.alerts")[0]
    assert alert[1:5] == [device, "floor 1/a.b", "temperature", "too-hot"], alert
    assert alert[5:] == ["threshold", "raised", "warning", "41.5", "temperature 41.5 is above 40"], alert
    received.wait_for(received.alerts, 20, "the alert in the cloud")
    time = "to_char(time, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
    assert postgres.rows(f"SELECT id, {time} FROM riser.alerts") == [[received.alerts()[0]["id"], received.alerts()[0]["time"]]]
    columns = "gateway, device, zone, protocol, metric, value, (extract(epoch FROM time) * 1000)::bigint"
    readings = postgres.rows(f"SELECT {columns} FROM riser.readings ORDER BY metric")
    own = ["hq-north", device, "floor 1/a.b", "mqtt"]
    assert readings == [[*own, "contact", "1", str(then)], [*own, "temperature", "41.5", str(then)]], readings
    assert settled(gateway)["dropped"] == 0


def test_a_correction_replaces_what_was_there_and_nothing_older_does(postgres, floor, sensor, riser):
    gateway = riser(config(floor=floor.port, more=sink(postgres, more=EVERYTHING))).start()
    gateway.wait_log("connected and subscribed")
    now = now_millis()

    def send_late(value):
        """A reading of a window that was over a minute ago, and one that is newer."""
        sensor.send("sensors/late/telemetry", {"temperature": value, "ts": now - 20_000})
        sensor.send("sensors/late/telemetry", {"temperature": 100.0, "ts": now_millis()})

    aggregate = f"FROM riser.aggregates WHERE start <= to_timestamp({now - 20_000} / 1000.0) AND metric = 'temperature'"
    for number in (1, 2, 3):
        send_late(float(number))
        expected = [[str(number - 1), str(number), str((number + 1) / 2).removesuffix(".0")]]
        wait_until(lambda e=expected: postgres.rows(f"SELECT revision, count, avg {aggregate}") == e, 20, what=str(expected))
    # Three messages with the same time are three readings.
    rows = postgres.rows("SELECT value FROM riser.readings WHERE value < 100 ORDER BY value")
    assert rows == [["1"], ["2"], ["3"]], rows
    postgres.run("UPDATE riser.aggregates SET revision = 99, avg = -1")
    send_late(4.0)
    wait_until(lambda: postgres.rows("SELECT * FROM riser.readings WHERE value = 4"), 20, what="the fourth")
    settled(gateway)
    assert postgres.rows(f"SELECT revision, avg {aggregate}") == [["99", "-1"]]


def test_nothing_is_lost_and_nothing_comes_twice_while_gateway_and_database_are_killed(postgres, cloud, floor, sensor, riser):
    gateway = riser(config(cloud=cloud.port, floor=floor.port, more=sink(postgres, more=EVERYTHING))).start()
    gateway.wait_log("connected and subscribed")
    sent = send_over_kills(gateway, sensor, postgres)

    def found():
        return [float(row[0]) for row in postgres.rows("SELECT value FROM riser.readings ORDER BY value")]

    wait_until(lambda: len(found()) >= len(sent) and counted(postgres) >= len(sent), 60, lambda: f"{len(found())}, {counted(postgres)}")
    assert settled(gateway)["dropped"] == 0
    assert found() == sent
    assert counted(postgres) == len(sent)


def test_a_wrong_password_is_named_and_tried_again(postgres, floor, sensor, riser):
    gateway = riser(config(floor=floor.port, more=sink(postgres, password="geheim99"))).start()
    gateway.wait_log("connected and subscribed")
    send(sensor, "lounge", 3)
    gateway.wait_log("look at username and password_file")
    assert "geheim99" not in gateway.log()
    found = warnings(gateway)
    assert "sinks.postgres.building.username" in found and "geheim99" not in found, found
    gateway.stop()
    gateway.config.write_text(config(floor=floor.port, more=sink(postgres)))
    found = warnings(gateway)
    assert not found, found
    assert not postgres.rows("SELECT * FROM pg_namespace WHERE nspname = 'riser'"), "a check changes nothing"
    gateway.start()
    wait_until(lambda: counted(postgres) == 3, 20, what="what was queued")


def test_a_database_that_is_away_holds_up_no_other(cloud, floor, sensor, received, riser):
    away = f'[sinks.postgres.building]\nurl = "postgres://{HOST}:{free_port()}/building"'
    gateway = riser(config(cloud=cloud.port, floor=floor.port, more=away)).start()
    received.wait_online()
    send(sensor, "lounge", 20)
    received.wait_for(lambda: received.count("lounge", "temperature") == 20, 20, "all readings in the cloud")
    gateway.wait_log("is out of reach")
    assert gateway.audit()["sinks"][SINK]["queued"] > 0


def test_what_the_tables_refuse_costs_that_record_alone(postgres, floor, sensor, riser):
    gateway = riser(config(floor=floor.port, more=sink(postgres, more='send = ["readings"]'))).start()
    gateway.wait_log("connected and subscribed")
    send(sensor, "lounge", 1)
    wait_until(lambda: len(postgres.rows("SELECT * FROM riser.readings")) == 1, 20, what="the tables")
    postgres.run("ALTER TABLE riser.readings ADD CONSTRAINT warm CHECK (value < 30)")
    sensor.send_all([("sensors/lounge/telemetry", {"temperature": n}) for n in (20, 21, 35, 22)])
    gateway.wait_log('violates check constraint "warm"')
    assert settled(gateway)["dropped"] == 1
    assert len(postgres.rows("SELECT * FROM riser.readings")) == 4
    # The tables vanish and come again: nothing is lost meanwhile.
    postgres.run("DROP SCHEMA riser CASCADE")
    sensor.send_all([("sensors/lounge/telemetry", {"temperature": n}) for n in (1, 2, 3)])
    wait_until(lambda: len(postgres.rows("SELECT * FROM riser.readings")) == 3, 30, what="the tables made again")


def test_a_user_that_may_not_create_tables_writes_into_those_of_the_documentation(postgres, floor, sensor, riser):
    postgres.run("DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN PASSWORD 'guest'", database="postgres")
    guest = f'[sinks.postgres.building]\nurl = "{postgres.url}"\nusername = "guest"\npassword = "guest"\n{EVERYTHING}'
    gateway = riser(config(floor=floor.port, more=f"{guest}\n\n{ALERT}"))
    found = warnings(gateway)
    assert "sinks.postgres.building.create" in found and "may not create them" in found, found
    gateway.start()
    gateway.wait_log("connected and subscribed")
    send(sensor, "lounge", 2, value=45.0)
    gateway.wait_log("permission denied for database")
    gateway.stop()
    gateway.config.write_text(config(floor=floor.port, more=f"{guest}\ncreate = false\n\n{ALERT}"))
    found = warnings(gateway)
    assert "sinks.postgres.building.schema" in found and "create = true" in found, found
    postgres.run(DOCUMENTED)
    found = warnings(gateway)
    assert "sinks.postgres.building.username" in found and "permission denied" in found, found
    postgres.run("GRANT USAGE ON SCHEMA riser TO guest; GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA riser TO guest")
    found = warnings(gateway)
    assert not found, found
    gateway.start()
    wait_until(lambda: counted(postgres) == 2, 20, what="what was queued")
    assert settled(gateway)["dropped"] == 0
    assert [len(postgres.rows(f"SELECT * FROM riser.{table}")) for table in ("readings", "alerts")] == [2, 1]


def test_the_documented_tables_are_those_that_are_created(postgres, floor, sensor, riser):
    columns = (
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns"
        " WHERE table_schema = 'riser' AND table_name <> 'migrations' ORDER BY 1, ordinal_position"
    )
    keys = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'riser' AND tablename <> 'migrations' ORDER BY 1"
    postgres.run(DOCUMENTED)
    documented = postgres.rows(columns), postgres.rows(keys)
    postgres.run("DROP SCHEMA riser CASCADE")
    gateway = riser(config(floor=floor.port, more=sink(postgres))).start()
    gateway.wait_log("connected and subscribed")
    send(sensor, "lounge", 1)
    wait_until(lambda: counted(postgres) == 1, 20, what="the tables")
    assert (postgres.rows(columns), postgres.rows(keys)) == documented


def test_a_connection_is_encrypted_and_the_certificate_is_checked(certificates, floor, sensor, riser, started):
    database = started.keep(Postgres(certificates.server_cert, certificates.server_key)).start()
    gateway = riser(config(floor=floor.port, more=sink(database, more=f'ca_file = "{certificates.ca}"'))).start()
    gateway.wait_log("connected and subscribed")
    send(sensor, "lounge", 5)
    wait_until(lambda: counted(database) == 5, 20, what="the readings")
    encrypted = database.rows(
        "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'riser'"
    )
    assert encrypted == [["t"]], encrypted
    gateway.stop()
    # Without ca_file, the machine's certificates do not know this server.
    unknown = sink(database).replace(database.url, database.url + "?sslmode=require")
    gateway.config.write_text(config(floor=floor.port, more=unknown))
    gateway.start()
    send(sensor, "lounge", 1)
    gateway.wait_log("UnknownIssuer")

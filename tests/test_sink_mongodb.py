"""Records in a server of MongoDB's protocol: each document once, whatever is killed meanwhile. See mongodb.py for what server it is."""

import datetime
import json

import pytest

from gateway import config
from mongodb import DATABASE, PASSWORD, USER, MongoDb
from peers import HOST, free_port, wait_until
from readings import now_millis
from sinks import send_over_kills

ALERT = '[alerts.too-hot]\nmetric = "temperature"\nabove = 40.0'
SINK = "mongodb.lab"
EVERYTHING = 'send = ["aggregates", "alerts", "readings"]'


@pytest.fixture
def server(started, tmp_path):
    return started.keep(MongoDb(tmp_path / "mongodb")).start()


def sink(server, password=PASSWORD, more=""):
    login = f'database = "{DATABASE}"\nusername = "{USER}"\npassword = "{password}"'
    return f'[sinks.mongodb.lab]\nurl = "{server.url}"\n{login}\n{more}\n\n{ALERT}'


def warnings(gateway):
    """What `riser check` says of the sink, without the warning of the test's own configuration that all may read."""
    lines = gateway.cli("check", "--config", gateway.config).stdout.splitlines()
    return "\n".join(line for line in lines if "sinks.mongodb" in line and "chmod" not in line)


def settled(gateway):
    wait_until(lambda: gateway.audit()["sinks"][SINK]["queued"] == 0, 40, what="everything acknowledged")
    return gateway.audit()["sinks"][SINK]


def counted(server):
    """Readings that the stored aggregates stand for."""
    return sum(metric["count"] for document in server.find("aggregates") for metric in document["metrics"].values())


def date(text):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=None)


def test_documents_are_the_payloads_with_ids_and_dates(server, cloud, floor, sensor, riser, received):
    device = "lounge.1 $x"
    more = f'{EVERYTHING}\ncollections = {{ readings = "measures", alerts = "anomalies" }}'
    zone = f'[devices."{device}"]\nzone = "floor 1/a.b"'
    text = config(cloud=cloud.port, floor=floor.port, more=f"{sink(server, more=more)}\n\n{zone}")
    gateway = riser(text).start()
    received.wait_online()
    # Names that mean something to MongoDB elsewhere.
    body = {"temperature": 41.5, "a.b": 2.0, "ts": now_millis()}
    sensor.send(f"sensors/{device}/telemetry", body)
    received.wait_for(lambda: received.aggregates(device) and received.alerts(), 20, "the same in the cloud")
    wait_until(lambda: server.find("aggregates", {"device": device}), 20, what="the aggregate")
    payload = received.aggregates(device)[0]
    payload["window"] = {end: date(time) for end, time in payload["window"].items()}
    assert server.find("aggregates", {"device": device}) == [payload | {"_id": payload["id"]}]
    wait_until(lambda: server.find("anomalies"), 20, what="the alert")
    alert = received.alerts()[0]
    assert server.find("anomalies") == [alert | {"_id": alert["id"]} | {key: date(alert[key]) for key in ("time", "since")}]
    wait_until(lambda: server.find("measures"), 20, what="the reading")
    [reading] = server.find("measures")
    assert reading["metrics"] == payload_of(body) and reading["_id"].startswith(f"hq-north/readings/{device}/")
    assert isinstance(reading["time"], datetime.datetime) and reading["zone"] == "floor 1/a.b"
    assert settled(gateway)["dropped"] == 0


def payload_of(body):
    return {name: value for name, value in body.items() if name != "ts"}


def test_a_correction_replaces_what_was_there_and_nothing_older_does(server, floor, sensor, riser):
    gateway = riser(config(floor=floor.port, more=sink(server))).start()
    gateway.wait_log("connected and subscribed")
    now = now_millis()

    def send_late(value):
        sensor.send("sensors/late/telemetry", {"temperature": value, "ts": now - 20_000})
        sensor.send("sensors/late/telemetry", {"temperature": 100.0, "ts": now_millis()})

    def first():
        documents = sorted(server.find("aggregates"), key=lambda document: document["window"]["start"])
        return documents and (documents[0]["revision"], documents[0]["metrics"]["temperature"]["count"])

    for number in (1, 2, 3):
        send_late(float(number))
        wait_until(lambda n=number: first() == (n - 1, n), 20, lambda: str(first()))
    oldest = min(server.find("aggregates"), key=lambda document: document["window"]["start"])
    server.update("aggregates", {"_id": oldest["_id"]}, {"$set": {"revision": 99}})
    send_late(4.0)
    gateway.wait_ledger(taken=8, open=0)
    assert settled(gateway)["dropped"] == 0
    assert first() == (99, 3)


def test_nothing_is_lost_and_nothing_comes_twice_while_gateway_and_server_are_killed(server, floor, sensor, riser):
    gateway = riser(config(floor=floor.port, more=sink(server, more=EVERYTHING))).start()
    gateway.wait_log("connected and subscribed")
    sent = send_over_kills(gateway, sensor, server)

    def found():
        return sorted(document["metrics"]["temperature"] for document in server.find("readings"))

    wait_until(lambda: len(found()) >= len(sent) and counted(server) >= len(sent), 90, lambda: f"{len(found())}, {counted(server)}")
    assert settled(gateway)["dropped"] == 0
    assert found() == sent
    assert counted(server) == len(sent)


def test_a_wrong_password_is_named_and_tried_again(server, floor, sensor, riser):
    gateway = riser(config(floor=floor.port, more=sink(server, password="geheim99"))).start()
    gateway.wait_log("connected and subscribed")
    sensor.send("sensors/lounge/telemetry", {"temperature": 21.0, "ts": now_millis()})
    gateway.wait_log("look at username and password_file")
    assert "geheim99" not in gateway.log()
    found = warnings(gateway)
    assert "sinks.mongodb.lab.username" in found and "geheim99" not in found, found
    gateway.stop()
    gateway.config.write_text(config(floor=floor.port, more=sink(server)))
    assert not warnings(gateway)
    assert not server.find("aggregates"), "a check changes nothing"
    gateway.start()
    wait_until(lambda: counted(server) == 1, 20, what="what was queued")


def test_a_server_that_is_away_holds_up_no_other(cloud, floor, sensor, received, riser):
    away = f'[sinks.mongodb.lab]\nurl = "mongodb://{HOST}:{free_port()}"\ndatabase = "building"'
    gateway = riser(config(cloud=cloud.port, floor=floor.port, more=away)).start()
    received.wait_online()
    sensor.send("sensors/lounge/telemetry", {"temperature": 1.0, "ts": now_millis()})
    received.wait_for(lambda: received.count("lounge", "temperature") == 1, 20, "the reading in the cloud")
    gateway.wait_log("Connection refused")
    assert json.loads(gateway.cli("audit", "--json", "--config", gateway.config).stdout)["sinks"][SINK]["queued"] == 1

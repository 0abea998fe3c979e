"""Records in a real NATS JetStream: each message once, whatever is killed meanwhile."""

import json
import time

import pytest

from gateway import config
from nats.js.api import StreamConfig
from nats_server import PASSWORD, USER, NatsServer, ask, make_stream, messages
from peers import HOST, free_port, wait_until
from readings import now_millis
from sink_chaos.proxy import FaultyProxy
from sinks import send_over_kills

ALERT = '[alerts.too-hot]\nmetric = "temperature"\nabove = 40.0'
SINK = "nats.events"
EVERYTHING = 'send = ["aggregates", "alerts", "readings"]'


@pytest.fixture
def server(started, tmp_path):
    return started.keep(NatsServer(tmp_path / "nats")).start()


def sink(*servers, password=PASSWORD, more=""):
    login = f'username = "{USER}"\npassword = "{password}"'
    urls = ",".join(server.url for server in servers)
    return f'[sinks.nats.events]\nurl = "{urls}"\n{login}\n{more}\n\n{ALERT}'


def warnings(gateway):
    """What `riser check` says of the sink, without the warning of the test's own configuration that all may read."""
    lines = gateway.cli("check", "--config", gateway.config).stdout.splitlines()
    return "\n".join(line for line in lines if "sinks.nats" in line and "chmod" not in line)


def settled(gateway):
    wait_until(lambda: gateway.audit()["sinks"][SINK]["queued"] == 0, 40, what="everything acknowledged")
    return gateway.audit()["sinks"][SINK]


def readings(servers, stream="riser"):
    return [body["metrics"]["temperature"] for subject, _, body in messages(servers, stream) if ".readings." in subject]


def counted(servers):
    """Readings that the newest revisions of the aggregates stand for."""
    newest = {}
    for subject, _, body in messages(servers):
        if ".aggregates." in subject:
            assert body["revision"] >= newest.get(body["id"], body)["revision"], "a revision after a higher one"
            newest[body["id"]] = body
    return sum(body["metrics"]["temperature"]["count"] for body in newest.values())


def test_each_record_is_a_message_on_the_subject_of_its_device(server, cloud, floor, sensor, riser, received):
    gateway = riser(config(cloud=cloud.port, floor=floor.port, more=sink(server, more=EVERYTHING))).start()
    received.wait_online()
    device = "lounge *>1.5"
    sensor.send(f"sensors/{device}/telemetry", {"temperature": 41.5, "ts": now_millis()})
    wait_until(lambda: len(messages([server])) == 3, 20, lambda: str(messages([server])))
    received.wait_for(lambda: received.aggregates() and received.alerts(), 20, "the same in the cloud")
    found = {subject.split(".")[2]: (subject, headers, body) for subject, headers, body in messages([server])}
    for kind, (subject, headers, body) in found.items():
        assert subject == f"riser.hq-north.{kind}.lounge%20%2A%3E1%2E5"
        revision = "/0" if kind == "aggregates" else ""
        assert headers["Nats-Msg-Id"] == body["id"] + revision
    assert found["aggregates"][2] == received.aggregates()[0]
    assert found["alerts"][2] == received.alerts()[0]
    assert found["readings"][2]["metrics"] == {"temperature": 41.5} and "seq" not in found["readings"][2]
    assert settled(gateway)["dropped"] == 0


def test_nothing_is_lost_and_nothing_comes_twice_while_gateway_and_server_are_killed(server, floor, sensor, riser):
    gateway = riser(config(floor=floor.port, more=sink(server, more=EVERYTHING))).start()
    gateway.wait_log("connected and subscribed")
    sent = send_over_kills(gateway, sensor, server)
    wait_until(lambda: len(readings([server])) >= len(sent), 60, lambda: f"{len(sent)}, not {len(readings([server]))}")
    wait_until(lambda: counted([server]) >= len(sent), 60, lambda: f"{len(sent)}, not {counted([server])}")
    assert settled(gateway)["dropped"] == 0
    assert sorted(readings([server])) == sent
    assert counted([server]) == len(sent)


def test_what_was_stored_is_not_stored_again_after_the_streams_duplicate_window(server, floor, sensor, riser):
    make_stream([server], name="riser", subjects=["riser.>"], duplicate_window=0.2)
    gateway = riser(config(floor=floor.port, more=sink(server, more='send = ["readings"]'))).start()
    gateway.wait_log("connected and subscribed")
    # Killed right after the messages are in the stream: acknowledgements are stored some 200 ms later.
    sensor.send_all([(f"sensors/device-{n % 3}/telemetry", {"temperature": float(n)}) for n in range(300)])
    wait_until(lambda: len(readings([server])) >= 200, 20, what="messages in the stream")
    gateway.kill()
    time.sleep(1)
    gateway.start()
    wait_until(lambda: len(readings([server])) >= 300, 20, what="all of them")
    settled(gateway)
    assert sorted(readings([server])) == [float(n) for n in range(300)]


def test_a_record_that_a_full_stream_refused_between_two_others_is_not_taken_for_stored(server, floor, sensor, riser):
    settings = {"name": "riser", "subjects": ["riser.>"], "discard": "new"}
    make_stream([server], **settings, max_bytes=1400)
    gateway = riser(config(floor=floor.port, more=sink(server, more='send = ["readings"]'))).start()
    gateway.wait_log("connected and subscribed")
    large = {"temperature": 2.0} | {f"metric_{n}": float(n) for n in range(60)}
    sensor.send_all([("sensors/lounge/telemetry", body) for body in ({"temperature": 1.0}, large, {"temperature": 3.0})])
    gateway.wait_log("does not take records")
    ask([server], lambda js: js.update_stream(StreamConfig(**settings | {"max_bytes": 1_000_000})))
    settled(gateway)
    assert sorted(readings([server])) == [1.0, 2.0, 3.0]


def test_a_cluster_goes_on_when_one_of_its_servers_is_killed(started, tmp_path, floor, sensor, riser):
    routes = [free_port() for _ in range(3)]
    cluster = [
        started.keep(NatsServer(tmp_path / f"n{n}", f"n{n}", routes[n:] + routes[:n])) for n in range(3)
    ]
    for server in cluster:
        server.start()

    def has_leader():
        return any(b"JetStream cluster new metadata leader" in (server.folder / "log").read_bytes() for server in cluster)

    wait_until(has_leader, 30, what="a leader")
    make_stream(cluster, name="riser", subjects=["riser.>"], num_replicas=3)
    gateway = riser(config(floor=floor.port, more=sink(*cluster, more='send = ["readings"]'))).start()
    gateway.wait_log("connected and subscribed")
    values = [float(n) for n in range(600)]
    for part in range(0, 600, 100):
        sensor.send_all([(f"sensors/device-{n % 3}/telemetry", {"temperature": n}) for n in values[part : part + 100]])
        if part == 200:
            cluster[0].kill()
    alive = cluster[1:]
    wait_until(lambda: gateway.audit()["sinks"][SINK]["delivered"] >= 600, 60, what="all readings acknowledged")
    cluster[0].start()
    assert sorted(readings(alive)) == values


def test_a_wrong_password_is_named_and_tried_again(server, floor, sensor, riser):
    gateway = riser(config(floor=floor.port, more=sink(server, password="geheim99", more='send = ["readings"]'))).start()
    gateway.wait_log("connected and subscribed")
    sensor.send("sensors/lounge/telemetry", {"temperature": 1.0})
    gateway.wait_log("refuses the login; look at username and password_file")
    found = warnings(gateway)
    assert "sinks.nats.events.username" in found and "geheim99" not in found + gateway.log()
    gateway.stop()
    gateway.config.write_text(config(floor=floor.port, more=sink(server, more='send = ["readings"]')))
    assert not warnings(gateway)
    gateway.start()
    wait_until(lambda: readings([server]) == [1.0], 20, what="what was queued")


def test_a_stream_that_is_missing_or_takes_other_subjects_is_named(server, floor, sensor, riser):
    more = 'send = ["readings"]\nstream = "mine"\nsubject = "building.{device}.{kind}.x"\ncreate = false'
    gateway = riser(config(floor=floor.port, more=sink(server, more=more))).start()
    gateway.wait_log("connected and subscribed")
    sensor.send("sensors/lounge/telemetry", {"temperature": 1.0})
    gateway.wait_log("stream not found")
    assert "sinks.nats.events.stream" in warnings(gateway)
    make_stream([server], name="mine", subjects=["other.>"])
    gateway.wait_log("no stream takes the subject building.lounge.readings.x; add it to those of the stream mine")
    assert not warnings(gateway)
    make_stream([server], name="second", subjects=["building.>"])
    gateway.wait_log("another stream than mine takes the subject")
    gateway.stop()
    gateway.config.write_text(config(floor=floor.port, more=sink(server, more=more.replace("mine", "second"))))
    gateway.start()
    wait_until(lambda: readings([server], "second") == [1.0], 20, what="the reading")


def test_a_message_that_the_stream_can_never_take_costs_that_record_alone(server, floor, sensor, riser):
    make_stream([server], name="riser", subjects=["riser.>"], max_msg_size=600)
    gateway = riser(config(floor=floor.port, more=sink(server, more='send = ["readings"]'))).start()
    gateway.wait_log("connected and subscribed")
    large = {f"metric_{n}": float(n) for n in range(40)}
    sensor.send_all([("sensors/lounge/telemetry", body) for body in ({"temperature": 1.0}, large, {"temperature": 2.0})])
    gateway.wait_log("this record can never be written")
    assert settled(gateway)["dropped"] == 1
    assert readings([server]) == [1.0, 2.0]


def test_the_certificate_is_checked(started, tmp_path, certificates, floor, sensor, riser):
    server = started.keep(NatsServer(tmp_path / "nats", certificates=certificates)).start()
    gateway = riser(config(floor=floor.port, more=sink(server, more='send = ["readings"]'))).start()
    gateway.wait_log("connected and subscribed")
    sensor.send("sensors/lounge/telemetry", {"temperature": 1.0})
    gateway.wait_log("UnknownIssuer")
    gateway.stop()
    more = f'send = ["readings"]\nca_file = "{certificates.ca}"'
    gateway.config.write_text(config(floor=floor.port, more=sink(server, more=more)))
    gateway.start()
    settled(gateway)
    assert gateway.audit()["sinks"][SINK]["delivered"] == 1


def test_servers_that_are_away_hold_up_no_other(cloud, floor, sensor, received, riser):
    away = f'[sinks.nats.events]\nurl = "nats://{HOST}:{free_port()}"'
    gateway = riser(config(cloud=cloud.port, floor=floor.port, more=away)).start()
    received.wait_online()
    sensor.send("sensors/lounge/telemetry", {"temperature": 1.0, "ts": now_millis()})
    received.wait_for(lambda: received.count("lounge", "temperature") == 1, 20, "the reading in the cloud")
    gateway.wait_log("is out of reach")
    assert json.loads(gateway.cli("audit", "--json", "--config", gateway.config).stdout)["sinks"][SINK]["queued"] == 1


def test_only_the_sink_logs_why_a_server_hangs_up_and_not_each_attempt(started, floor, sensor, riser):
    broken = started.keep(FaultyProxy(free_port()))
    table = f'[sinks.nats.events]\nurl = "nats://{HOST}:{broken.port}"\nsend = ["readings"]'
    gateway = riser(config(floor=floor.port, more=table)).start()
    gateway.wait_log("connected and subscribed")
    sensor.send("sensors/lounge/telemetry", {"temperature": 1.0})
    wait_until(lambda: broken.accepted >= 4, 40, what="four attempts")
    lines = [line for line in gateway.log().splitlines() if any(w in line for w in ("INFO, got", str(broken.port), "nats"))]
    # The sink's own: one for each reason.
    assert lines and all("is out of reach" in line for line in lines), lines

"""Records in a real Kafka: each message once while the gateway runs, at least once over its kills; nothing is lost."""

import pytest

from gateway import config
from kafka_server import PASSWORD, USER, Kafka
from peers import HOST, free_port, wait_until
from readings import now_millis
from sink_chaos.proxy import FaultyProxy

ALERT = '[alerts.too-hot]\nmetric = "temperature"\nabove = 40.0'
SINK = "kafka.events"
EVERYTHING = 'send = ["aggregates", "alerts", "readings"]'


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    broker = Kafka(tmp_path_factory.mktemp("kafka") / "broker", has_login=True)
    try:
        yield broker.start()
    finally:
        broker.close()


def sink(server, topic, password=PASSWORD, more=""):
    login = f'username = "{USER}"\npassword = "{password}"'
    return f'[sinks.kafka.events]\nbrokers = ["{server.address}"]\ntopic = "{topic}.{{kind}}"\n{login}\n{more}\n\n{ALERT}'


def warnings(gateway):
    """What `riser check` says of the sink, without the warning of the test's own configuration that all may read."""
    lines = gateway.cli("check", "--config", gateway.config).stdout.splitlines()
    return "\n".join(line for line in lines if "sinks.kafka" in line and "chmod" not in line)


def settled(gateway):
    wait_until(lambda: gateway.audit()["sinks"][SINK]["queued"] == 0, 60, what="everything acknowledged")
    return gateway.audit()["sinks"][SINK]


def readings(server, topic):
    return [body["metrics"]["temperature"] for _, body, _ in server.messages(f"{topic}.readings")]


def test_each_record_is_a_message_with_gateway_and_device_as_key(server, cloud, floor, sensor, riser, received):
    more = f'{EVERYTHING}\ncompression = "zstd"'
    gateway = riser(config(cloud=cloud.port, floor=floor.port, more=sink(server, "layout", more=more))).start()
    received.wait_online()
    device = "lounge.1 \u00fc'\"$"
    sensor.send(f"sensors/{device}/telemetry", {"temperature": 41.5, "ts": now_millis()})
    received.wait_for(lambda: received.aggregates() and received.alerts(), 20, "the same in the cloud")
    settled(gateway)
    assert server.messages("layout.aggregates")[0][:2] == (f"hq-north/{device}", received.aggregates()[0])
    assert server.messages("layout.alerts")[0][:2] == (f"hq-north/{device}", received.alerts()[0])
    [(key, body, _)] = server.messages("layout.readings")
    assert key == f"hq-north/{device}" and body["metrics"] == {"temperature": 41.5} and "seq" not in body
    assert gateway.audit()["sinks"][SINK]["dropped"] == 0


def test_while_the_gateway_runs_nothing_is_lost_or_comes_twice_when_the_broker_is_killed(server, floor, sensor, riser):
    gateway = riser(config(floor=floor.port, more=sink(server, "killed", more='send = ["readings"]'))).start()
    gateway.wait_log("connected and subscribed")
    sent = []
    for turn in range(3):
        values = [float(1000 * turn + n) for n in range(300)]
        sensor.send_all([(f"sensors/device-{int(n) % 5}/telemetry", {"temperature": n}) for n in values])
        sent += values
        if turn == 1:
            server.kill()
            gateway.wait_ledger(taken=len(sent))
            server.start()
    assert settled(gateway)["dropped"] == 0
    found = server.messages("killed.readings")
    assert sorted(body["metrics"]["temperature"] for _, body, _ in found) == sent
    by_device = {}
    for _, body, partition in found:
        by_device.setdefault(body["device"], []).append((partition, body["metrics"]["temperature"]))
    assert len(by_device) == 5
    for messages in by_device.values():
        assert len({partition for partition, _ in messages}) == 1, "a device's messages are in one partition"
        assert [value for _, value in messages] == sorted(value for _, value in messages)


def test_nothing_is_lost_when_the_gateway_is_killed_and_what_comes_twice_is_the_same(server, floor, sensor, riser):
    gateway = riser(config(floor=floor.port, more=sink(server, "crash", more='send = ["readings"]'))).start()
    gateway.wait_log("connected and subscribed")
    sent = []
    for turn in range(4):
        values = [float(1000 * turn + n) for n in range(200)]
        sensor.send_all([(f"sensors/device-{int(n) % 5}/telemetry", {"temperature": n}) for n in values])
        sent += values
        gateway.wait_ledger(distinct=len(sent))
        gateway.kill()
        gateway.start()
    assert settled(gateway)["dropped"] == 0
    by_id = {}
    for _, body, _ in server.messages("crash.readings"):
        assert by_id.setdefault(body["id"], body) == body
    assert sorted(body["metrics"]["temperature"] for body in by_id.values()) == sent


def test_a_wrong_password_is_named_and_tried_again(server, floor, sensor, riser):
    more = 'send = ["readings"]'
    gateway = riser(config(floor=floor.port, more=sink(server, "login", password="geheim99", more=more))).start()
    gateway.wait_log("connected and subscribed")
    sensor.send("sensors/lounge/telemetry", {"temperature": 1.0})
    gateway.wait_log("look at username and password_file")
    found = warnings(gateway)
    assert "sinks.kafka.events.username" in found and "geheim99" not in found + gateway.log(), found
    gateway.stop()
    gateway.config.write_text(config(floor=floor.port, more=sink(server, "login", more=more)))
    assert not warnings(gateway)
    gateway.start()
    settled(gateway)
    assert readings(server, "login") == [1.0]


def test_a_message_that_is_too_large_costs_that_record_alone(server, floor, sensor, riser):
    gateway = riser(config(floor=floor.port, more=sink(server, "large", more='send = ["readings"]'))).start()
    gateway.wait_log("connected and subscribed")
    # Larger than the broker allows; the requests of the others are too at first, and are divided.
    large = {f"metric_{'x' * 100}_{n}": float(n) for n in range(60)}
    bodies = [{"temperature": float(n)} for n in range(200)]
    sensor.send_all([("sensors/lounge/telemetry", body) for body in (*bodies[:100], large, *bodies[100:])])
    gateway.wait_log("this record can never be written", timeout=30)
    assert settled(gateway)["dropped"] == 1
    assert sorted(readings(server, "large")) == [float(n) for n in range(200)]


def test_brokers_that_are_away_hold_up_no_other(cloud, floor, sensor, received, riser):
    away = f'[sinks.kafka.events]\nbrokers = ["{HOST}:{free_port()}"]'
    gateway = riser(config(cloud=cloud.port, floor=floor.port, more=away)).start()
    received.wait_online()
    sensor.send("sensors/lounge/telemetry", {"temperature": 1.0, "ts": now_millis()})
    received.wait_for(lambda: received.count("lounge", "temperature") == 1, 20, "the reading in the cloud")
    gateway.wait_log(f"{HOST}:", timeout=20)
    wait_until(lambda: gateway.audit()["sinks"][SINK].get("last_error"), 20, what="the error in the audit")
    assert gateway.audit()["sinks"][SINK]["queued"] == 1


def test_only_the_sink_logs_why_a_broker_hangs_up_and_not_each_attempt(started, floor, sensor, riser):
    broken = started.keep(FaultyProxy(free_port()))
    table = f'[sinks.kafka.events]\nbrokers = ["{HOST}:{broken.port}"]\nsend = ["readings"]'
    gateway = riser(config(floor=floor.port, more=table)).start()
    gateway.wait_log("connected and subscribed")
    sensor.send("sensors/lounge/telemetry", {"temperature": 1.0})
    wait_until(lambda: broken.accepted >= 4, 40, what="four attempts")
    lines = [line for line in gateway.log().splitlines() if str(broken.port) in line]
    # The sink's own: one for each reason.
    assert lines and all("trying again" in line for line in lines), lines

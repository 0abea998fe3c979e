"""The embedded broker: the building's own devices need no other program, and get no more than their rights."""

import socket
import subprocess
import threading

import paho.mqtt.client as mqtt
import pytest

from gateway import config
from peers import HOST, free_port, wait_until
from readings import assert_summary, window_ahead


class Building:
    """A gateway with an embedded broker, its ports, and the cloud's ears."""

    def __init__(self, gateway, received, ports):
        self.gateway, self.received = gateway, received
        self.port, self.websocket, self.tls_port = ports


@pytest.fixture
def building(cloud, received, riser, certificates):
    def run(broker="anonymous = true"):
        ports = [free_port() for _ in range(3)]
        table = (
            f'[broker]\nlisten = "{HOST}:{ports[0]}"\nwebsocket = "{HOST}:{ports[1]}"\nlisten_tls = "{HOST}:{ports[2]}"\n'
            f'cert_file = "{certificates.server_cert}"\nkey_file = "{certificates.server_key}"\n{broker}'
        )
        gateway = riser(config(cloud=cloud.port, more=table))
        (gateway.folder / "floor1.password").write_text("hush\n")
        gateway.start()
        received.wait_online()
        return Building(gateway, received, ports)

    return run


USERS = """anonymous = false
[broker.users]
floor1 = { password_file = "floor1.password", publish = ["sensors/#"], subscribe = ["actuators/floor1/#"] }
panel = { password = "secret", publish = ["actuators/#"], subscribe = ["#"] }
"""


def reading(device, start, i, value):
    return f"sensors/{device}/telemetry", {"temperature": value, "ts": start + i}


@pytest.mark.parametrize("version", [mqtt.MQTTv311, mqtt.MQTTv5], ids=["v3.1.1", "v5"])
@pytest.mark.parametrize("way", ["tcp", "websocket", "tls"])
def test_sensors_connect_and_are_heard(building, publisher, certificates, version, way):
    setup = building()
    options = {
        "tcp": {"port": setup.port},
        "websocket": {"port": setup.websocket, "transport": "websockets"},
        "tls": {"port": setup.tls_port, "tls": certificates},
    }[way]
    sensor = publisher(version=version, **options)
    start = window_ahead()
    sensor.send_all([reading("lounge", start, i, 20.0 + i) for i in range(10)], qos=1)
    setup.received.wait_count("lounge", "temperature", 10)
    assert_summary(setup.received.latest("lounge")[0]["metrics"]["temperature"], [20.0 + i for i in range(10)])


def test_qos_0_and_2_and_the_command_line_client_are_heard(building, publisher):
    setup = building()
    start = window_ahead(2)
    sensor = publisher(setup.port)
    for qos in (0, 1, 2):
        sensor.send(f"sensors/qos{qos}/telemetry", {"temperature": 21.0, "ts": start}, qos=qos)
    for version in ("mqttv311", "mqttv5"):
        subprocess.run(
            [
                "mosquitto_pub",
                "-h",
                HOST,
                "-p",
                str(setup.port),
                "-V",
                version,
                "-q",
                "1",
                "-t",
                "values/shell/temperature",
                "-m",
                "21.5",
            ],
            check=True,
            timeout=10,
        )
    for device in ("qos0", "qos1", "qos2"):
        setup.received.wait_count(device, "temperature", 1)
    setup.received.wait_count("shell", "temperature", 2)


def test_wrong_passwords_and_nameless_clients_stay_outside(building, publisher):
    setup = building(USERS)
    for credentials in ({"username": "floor1", "password": "wrong"}, {"username": "nobody", "password": "hush"}, {}):
        for version in (mqtt.MQTTv311, mqtt.MQTTv5):
            stranger = publisher(setup.port, version=version, **credentials)
            assert stranger.connack.is_failure, credentials
    assert not publisher(setup.port, username="floor1", password="hush").connack.is_failure
    assert "hush" not in setup.gateway.log() and "secret" not in setup.gateway.log()


def test_a_user_publishes_only_what_it_may(building, publisher):
    setup = building(USERS + "\n")
    sensor = publisher(setup.port, username="floor1", password="hush")
    start = window_ahead()
    # Refused, and yet the connection lives: a sensor with one wrong topic is not cut off.
    sensor.send("values/forbidden/temperature", "99")
    sensor.send(*reading("lounge", start, 0, 21.0))
    setup.received.wait_count("lounge", "temperature", 1)
    assert {a["device"] for a in setup.received.aggregates()} == {"lounge"}
    assert setup.gateway.audit()["in"] == 1


def test_names_that_clients_choose_cannot_control_the_terminal_that_shows_the_log(building, publisher):
    setup = building(USERS + "\n")
    liar = publisher(setup.port, client_id="x\n2026 INFO broker: all is well", username="floor1", password="hush")
    liar.send("values/\x1b[31mred\x07\u202e/temperature", "99")
    setup.gateway.wait_log("client may not publish to this topic")
    log = setup.gateway.log()
    assert not any(c in log for c in "\x1b\x07\u202e") and "\n2026 INFO" not in log
    assert r"topic=values/\u{1b}[31mred\u{7}\u{202e}/temperature" in log and r"client=x\n2026 INFO" in log


def test_a_payload_that_is_too_large_is_refused_logged_and_counted(building, publisher):
    """Version 3 gets its PUBACK all the same, as from mosquitto: it would send the message for ever."""
    setup = building('anonymous = true\nmax_payload_size = "1KiB"')
    publisher(setup.port, version=mqtt.MQTTv311).send("values/lounge/temperature", "1" * 2_000)
    setup.gateway.wait_log("its payload is too large (max_payload_size)")
    assert setup.gateway.audit()["in"] == 0


def test_a_user_subscribes_only_to_what_it_may(building, publisher, collector):
    setup = building(USERS)

    def listen(topic):
        return collector(setup, topic, username="floor1", password="hush", decode=bytes.decode)

    allowed, refused, everything = listen("actuators/floor1/#"), listen("actuators/floor2/#"), listen("#")
    assert not allowed.refused and refused.refused
    panel = publisher(setup.port, username="panel", password="secret")
    panel.send("actuators/floor2/lamp", "off")
    panel.send("actuators/floor1/lamp", "on")
    allowed.wait_for(lambda: allowed.messages, what="the command for its own floor")
    assert [m.body for m in allowed.messages] == ["on"]
    assert refused.messages == []
    assert all(m.topic.startswith("actuators/floor1/") for m in everything.messages)


def test_retained_messages_work_between_the_buildings_clients(building, publisher, collector):
    setup = building()
    publisher(setup.port).send("actuators/lamp", "on", retain=True)
    late = collector(setup, "actuators/lamp", decode=bytes.decode)
    late.wait_for(lambda: late.messages, what="the retained message")
    assert late.messages[0].retained and late.messages[0].body == "on"


def test_a_tls_client_trusts_only_the_right_authority(building, certificates):
    setup = building()
    command = [
        "mosquitto_pub",
        "-h",
        HOST,
        "-p",
        str(setup.tls_port),
        "-t",
        "values/x/temperature",
        "-m",
        "1",
        "-q",
        "1",
        "--cafile",
    ]
    assert subprocess.run([*command, certificates.strange_ca], capture_output=True, timeout=10).returncode != 0
    assert subprocess.run([*command, certificates.ca], capture_output=True, timeout=10).returncode == 0


def test_an_action_reaches_a_device_on_the_embedded_broker(building, publisher, collector):
    setup = building(
        'anonymous = true\n[alerts.hot]\nmetric = "temperature"\nabove = 40.0\n'
        'actions = [ { adapter = "mqtt.floor", topic = "actuators/fan", payload = "on" } ]'
    )
    fan = collector(setup, "actuators/fan", decode=bytes.decode)
    publisher(setup.port).send("values/lounge/temperature", "41")
    fan.wait_for(lambda: fan.messages, what="the fan's command")
    assert fan.messages[0].body == "on"


def test_sessions_of_the_embedded_broker_survive_a_kill(building, publisher, collector):
    setup = building()
    options = mqtt.Properties(mqtt.PacketTypes.CONNECT)
    options.SessionExpiryInterval = 600
    received = []
    display = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="display", protocol=mqtt.MQTTv5)
    display.on_message = lambda client, userdata, message: received.append(message.payload)
    suback = []
    display.on_subscribe = lambda *arguments: suback.append(arguments)
    display.connect(HOST, setup.port, clean_start=False, properties=options)
    display.subscribe("actuators/#", qos=1)
    wait_until(lambda: display.loop(0.1) == 0 and suback, what="the SUBACK")
    display.disconnect()
    display.loop(0.1)
    publisher(setup.port).send("actuators/lamp", "while away")
    setup.gateway.kill()
    setup.gateway.start()
    setup.received.wait_for(lambda: setup.received.statuses()[-2:] == ["offline", "online"], what="offline, then online")
    display.connect(HOST, setup.port, clean_start=False, properties=options)
    wait_until(lambda: (display.loop(0.1), received)[1], what="the message kept for the display")
    assert received == [b"while away"]
    display.disconnect()


class Sender:
    """A QoS 1 sensor with one message under way; knows which were acknowledged. It does not come back after a loss."""

    def __init__(self, port, first):
        self.next, self.acknowledged = first, []
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.client.on_publish = lambda *_: self._acknowledged()
        self.client.on_connect = lambda *_: self._send()
        self.client.connect(HOST, port)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.stop.is_set() and self.client.loop(0.05) == mqtt.MQTT_ERR_SUCCESS:
            pass

    def _send(self):
        # Each message has its own device, so that the cloud shows which one arrived.
        self.client.publish(f"values/n{self.next}/temperature", str(self.next), qos=1)

    def _acknowledged(self):
        self.acknowledged.append(self.next)
        self.next += 1
        self._send()

    def end(self):
        self.stop.set()
        self.thread.join(10)
        return self.acknowledged


@pytest.mark.parametrize("sync_every", ["0s", "1s"])
def test_a_killed_gateway_counts_every_reading_that_it_acknowledged(cloud, received, riser, sync_every):
    port = free_port()
    gateway = riser(
        config(
            cloud=cloud.port,
            journal=f'sync_every = "{sync_every}"',
            more=f'[broker]\nlisten = "{HOST}:{port}"\nanonymous = true',
        )
    ).start()
    received.wait_online()
    acknowledged, number = [], 0
    for boots in (2, 3, 4):
        sender = Sender(port, number)
        try:
            wait_until(lambda s=sender: len(s.acknowledged) >= 150, 20, "acknowledged messages")
            gateway.kill()
        finally:
            acknowledged += sender.end()
        number = sender.next + 1  # The one under way may be there or not.
        gateway.start()
        received.wait_for(lambda n=boots: received.statuses().count("online") >= n, 20, "online again")

    def counted():
        return {body["device"] for body in received.aggregates() if "temperature" in body["metrics"]}

    wanted = {f"n{i}" for i in acknowledged}
    received.wait_for(lambda: wanted <= counted(), 20, "every acknowledged reading")
    wait_until(lambda: gateway.audit()["open"] == 0 and gateway.audit()["queued"] == 0, what="nothing left under way")
    assert len(counted() - wanted) <= 3, "at most the one under way at each kill"
    assert sum(received.count(device, "temperature") for device in wanted) == len(wanted)


def mqtt_connection(port, client):
    """A raw connection of MQTT 3.1.1, after its CONNACK."""
    connection = socket.create_connection((HOST, port), timeout=10)
    name = client.encode()
    connection.sendall(bytes([0x10, 12 + len(name)]) + b"\x00\x04MQTT\x04\x02\x00\x3c" + bytes([0, len(name)]) + name)
    assert connection.recv(4) == b"\x20\x02\x00\x00"
    return connection


def test_packets_of_different_clients_are_taken_in_the_order_in_which_they_came(building):
    setup = building()
    for i in range(5):
        listener, sender = mqtt_connection(setup.port, f"listener{i}"), mqtt_connection(setup.port, f"sender{i}")
        # Frozen while it does nothing, so that both packets wait for it.
        setup.gateway.wait_idle()
        setup.gateway.freeze()
        listener.sendall(b"\x82\x06\x00\x01\x00\x01t\x00")
        sender.sendall(b"\x30\x04\x00\x01t!")
        setup.gateway.thaw()
        answer = b""
        while len(answer) < 11:
            more = listener.recv(100)
            assert more, f"closed after {answer!r}"
            answer += more
        assert answer == b"\x90\x03\x00\x01\x00" + b"\x30\x04\x00\x01t!"
        listener.close()
        sender.close()

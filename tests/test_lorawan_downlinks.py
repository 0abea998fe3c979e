"""Alerts' actions for LoRaWAN devices: by way of The Things Stack and ChirpStack, and through the encoders of codecs."""

import base64

import pytest

from gateway import HEALTH_EVERY_SECOND, ID, config
from lorawan import ABP, Forwarder, Node, abp_table, adapter_table
from peers import free_port, wait_until
from readings import now_millis

EUI = "70b3d57ed0000001"
TTN, CHIRPSTACK = "v3/floors@ttn/devices", "application/7/device"
WILD = [("v3/+/devices/{device}/#", "ttn"), ("application/+/device/{device}/#", "chirpstack")]
NAMED = [(f"{TTN}/{{device}}/up", "ttn")]
LED = {"led": True}

LED_JS = """
function decodeUplink(input) { return { data: { level: input.bytes[0] } }; }
function encodeDownlink(input) {
  if (input.data.broken) return { errors: ["no such lamp"] };
  if (input.data.until && Date.now() > input.data.until) while (true) {}
  return { bytes: [input.data.led ? 1 : 0, 255], fPort: 12 };
}
"""


def rule(action, adapter="mqtt.floor"):
    """One that `trigger` makes true."""
    return f'[alerts.hot]\nmetric = "temperature"\nabove = 40.0\ndevices = ["sensor"]\nactions = [ {{ adapter = "{adapter}", {action} }} ]\n'


class Setup:
    """A gateway, and the broker on which a network server would be."""

    def __init__(self, riser, floor, cloud, received, sensor, collector):
        self.make, self.floor, self.cloud, self.received, self.sensor = riser, floor, cloud, received, sensor
        self.said = collector(floor, "#")

    def start(self, action, topics=WILD, more="", adapter="mqtt.floor"):
        topics = [*topics, ("sensors/{device}/telemetry", "json")]
        text = config(
            cloud=self.cloud.port,
            floor=self.floor.port,
            topics=topics,
            gateway=HEALTH_EVERY_SECOND,
            more=rule(action, adapter) + more,
        )
        self.gateway = self.make(text)
        (self.gateway.folder / "led.js").write_text(LED_JS)
        self.gateway.start()
        self.received.wait_online()
        return self.gateway

    def trigger(self, temperature=41.0):
        self.sensor.send("sensors/sensor/telemetry", {"temperature": temperature})

    def published(self, topic):
        """The one message on that topic, once it has come."""
        self.said.wait_for(lambda: self.said.on(topic), 20, topic)
        [message] = self.said.on(topic)
        return message


@pytest.fixture
def setup(riser, floor, cloud, received, sensor, collector):
    return Setup(riser, floor, cloud, received, sensor, collector)


def ttn_uplink(setup, device, dev_eui=None):
    ids = {"device_id": device} | ({"dev_eui": dev_eui} if dev_eui else {})
    uplink = {"f_port": 1, "frm_payload": "Bw==", "decoded_payload": {"level": 7}, "consumed_airtime": "0.061696s"}
    setup.sensor.send(f"{TTN}/{device}/up", {"end_device_ids": ids, "uplink_message": uplink})


def test_the_things_stack_is_reported_in_its_words_without_having_heard_the_device(setup):
    setup.start('device = "hall", port = 10, payload = "hex:0aff"', topics=NAMED)
    setup.trigger()
    expected = {"f_port": 10, "frm_payload": "Cv8=", "confirmed": False, "priority": "NORMAL"}
    assert setup.published(f"{TTN}/hall/down/push") == {"downlinks": [expected]}
    setup.gateway.wait_log("action taken")


def test_an_object_that_our_codec_does_not_encode_is_left_to_the_things_stack(setup):
    setup.start(f"device = \"hall\", port = 10, payload = '{{\"led\":true}}', confirmed = true", topics=NAMED)
    setup.trigger()
    expected = {"f_port": 10, "decoded_payload": LED, "confirmed": True, "priority": "NORMAL"}
    assert setup.published(f"{TTN}/hall/down/push") == {"downlinks": [expected]}


def test_behind_a_wildcard_a_device_is_found_by_its_dev_eui_once_it_was_heard(setup):
    lamp = f'[devices.lamp]\naddress = "{EUI.upper()}"\ncodec = "led.js"\n'
    setup.start("device = \"lamp\", payload = '{\"led\":true}'", more=lamp)
    setup.trigger()
    setup.gateway.wait_log("has sent nothing since the start")
    ttn_uplink(setup, "eui-lamp", EUI.upper())
    setup.received.wait_count("lamp", "airtime", 1)
    setup.trigger(20)
    setup.trigger()
    # Bytes and port are what encodeDownlink of our own codec made.
    expected = {"f_port": 12, "frm_payload": base64.b64encode(b"\x01\xff").decode(), "confirmed": False, "priority": "NORMAL"}
    assert setup.published(f"{TTN}/eui-lamp/down/push") == {"downlinks": [expected]}


def test_chirpstack_is_reported_in_its_words(setup):
    setup.start('device = "lamp", port = 10, payload = "hex:0aff", confirmed = true', more=f'[devices.lamp]\naddress = "{EUI}"\n')
    info = {"deviceInfo": {"devEui": EUI, "deviceName": "Lamp"}}
    setup.sensor.send(f"{CHIRPSTACK}/{EUI}/event/up", info | {"fPort": 1, "object": {"level": 7}})
    setup.received.wait_count("lamp", "level", 1)
    setup.trigger()
    expected = {"devEui": EUI, "confirmed": True, "fPort": 10, "data": "Cv8="}
    assert setup.published(f"{CHIRPSTACK}/{EUI}/command/down") == expected


def test_an_object_that_our_codec_does_not_encode_is_left_to_chirpstack(setup):
    topics = [(f"{CHIRPSTACK}/{{device}}/event/+", "chirpstack")]
    setup.start(f"device = \"{EUI}\", port = 10, payload = '{{\"led\":true}}'", topics=topics)
    setup.trigger()
    expected = {"devEui": EUI, "confirmed": False, "fPort": 10, "object": LED}
    assert setup.published(f"{CHIRPSTACK}/{EUI}/command/down") == expected


def test_what_servers_report_of_downlinks_is_no_bad_payload_and_no_reading(setup):
    setup.start('device = "hall", port = 10, payload = "hex:00"')
    ids = {"end_device_ids": {"device_id": "hall", "dev_eui": EUI}}
    downlink = {"f_port": 10, "frm_payload": "AA==", "decoded_payload": LED}
    for event in ("queued", "sent", "ack", "nack", "failed"):
        body = {"downlink": downlink, "error": {"code": 3}} if event == "failed" else downlink
        setup.sensor.send(f"{TTN}/hall/down/{event}", ids | {f"downlink_{event}": body})
    info = {"deviceInfo": {"devEui": EUI}}
    setup.sensor.send(f"{CHIRPSTACK}/{EUI}/event/ack", info | {"queueItemId": "1b", "acknowledged": True})
    setup.sensor.send(f"{CHIRPSTACK}/{EUI}/event/txack", info | {"downlinkId": 3, "fCntDown": 1, "txInfo": {}})
    setup.sensor.send(f"{CHIRPSTACK}/{EUI}/event/log", info | {"level": "ERROR", "code": "F_CNT_DOWN"})
    setup.sensor.send(f"{CHIRPSTACK}/{EUI}/command/down", {"devEui": EUI, "fPort": 10, "confirmed": True, "data": "AA=="})
    # Our own order comes back on the wide filter, too.
    setup.trigger()
    setup.published(f"{TTN}/hall/down/push")
    setup.trigger(20)
    setup.received.wait_count("sensor", "temperature", 2)
    audit = setup.gateway.audit()
    assert (audit["in"], audit["dropped"]) == (2, {})


def test_an_object_for_a_device_of_our_own_goes_through_its_codec(setup, started):
    port = free_port()
    table = abp_table("lamp", EUI, more=', class = "C"').replace('codec = "node"', 'codec = "led.js"')
    table = adapter_table(port) + table
    setup.start("device = \"lamp\", payload = '{\"led\":true}'", more=table, adapter="lorawan.roof")
    setup.gateway.wait_log(f"lorawan: listens on 127.0.0.1:{port}")
    lamp, forwarder = Node(EUI, **ABP), started.keep(Forwarder(port))
    forwarder.pull()
    forwarder.push(lamp.uplink(bytes([7])))
    setup.received.wait_count("lamp", "level", 1)
    setup.trigger()
    command, _ = forwarder.answer(lamp)
    assert (command["port"], command["payload"]) == (12, b"\x01\xff")


def test_an_encoder_that_hangs_fails_its_action_alone(setup):
    """It answers while the configuration is checked, and hangs from some seconds later on."""
    until = now_millis() + 10_000
    lamp = '[devices.lamp]\ncodec = "led.js"\n'
    hangs = f"device = \"lamp\", payload = '{{\"led\":true,\"until\":{until}}}' }}, {{ adapter = \"mqtt.floor\", "
    fine = 'device = "hall", port = 10, payload = "hex:00"'
    setup.start(hangs + fine, more=lamp, topics=NAMED)
    wait_until(lambda: now_millis() > until, what="the encoder's time")
    for _ in range(5):
        setup.trigger()
        setup.trigger(20)
    # Of processor time; on a busy machine it is given up after five seconds instead.
    setup.gateway.wait_log("action not sent: the codec ")
    setup.said.wait_for(lambda: len(setup.said.on(f"{TTN}/hall/down/push")) == 5, 20, "the other action's messages")
    assert setup.said.on(f"{TTN}/lamp/down/push") == []
    setup.received.wait_count("sensor", "temperature", 10)
    ttn_uplink(setup, "lamp")
    setup.received.wait_count("lamp", "level", 1)
    topic = f"building/gateways/{ID}/health"

    def counts():
        return [body["adapters"]["mqtt.floor"].get("actions") for body in setup.received.on(topic)]

    setup.received.wait_for(lambda: {"done": 5, "failed": 5} in counts(), 75, "the count in health")


@pytest.mark.parametrize(
    ("action", "more", "expected"),
    [
        ('device = "hall", payload = "hex:00"', "", ".port: missing; write the device's port for commands, 1 to 223"),
        ('device = "hall", port = 3, payload = "on"', "", ".payload: write hex: and an even number of hex digits, or a JSON object"),
        ('device = "hall", port = 3, payload = "hex:' + 243 * "00" + '"', "", ".payload: is 243 bytes for the device"),
        ("device = \"hall\", payload = '{\"led\":1}'", "", ".port: missing"),
        ('device = "a/b", port = 3, payload = "hex:00"', "", '.device: "a/b" is no device in a network server\'s topics'),
        ('topic = "a", device = "b", port = 3, payload = "hex:00"', "", ".topic: does not go with `device`"),
        ("device = \"l\", payload = '{\"broken\":1}'", '[devices.l]\ncodec = "led.js"\n', ".payload: the codec says: no such lamp"),
    ],
)
def test_a_wrong_action_is_reported(riser, action, more, expected):
    gateway = riser(config(floor=1, topics=NAMED, more=rule(action) + more))
    (gateway.folder / "led.js").write_text(LED_JS)
    said = gateway.cli("check", "--no-environment", "--config", "gateway.toml", check=78).stdout
    assert f"error: alerts.hot.actions[0]{expected}" in said


def test_a_broker_without_a_network_server_has_no_devices_to_send_to(riser):
    gateway = riser(config(floor=1, more=rule('device = "hall", port = 3, payload = "hex:00"')))
    said = gateway.cli("check", "--no-environment", "--config", "gateway.toml", check=78).stdout
    assert "alerts.hot.actions[0].device: adapters.mqtt.floor knows no LoRaWAN devices" in said


def test_chirpstack_knows_its_devices_by_their_dev_euis_alone(riser):
    topics = [("application/+/device/{device}/event/up", "chirpstack")]
    text = config(floor=1, topics=topics, more=rule('device = "lamp", port = 3, payload = "hex:00"') + "[devices.lamp]\n")
    gateway = riser(text)
    said = gateway.cli("check", "--no-environment", "--config", "gateway.toml", check=78).stdout
    assert 'alerts.hot.actions[0].device: "lamp" is not a DevEUI, by which ChirpStack knows its devices' in said
    gateway.rewrite("[devices.lamp]\n", f'[devices.lamp]\naddress = "{EUI}"\n')
    gateway.cli("check", "--no-environment", "--config", "gateway.toml", check=0)


def test_a_device_of_our_own_needs_a_codec_that_encodes(riser):
    table = adapter_table(free_port()) + abp_table("lamp", EUI)
    action = rule("device = \"lamp\", port = 3, payload = '{\"led\":1}'", "lorawan.roof")
    gateway = riser(config(floor=1, more=table + action))
    said = gateway.cli("check", "--no-environment", "--config", "gateway.toml", check=78).stdout
    assert "alerts.hot.actions[0].payload: the codec has no `encodeDownlink(input)`" in said

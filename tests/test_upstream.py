"""The connection to the cloud: TLS with and without a client's certificate, passwords, WebSocket, MQTT 3.1.1, compression."""

import json
import zlib

import pytest
import zstandard

from gateway import ID, config
from peers import HOST, free_port
from readings import assert_summary, window_ahead

VALUES = [20.0, 21.5, 23.0]


def send(sensor):
    start = window_ahead()
    sensor.send_all(("sensors/lounge/telemetry", {"temperature": v, "ts": start + i}) for i, v in enumerate(VALUES))


def assert_arrives(received):
    received.wait_count("lounge", "temperature", len(VALUES))
    assert_summary(received.latest("lounge")[0]["metrics"]["temperature"], VALUES)


def with_plain_listener(mosquitto, **options):
    """A broker with a second, plain listener, so that the test can listen without the means under test."""
    plain = free_port()
    broker = mosquitto(lines=["per_listener_settings false", f"listener {plain} {HOST}"], **options)
    broker.plain = plain
    return broker


class Plain:
    def __init__(self, port):
        self.port = port


def test_tls_with_the_authority_of_ca_file(mosquitto, floor, sensor, riser, collector, certificates):
    cloud = with_plain_listener(mosquitto, tls=certificates)
    received = collector(Plain(cloud.plain))
    upstream = f'url = "mqtts://{HOST}:{cloud.port}"\nca_file = "{certificates.ca}"'
    riser(config(cloud=cloud.port, floor=floor.port, upstream=upstream)).start()
    received.wait_online()
    send(sensor)
    assert_arrives(received)


def test_a_client_certificate_opens_a_cloud_that_wants_one(mosquitto, floor, sensor, riser, collector, certificates):
    cloud = with_plain_listener(mosquitto, tls=certificates, client_certificates=True)
    received = collector(Plain(cloud.plain))
    upstream = (
        f'url = "mqtts://localhost:{cloud.port}"\nca_file = "{certificates.ca}"\n'
        f'cert_file = "{certificates.client_cert}"\nkey_file = "{certificates.client_key}"'
    )
    riser(config(cloud=cloud.port, floor=floor.port, upstream=upstream)).start()
    received.wait_online()
    send(sensor)
    assert_arrives(received)


def test_a_cloud_of_an_unknown_authority_is_not_believed(mosquitto, floor, sensor, riser, collector, certificates):
    cloud = with_plain_listener(mosquitto, tls=certificates)
    received = collector(Plain(cloud.plain))
    upstream = f'url = "mqtts://{HOST}:{cloud.port}"\nca_file = "{certificates.strange_ca}"'
    gateway = riser(config(cloud=cloud.port, floor=floor.port, upstream=upstream)).start()
    gateway.wait_log("certificate")
    send(sensor)
    assert received.statuses() == [] and gateway.process.poll() is None
    # Mended and started again, nothing is lost.
    gateway.rewrite(str(certificates.strange_ca), str(certificates.ca))
    assert gateway.stop() == 0
    gateway.start()
    received.wait_online()
    assert_arrives(received)


def test_a_password_file_and_a_relative_path(mosquitto, floor, sensor, riser, collector):
    cloud = mosquitto(users={ID: "hush-hush", "application": "pw"})
    received = collector(cloud, username="application", password="pw")
    gateway = riser(
        config(cloud=cloud.port, floor=floor.port, upstream=f'username = "{ID}"\npassword_file = "upstream.password"')
    )
    (gateway.folder / "upstream.password").write_text("hush-hush\n")
    gateway.start()
    received.wait_online()
    send(sensor)
    assert_arrives(received)
    assert "hush-hush" not in gateway.log()


@pytest.mark.parametrize("upstream", ['protocol = "3.1.1"', 'protocol = "5"'], ids=["v3.1.1", "v5"])
def test_both_versions_of_mqtt_on_both_sides(cloud, floor, sensor, received, riser, upstream):
    riser(config(cloud=cloud.port, floor=floor.port, upstream=upstream, adapter=upstream)).start()
    received.wait_online()
    send(sensor)
    assert_arrives(received)
    log = cloud.log()
    assert f"as riser-{ID} (p{2 if '3.1.1' in upstream else 5}" in log


def test_a_websocket_to_the_cloud(mosquitto, floor, sensor, riser, collector):
    websocket = free_port()
    cloud = mosquitto(lines=[f"listener {websocket} {HOST}", "protocol websockets"])
    received = collector(cloud)
    upstream = f'url = "ws://{HOST}:{websocket}"'
    riser(config(cloud=cloud.port, floor=floor.port, upstream=upstream)).start()
    received.wait_online()
    send(sensor)
    assert_arrives(received)


@pytest.mark.parametrize(
    ("compression", "unpack"),
    [("zlib", zlib.decompress), ("zstd", lambda raw: zstandard.ZstdDecompressor().decompressobj().decompress(raw))],
)
def test_compressed_payloads_unpack_to_the_same_json(cloud, floor, sensor, riser, collector, compression, unpack):
    def decode(raw):
        return json.loads(unpack(raw))

    received = collector(cloud, "building/sensors/#", decode=decode)
    alerts = collector(cloud, "building/alerts/#", decode=decode)
    status = collector(cloud, "building/gateways/+/status")
    riser(
        config(
            cloud=cloud.port,
            floor=floor.port,
            upstream=f'compression = "{compression}"',
            more='[alerts.hot]\nmetric = "temperature"\nabove = 22.0',
        )
    ).start()
    # The status is read by people and by brokers' last wills: as it stands.
    status.wait_online()
    send(sensor)
    assert_arrives(received)
    alerts.wait_for(lambda: alerts.alerts("lounge"), what="the alert")
    assert alerts.alerts()[0]["value"] == 23.0

"""Certificates and a clock that is wrong: never a reason to end, always tried again, and said in plain words."""

import os
import shutil
import subprocess
import time

import pytest

from clocks import HOUR, Machine
from gateway import config
from peers import HOST, free_port, wait_until

DAY = 24 * HOUR


@pytest.fixture
def clock(tmp_path):
    return Machine(tmp_path / "clock")


@pytest.fixture
def secure(mosquitto, certificates):
    """A broker that wants certificates, with a second listener that wants none: the test's own ears and mouth."""

    def start(**options):
        plain = free_port()
        broker = mosquitto(tls=certificates, lines=["per_listener_settings false", f"listener {plain} {HOST}"], **options)
        broker.url, broker.port = f"mqtts://{HOST}:{broker.port}", plain
        return broker

    return start


@pytest.fixture
def own(tmp_path, certificates):
    """The gateway's own certificate, in files that a test may change."""
    for end in ("pem", "key"):
        shutil.copy(certificates.folder / f"client.{end}", tmp_path / f"own.{end}")
    return tmp_path / "own.pem"


def trusting(url, certificates, own=None):
    lines = [f'url = "{url}"', f'ca_file = "{certificates.ca}"']
    if own:
        lines += [f'cert_file = "{own}"', f'key_file = "{own.with_suffix(".key")}"']
    return "\n".join(lines)


def refused_handshakes(broker):
    return broker.log().count("SSL routines:")


def test_brokers_are_reached_seconds_after_the_clock_is_set(clock, secure, certificates, own, riser, collector, publisher):
    cloud, floor = secure(client_certificates=True), secure()
    received, sensor = collector(cloud), publisher(floor.port)
    clock.show(100)
    text = config(cloud=0, upstream=trusting(cloud.url, certificates, own), adapter=trusting(floor.url, certificates))
    gateway = riser(text, env=clock.environment()).start()
    # By now the pauses have grown as far as they may.
    for broker in (cloud, floor):
        wait_until(lambda b=broker: refused_handshakes(b) >= 7, 60, lambda b=broker: b.log()[-1000:])
    words = f"the certificate of {HOST} is not valid before 20"
    waiting = [line for line in gateway.log().splitlines() if words in line]
    assert len(waiting) == 2, "upstream and adapter say so once each:\n" + gateway.log()
    assert all("clock says 1970-01-01 00:0" in line and "waiting for the clock" in line for line in waiting)
    clock.set(0)
    received.wait_online(13)
    floor.wait_log("Sending SUBACK", timeout=13)
    sensor.send("sensors/d/telemetry", {"n": 1})
    received.wait_count("d", "n", 1)


def test_a_clock_that_is_ahead_waits_to_be_set_back(clock, secure, certificates, floor, riser, collector):
    cloud = secure()
    received = collector(cloud)
    clock.set(60 * DAY)
    upstream = trusting(cloud.url, certificates)
    gateway = riser(config(cloud=0, floor=floor.port, upstream=upstream), env=clock.environment()).start()
    gateway.wait_log("it was valid until 20")
    clock.set(0)
    received.wait_online()


@pytest.fixture
def tomorrow(clock, certificates, tmp_path):
    """A certificate of the gateway's own that begins to be valid tomorrow."""
    path = tmp_path / "tomorrow.pem"
    clock.set(DAY)
    command = "openssl x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30".split()
    command += ["-extfile", "client.ext", "-out", path]
    environment = os.environ | clock.environment()
    subprocess.run(command, check=True, capture_output=True, cwd=certificates.folder, env=environment)
    clock.set(0)
    return path


def test_an_own_certificate_that_the_cloud_refuses_may_be_replaced(
    tomorrow, secure, certificates, own, floor, riser, collector
):
    good = own.read_bytes()
    shutil.copy(tomorrow, own)
    cloud = secure(client_certificates=True)
    received = collector(cloud)
    gateway = riser(config(cloud=0, floor=floor.port, upstream=trusting(cloud.url, certificates, own))).start()
    gateway.wait_log(f"{own} is not valid before ")
    wait_until(lambda: refused_handshakes(cloud) >= 2, what="attempts")
    gateway.wait_log("the broker refuses our certificate")
    own.write_bytes(good)
    received.wait_online()


@pytest.fixture
def building(clock, certificates, cloud, received, riser):
    """A gateway in 1970 with an embedded broker; a factory that returns its TLS port. `broker`: further lines."""

    def run(broker=""):
        clock.show(100)
        port = free_port()
        table = (
            f'[broker]\nlisten_tls = "{HOST}:{port}"\nlisten = "{HOST}:{free_port()}"\nanonymous = true\n'
            f'cert_file = "{certificates.server_cert}"\nkey_file = "{certificates.server_key}"\n{broker}'
        )
        riser(config(cloud=cloud.port, more=table), env=clock.environment()).start()
        received.wait_online()
        return port

    return run


def test_the_embedded_broker_serves_with_a_certificate_of_the_future(building, certificates, received, publisher):
    publisher(building(), tls=certificates).send("sensors/d/telemetry", {"n": 1})
    received.wait_count("d", "n", 1)


def test_devices_with_certificates_are_let_in_when_the_clock_is_set(building, clock, certificates, received):
    port = building(f'ca_file = "{certificates.ca}"')
    command = ["mosquitto_pub", "-h", HOST, "-p", port, "-t", "sensors/d/telemetry", "-m", '{"n":1}', "-q", "1"]
    command += ["--cafile", certificates.ca, "--cert", certificates.client_cert, "--key", certificates.client_key]
    command = [str(part) for part in command]
    assert subprocess.run(command, capture_output=True, timeout=20).returncode != 0
    clock.set(0)
    subprocess.run(command, check=True, capture_output=True, timeout=20)
    received.wait_count("d", "n", 1)


@pytest.mark.parametrize(
    ("moment", "words"),
    [(100, "is not valid before 20"), (time.time() + 60 * DAY, "was valid until 20")],
    ids=["1970", "in 60 days"],
)
def test_check_warns_of_a_certificate_that_is_not_valid_now(clock, certificates, own, riser, moment, words):
    text = config(cloud=0, floor=1, upstream=trusting("mqtts://localhost:1", certificates, own))
    broker = f'[broker]\nlisten_tls = "{HOST}:{free_port()}"\ncert_file = "{own}"\nkey_file = "{own.with_suffix(".key")}"\n'
    gateway = riser(text + broker, env=clock.environment())
    arguments = ("check", "--config", gateway.config)
    right = gateway.cli(*arguments, check=0).stdout
    assert words not in right
    clock.show(moment)
    wrong = gateway.cli(*arguments, check=0).stdout
    year = time.strftime("%Y", time.gmtime(moment))
    for key in ("upstream.cert_file", "broker.cert_file"):
        (line,) = [line for line in wrong.splitlines() if f"warning: {key}: {own} {words}" in line]
        assert f"this machine's clock says {year}-" in line
    assert " error: " not in wrong
    gateway.cli(*arguments, "--deny-warnings", check=78)

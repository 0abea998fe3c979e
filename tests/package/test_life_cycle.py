"""Install, upgrade, downgrade, remove, purge: what people have written and what the gateway has taken stays, until
purge leaves nothing."""

import json
import re
import signal

import pytest
from gateway import config
from lorawan import APP_KEY, Forwarder, Node, adapter_table, otaa_table
from peers import Collector, Mosquitto, Publisher, free_port, wait_until
from root import other_version

CONFIGURATION = "/etc/riser/gateway.toml"
HALL = "a84041ffff000002"
# 21.47 Cel and 45 %RH as the codec `node` reads them, and the radio's own metrics beside: see docs/node-frames.md.
FRAME = bytes.fromhex("01010863021194")
# The oldest and the newest there can be: whatever the version under test is, it lies between.
OLDER, NEWER = "0.0.1", "999"


class Service:
    """`riser run` as its unit runs it, where no systemd does."""

    def __init__(self, root):
        self.root = root
        self.process = None

    def start(self):
        with open(self.root.path("/tmp/log"), "ab") as log:
            self.process = self.root.start("riser", "run", "--config", CONFIGURATION, user="riser", stdout=log, stderr=log)

    def log(self):
        return self.root.path("/tmp/log").read_text(errors="replace")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0, self.log()

    def ledger(self):
        """Of the running or the stopped gateway; it must balance."""
        return json.loads(self.root.run("riser", "audit", "--json", "--config", CONFIGURATION, user="riser"))

    def wait_ledger(self, what):
        return wait_until(lambda: (said := self.ledger()) and what(said) and said, 60, lambda: f"not {self.ledger()}")

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


@pytest.fixture
def service(started, root):
    return started.keep(Service(root))


def write_configuration(root, text):
    path = root.path(CONFIGURATION)
    text = text.replace('data_dir = "data"', 'data_dir = "/var/lib/riser"')
    # Into the file that is there: owner and mode stay.
    path.write_text(text)
    return text


def stored(root):
    return list(root.path("/var/lib/riser").iterdir())


def test_what_was_taken_survives_upgrade_and_downgrade(started, root, service, package, tmp_path):
    cloud = started.keep(Mosquitto(tmp_path / "cloud"))
    port, roof = free_port(), free_port()
    broker = f'[broker]\nlisten = "127.0.0.1:{port}"\nanonymous = true\n'
    tables = broker + adapter_table(roof) + otaa_table("hall", HALL)
    root.install(package)
    text = write_configuration(root, config(cloud=cloud.port, anomaly="enabled = true", more=tables))

    # The cloud is away: all of it is queued.
    service.start()
    wait_until(lambda: f"lorawan: listens on 127.0.0.1:{roof}" in service.log(), 60, service.log)
    floor = started.keep(Publisher(port))
    floor.send_all([("sensors/lounge/telemetry", json.dumps({"temperature": t})) for t in range(20)])
    forwarder, node = started.keep(Forwarder(roof)), Node(HALL, app_key=APP_KEY)
    forwarder.pull()
    forwarder.push(node.join_request())
    node.open_accept(forwarder.downlink()[0])
    forwarder.push(node.uplink(FRAME))
    taken = service.wait_ledger(lambda ledger: ledger["queued"] > 20 and not ledger["open"])["in"]
    service.stop()
    models = service.ledger()["models"]
    assert models["kept"] > 0

    root.install(other_version(package, NEWER, tmp_path))
    assert root.path(CONFIGURATION).read_text() == text
    assert "As shipped with" in root.path(CONFIGURATION + ".dpkg-dist").read_text()
    ledger = service.ledger()
    assert (ledger["queued"], ledger["models"]) == (taken, models)
    service.start()
    # The session that was joined before is good still.
    wait_until(lambda: service.log().count("lorawan: listens on") == 2, 60, service.log)
    started.keep(forwarder := Forwarder(roof))
    forwarder.push(node.uplink(FRAME))
    taken = service.wait_ledger(lambda ledger: ledger["in"] > taken and not ledger["open"])["in"]
    service.stop()

    before = service.ledger()
    root.install(other_version(package, OLDER, tmp_path))
    assert root.path(CONFIGURATION).read_text() == text
    assert service.ledger() == before
    cloud.start()
    received = started.keep(Collector(cloud.port))
    service.start()
    received.wait_count("lounge", "temperature", 20, 60)
    ledger = service.wait_ledger(lambda ledger: not ledger["queued"])
    assert ledger["balanced"] and ledger["published"] == taken and not ledger["dropped"], ledger
    service.stop()
    said, code = root.run("dpkg", "--verify", "riser", check=False)
    assert said.split() == ["??5??????", "c", CONFIGURATION], (said, code)


def test_the_shipped_configuration_takes_readings_on_loopback(started, root, service, package):
    """On a port of the test's own, for the machine may have a broker on 1883."""
    root.install(package)
    port = free_port()
    shipped = root.path(CONFIGURATION).read_text()
    write_configuration(root, shipped.replace("127.0.0.1:1883", f"127.0.0.1:{port}"))
    service.start()
    wait_until(lambda: f"127.0.0.1:{port}" in service.log(), 60, service.log)
    topic = re.search(r'^ *\{ filter = "([^"]*)", format = "json" \}', shipped, re.MULTILINE).group(1)
    floor = started.keep(Publisher(port))
    floor.send(topic.replace("{device}", "lounge"), '{"temperature": 21.5}')
    assert service.wait_ledger(lambda ledger: ledger["in"] == 1)["balanced"]
    service.stop()


def test_remove_keeps_what_people_wrote_and_purge_leaves_nothing(root, service, package):
    before = root.listing()
    root.install(package)
    write_configuration(root, "[gateway]\n# edited\n")
    root.path("/etc/riser/upstream.password").write_text("secret\n")
    root.path("/etc/riser/codecs/am307.js").write_text("// a vendor's\n")
    service.start()
    wait_until(lambda: stored(root), 60, service.log)
    service.stop()
    root.path("/tmp/log").unlink()

    root.run("dpkg", "--remove", "riser")
    assert not root.path("/usr/bin/riser").exists()
    assert "edited" in root.path(CONFIGURATION).read_text()
    assert root.path("/etc/riser/upstream.password").exists()
    assert stored(root)

    root.install(package)
    assert "edited" in root.path(CONFIGURATION).read_text()
    root.run("dpkg", "--remove", "riser")

    root.run("dpkg", "--purge", "riser")
    after = root.listing()
    left = {path: (before.get(path), after.get(path)) for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert left == {}

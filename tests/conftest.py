"""Fixtures of the system tests: real brokers, real clients, and the built binary, each with its own ports and folder.

RISER_BIN names the binary; without it, target/debug/riser. A skipped test fails the run: a missing peer is a failure.
"""

import pytest

import faults
from bluez import Bluez
from coap import CoapSetup
from faults.site import ACTION, ALERT, Site
from gateway import Riser, config
from peers import Certificates, Collector, Mosquitto, Publisher


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    left_out = [r.nodeid for kind in ("skipped", "xfailed", "xpassed") for r in reporter.stats.get(kind, [])]
    if left_out and exitstatus == 0:
        reporter.write_line(f"skipped tests fail the run: {', '.join(left_out)}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_collection_modifyitems(items):
    """The longest tests first, by their time limits: a worker that starts one last would keep the others waiting."""

    def limit(item):
        marker = item.get_closest_marker("timeout")
        return marker.args[0] if marker and marker.args else 0

    items.sort(key=limit, reverse=True)


class Started:
    """What a test starts and must not outlive it."""

    def __init__(self):
        self._open = []

    def keep(self, thing):
        self._open.append(thing)
        return thing

    def close(self):
        errors = []
        for thing in reversed(self._open):
            try:
                thing.close()
            except AssertionError as error:
                errors.append(error)
        if errors:
            raise errors[0]


@pytest.fixture
def started():
    things = Started()
    yield things
    things.close()


@pytest.fixture
def mosquitto(started, tmp_path):
    """A factory of brokers: `mosquitto()` starts one."""
    count = 0

    def start(**options):
        nonlocal count
        count += 1
        broker = started.keep(Mosquitto(tmp_path / f"mosquitto-{count}", **options))
        broker.start()
        return broker

    return start


@pytest.fixture
def cloud(mosquitto):
    """The cloud's broker; over a stop it keeps what its applications have not read."""
    return mosquitto(persistent=True)


@pytest.fixture
def floor(mosquitto):
    return mosquitto()


@pytest.fixture
def collector(started):
    """A factory: `collector(cloud)` gathers everything that the broker is sent."""
    return lambda broker, topic="#", **options: started.keep(Collector(broker.port, topic, **options))


@pytest.fixture
def received(cloud, collector):
    """Everything that arrives in the cloud."""
    return collector(cloud, session="cloud-application")


@pytest.fixture
def publisher(started):
    """A factory: `publisher(port)` is a connected sensor."""
    return lambda port, **options: started.keep(Publisher(port, **options))


@pytest.fixture
def sensor(floor, publisher):
    """A sensor connected to the floor's broker."""
    return publisher(floor.port)


@pytest.fixture
def riser(started, tmp_path):
    """A factory: `riser(text)` writes gateway.toml into a folder of its own; `.start()` runs it."""
    count = 0

    def make(text, **options):
        nonlocal count
        count += 1
        return started.keep(Riser(tmp_path / f"riser-{count}", text, **options))

    return make


@pytest.fixture
def bluez(started, request):
    """bluetoothd with the adapter hci0, on a bus of its own; a gateway finds it with `env=bluez.env`. The parameter is the
    backend that the gateway uses."""
    service = started.keep(Bluez(backend=getattr(request, "param", "bluez")))
    service.add_adapter("hci0")
    return service


@pytest.fixture(scope="session")
def faults_library(tmp_path_factory):
    return faults.build(tmp_path_factory.mktemp("faults"))


@pytest.fixture
def site(cloud, floor, sensor, received, collector, riser, faults_library):
    """A factory: a gateway on a disk that can be broken, running unless `start=False`; `tables` adds to its file."""

    def run(start=True, tables="", env=None, **parts):
        gateway = riser(config(cloud=cloud.port, floor=floor.port, more=ALERT + tables, **parts), env=env)
        disk = faults.Disk(faults_library, gateway.data_dir, gateway.folder)
        gateway.env |= disk.env
        site = Site(gateway, disk, floor, sensor, received, collector(floor, ACTION))
        if start:
            site.start()
        return site

    return run


@pytest.fixture
def main_job(cloud, floor, received, riser):
    """A factory: a running gateway between the floor's broker and the cloud, once it said online."""

    def run(**parts):
        gateway = riser(config(cloud=cloud.port, floor=floor.port, **parts))
        gateway.start()
        received.wait_online()
        return gateway

    return run


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def setup(started, tmp_path, cloud, collector):
    """A factory: `setup()` starts a gateway with a CoAP port; its parts are those of `gateway.config`."""
    return lambda **parts: CoapSetup(started, tmp_path, cloud, collector, **parts).start()

"""The installed gateway's user may speak to BlueZ, by the real bus and its real rules (of dbus, bluez and this package);
only the one that answers is a stand-in, for there is no radio here."""

import pytest
from bluez import Bluez
from peers import wait_until

# Debian's bluez lets everybody speak to it. Where an administrator does not, the package's own rule must do.
HARDENED = """<busconfig>
  <policy context="default">
    <deny send_destination="org.bluez"/>
  </policy>
</busconfig>
"""
CONFIGURATION = '[gateway]\ndata_dir = "/var/lib/riser"\n[adapters.ble.hall]\nadapter = "hci0"\n'


class SystemBus:
    """That of a Debian in a folder."""

    def __init__(self, root):
        self._root = root
        self._socket = root.path("/run/dbus/system_bus_socket")
        self._process = None
        self.address = f"unix:path={self._socket}"

    def start(self):
        self._socket.parent.mkdir(exist_ok=True)
        self._process = self._root.start("dbus-daemon", "--system", "--nofork", "--nopidfile")
        wait_until(self._socket.exists, 30, lambda: f"dbus-daemon: exit {self._process.poll()}")

    def stop(self):
        if self._process:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def close(self):
        self.stop()


@pytest.fixture
def bluez(started, root, package):
    root.install(package)
    root.path("/etc/dbus-1/system-local.conf").write_text(HARDENED)
    root.path("/tmp/gateway.toml").write_text(CONFIGURATION)
    bluez = started.keep(Bluez(on=SystemBus(root)))
    bluez.add_adapter("hci0")
    return bluez


def test_the_user_of_the_gateway_may_use_the_radio(bluez, root):
    said = root.run("riser", "check", "--config", "/tmp/gateway.toml", user="riser")
    assert "adapters.ble" not in said, said
    assert bluez.called("GetManagedObjects") > 0


def test_no_one_else_gains_by_it(bluez, root):
    said = root.run("riser", "check", "--config", "/tmp/gateway.toml", user="games", check=False)[0]
    assert "adapters.ble.hall.adapter" in said, said
    assert bluez.called("GetManagedObjects") == 0

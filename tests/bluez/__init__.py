"""A stand-in for bluetoothd, on the real dbus-daemon: what is in the air is what a test says.

It behaves as BlueZ 5.66 does towards its clients, written anew from BlueZ's documentation and from what its sources do:
what is known at discovery comes in InterfacesAdded alone, later advertisements in PropertiesChanged while somebody
discovers, a value that was read is signalled too, services stay known when a device disconnects, discovery ends
when the adapter is switched off.

    bluez = Bluez()
    bluez.add_adapter("hci0")
    gateway = riser(text, env=bluez.env)
    bluez.advertise("A4:C1:38:8D:18:B2", service={"fcd2": bytes.fromhex("4002ca09")})
"""

import asyncio
import threading

import pytest

from bluez.adapter import Adapter
from bluez.bus import Bus
from bluez.device import Advertisement
from bluez.server import DBusError, Server

PATIENCE = 10
# For tests over both backends: what they need, any way to the radio can do.
both_backends = pytest.mark.parametrize("bluez", ["bluez", "btleplug"], indirect=True)


class Bluez:
    """May be used from any thread."""

    def __init__(self, running=True, bus=True, on=None, backend="bluez"):
        """`running`: whether bluetoothd runs yet; `bus`: whether there is a bus yet; `on`: another bus than its own;
        `backend`: what a gateway uses that is started with `env`."""
        self._bus = on or Bus()
        self.env = {"DBUS_SYSTEM_BUS_ADDRESS": self._bus.address, "RISER_BLE_BACKEND": backend}
        self._server = Server(self._bus.address, "org.bluez")
        self._server.gatt = {}
        self._kept = {}
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True, name="bluez").start()
        if bus:
            self._bus.start()
            if running:
                self.start()

    # The service.

    def start(self):
        """bluetoothd comes up, with the adapters that are plugged in."""
        self._do(self._server.start)
        for name, (address, monitors, temporary) in self._kept.items():
            self._do(self._plug, name, address, monitors, temporary)

    def stop(self):
        """bluetoothd is gone."""
        self._do(self._server.stop)

    def restart(self):
        self.stop()
        self.start()

    def start_bus(self, more=""):
        """`more`: further rules of its own bus, such as `<deny send_destination="org.bluez"/>`."""
        self._bus.start(more)

    def stop_bus(self):
        """The bus ends, and bluetoothd with it."""
        self.stop()
        self._bus.stop()

    def close(self):
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._bus.close()

    @property
    def calls(self):
        """What was asked of bluetoothd, in order."""
        return [*self._server.calls]

    def called(self, member):
        return sum(call.member == member for call in self.calls)

    def refuse(self, member, error, text="refused by the test"):
        """Answers a method with this error until `allow`."""
        self._do(self._server.refuse, member, DBusError(error, text))

    def allow(self, member):
        self._do(self._server.allow, member)

    def hang(self, member="*"):
        """Does not answer a method (`*`: any) until `resume`, which answers what waits too."""
        self._do(self._server.hang, member)

    def resume(self, member="*"):
        self._do(self._server.resume, member)

    # Adapters.

    def add_adapter(self, name="hci0", address=None, monitors=False, temporary=30.0):
        """Plugs it in. `monitors`: with passive scans; `temporary`: seconds until a silent device is forgotten."""
        address = address or f"00:1A:7D:DA:71:{len(self._kept):02X}"
        self._kept[name] = (address, monitors, temporary)
        self._do(self._plug, name, address, monitors, temporary)

    def _plug(self, name, address, monitors, temporary):
        if self._server.bus:
            self._server.add(Adapter(self._server, name, address, monitors, temporary))

    def remove_adapter(self, name="hci0"):
        """Unplugs it."""
        del self._kept[name]
        self._do(self._unplug, name)

    def _unplug(self, name):
        path = f"/org/bluez/{name}"
        for thing in reversed(self._server.below(path)):
            self._server.remove(thing.path)
        self._server.remove(path)

    def power(self, on, name="hci0", blocked=None):
        """rfkill: what is blocked cannot be switched on. `blocked=False` with `on=False`: just switched off."""
        self._do(self._power, name, on, not on if blocked is None else blocked)

    def _power(self, name, on, blocked):
        adapter = self._adapter(name)
        adapter.blocked = blocked
        adapter.power(on)

    def is_on(self, name="hci0"):
        return self._do(lambda: self._adapter(name).is_on)

    def is_discovering(self, name="hci0"):
        return self._do(lambda: name in self._names() and bool(self._adapter(name).sessions))

    def filters(self, name="hci0"):
        """What those who discover want."""
        return self._do(lambda: [self._adapter(name).filters.get(client) for client in self._adapter(name).sessions])

    def stop_discovery(self, name="hci0"):
        """Discovery ends although no client asked for it."""
        self._do(lambda: self._adapter(name).stop_by_itself())

    def monitors_work(self, works, name="hci0"):
        """Whether the kernel takes passive scans; False takes back those that there are."""
        self._do(self._monitors_work, name, works)

    def leave_registrations_unanswered(self, count, name="hci0"):
        """Takes the next `count` passive scans without saying so."""
        self._do(lambda: setattr(self._adapter(name).monitors, "unanswered", count))

    def _monitors_work(self, name, works):
        monitors = self._adapter(name).monitors
        monitors.works = works
        if not works:
            monitors.release_all()

    def _names(self):
        return [path.rsplit("/", 1)[1] for path, thing in self._server.objects.items() if isinstance(thing, Adapter)]

    def _adapter(self, name):
        return self._server.objects[f"/org/bluez/{name}"]

    # What is in the air.

    def advertise(self, address, adapter=None, **parts):
        """One advertisement, on every adapter or on one; `parts` are those of `Advertisement`. Returns how many adapters reported it."""
        return self._do(self._advertise, Advertisement(address, **parts), adapter)

    def _advertise(self, advertisement, adapter):
        names = self._names() if adapter is None else [adapter]
        return sum(self._adapter(name).hear(advertisement) for name in names)

    def forget(self, address, name="hci0"):
        """BlueZ forgets a device that it has not received for long."""
        self._do(lambda: self._device(address, name).forget())

    def devices(self, name="hci0"):
        """Addresses of the devices that BlueZ knows."""
        return self._do(lambda: [device.address for device in self._adapter(name).devices()])

    def _device(self, address, name):
        return self._server.objects[self._adapter(name).path_of(address)]

    # Connections.

    def add_gatt(self, address, services, name="hci0"):
        """What a device has when it is connected: {"181a": {"2a6e": (value, ["read", "notify"])}}; also lists of pairs
        instead of tables, for a UUID that is there twice. The device must be received before it can be connected."""
        services = [
            (service, [(uuid, value, flags) for uuid, (value, flags) in _pairs(characteristics)])
            for service, characteristics in _pairs(services)
        ]
        self._do(self._add_gatt, address, services, name)

    def _add_gatt(self, address, services, name):
        known = self._server.gatt.setdefault(self._kept[name][0], {})
        known["dev_" + address.upper().replace(":", "_")] = services

    def set_value(self, address, uuid, value, name="hci0"):
        """What the next read of it gives, and what is notified; True where somebody subscribed. Once it was connected."""
        return self._do(lambda: self._characteristics(address, uuid, name)[0].send(value))

    def written(self, address, uuid, name="hci0"):
        """What was written to it since it was connected first."""
        return self._do(lambda: [*self._characteristics(address, uuid, name)[0].written])

    def is_connected(self, address, name="hci0"):
        return self._do(lambda: self._device(address, name).is_connected)

    def connected(self, name="hci0"):
        """How many devices are connected at this moment."""
        return self._do(lambda: sum(device.is_connected for device in self._adapter(name).devices()))

    def is_notifying(self, address, uuid, name="hci0"):
        """Whether somebody has subscribed, and it is connected."""
        return self._do(lambda: any(found.is_notifying for found in self._characteristics(address, uuid, name)))

    def disconnect(self, address, name="hci0"):
        """The device goes out of reach."""
        self._do(lambda: self._device(address, name).disconnect())

    def _characteristics(self, address, uuid, name):
        path = self._adapter(name).path_of(address)
        device = self._server.objects.get(path)
        return device.characteristics(uuid) if device else []

    def _do(self, action, *arguments):
        """Runs it in the event loop's thread, and waits for what comes of it."""

        async def run():
            result = action(*arguments)
            return await result if asyncio.iscoroutine(result) else result

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(PATIENCE)


def _pairs(table):
    return table.items() if isinstance(table, dict) else table

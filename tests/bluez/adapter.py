"""Adapter1: the power switch and discovery, one session a client (BlueZ 5.66, src/adapter.c)."""

from bluez.device import Device
from bluez.monitors import Monitors
from bluez.server import Object, bluez_error, flag, text
from dbus_fast import Variant

ADAPTER = "org.bluez.Adapter1"


class Adapter(Object):
    def __init__(self, server, name, address, monitors, temporary):
        super().__init__(server, f"/org/bluez/{name}")
        self.address = address
        # For how many seconds a device is kept that was not received again and never connected.
        self.temporary = temporary
        self.blocked = False
        # By client: the filter it has set, and whether it discovers.
        self.filters, self.sessions = {}, set()
        self.interfaces[ADAPTER] = {
            "Address": text(address),
            "AddressType": text("public"),
            "Name": text("gateway"),
            "Alias": text("gateway"),
            "Powered": flag(True),
            "Discovering": flag(False),
            "UUIDs": Variant("as", []),
            # The Linux Foundation's id, and BlueZ's version.
            "Modalias": text("usb:v1D6Bp0246d0542"),
        }
        self.monitors = Monitors(self) if monitors else None
        self.methods |= {
            "SetDiscoveryFilter": self._set_filter,
            "StartDiscovery": self._start,
            "StopDiscovery": self._stop,
            "RemoveDevice": self._remove_device,
        }

    @property
    def is_on(self):
        return self.interfaces[ADAPTER]["Powered"].value

    def set_property(self, interface, name, value):
        if name != "Powered":
            return super().set_property(interface, name, value)
        if value and self.blocked:
            raise bluez_error("Blocked", "Blocked through rfkill")
        self.power(value)
        return None

    def power(self, on):
        if on == self.is_on:
            return
        if on:
            self.change(ADAPTER, Powered=flag(True))
            return
        self.filters.clear()
        self.sessions.clear()
        for device in self.devices():
            device.disconnect()
        self._clean_up()
        self.change(ADAPTER, Powered=flag(False), Discovering=flag(False))

    def devices(self):
        return [thing for thing in self.server.below(self.path) if isinstance(thing, Device)]

    def path_of(self, address):
        return f"{self.path}/dev_{address.upper().replace(':', '_')}"

    def hear(self, advertisement):
        """Sends an advertisement; True if BlueZ reports it to a client."""
        if not self.is_on:
            return False
        watchers = self.monitors.matching(advertisement) if self.monitors else []
        if not watchers and not self._wanted(advertisement):
            return False
        device = self.server.objects.get(self.path_of(advertisement.address))
        if device:
            filters = [self.filters.get(client) for client in self.sessions]
            filtered = bool(filters) and None not in filters
            duplicates = any(set and set.get("DuplicateData") for set in filters)
            device.hear(advertisement, filtered, duplicates)
        else:
            device = Device(self, advertisement)
            self.server.add(device)
        device.expect_again(self.temporary)
        for watcher in watchers:
            watcher.found(device.path)
        return True

    def _wanted(self, advertisement):
        filters = [self.filters.get(client) for client in self.sessions]
        if None in filters:
            # A discovery without a filter shows only what calls itself discoverable.
            return bool(advertisement.flags & 0x03)
        return any(_passes(set, advertisement) for set in filters)

    def _set_filter(self, sender, filter):
        self._need_power()
        self.filters[sender] = {name: variant.value for name, variant in filter.items()} or None

    def _start(self, sender):
        self._need_power()
        if sender in self.sessions:
            raise bluez_error("InProgress", "Operation already in progress")
        self.sessions.add(sender)
        if not self.interfaces[ADAPTER]["Discovering"].value:
            self.change(ADAPTER, Discovering=flag(True))

    def _stop(self, sender):
        self._need_power()
        if sender not in self.sessions:
            raise bluez_error("Failed", "No discovery started")
        self._end_session(sender)

    def _end_session(self, sender):
        self.sessions.discard(sender)
        if not self.sessions:
            self._clean_up()
            self.change(ADAPTER, Discovering=flag(False))

    def stop_by_itself(self):
        """The controller was reset: BlueZ does not discover any more, and its clients are not asked."""
        self.sessions.clear()
        self.filters.clear()
        self._clean_up()
        self.change(ADAPTER, Discovering=flag(False))

    def _clean_up(self):
        """No client discovers: signal strengths are removed, and devices that cannot be connected are forgotten."""
        for device in self.devices():
            device.lose_strength()
            if device.is_temporary and not device.is_connectable:
                device.forget()

    def _remove_device(self, _sender, path):
        device = self.server.objects.get(path)
        if device not in self.devices():
            raise bluez_error("DoesNotExist", "Does Not Exist")
        device.disconnect()
        device.forget()

    def sender_gone(self, sender):
        self.filters.pop(sender, None)
        if sender in self.sessions:
            self._end_session(sender)
        if self.monitors:
            self.monitors.sender_gone(sender)

    def _need_power(self):
        if not self.is_on:
            raise bluez_error("NotReady", "Resource Not Ready")


def _passes(filter, advertisement):
    rssi, uuids = filter.get("RSSI"), filter.get("UUIDs")
    near = rssi is None or advertisement.rssi >= rssi
    return near and (not uuids or not {*uuids}.isdisjoint(advertisement.services))

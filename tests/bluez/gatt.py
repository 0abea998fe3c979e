"""GattService1 and GattCharacteristic1 of a connected device (BlueZ 5.66, src/gatt-client.c)."""

from bluez.server import Object, bluez_error, flag, octets, text
from dbus_fast import Variant

SERVICE = "org.bluez.GattService1"
CHARACTERISTIC = "org.bluez.GattCharacteristic1"


class Service(Object):
    def __init__(self, device, handle, uuid):
        super().__init__(device.server, f"{device.path}/service{handle:04x}")
        self.device, self.uuid = device, uuid
        self.interfaces[SERVICE] = {
            "UUID": text(uuid),
            "Device": Variant("o", device.path),
            "Primary": flag(True),
            "Includes": Variant("ao", []),
        }


class Characteristic(Object):
    """`value` is what the device has; the property `Value` is what BlueZ has seen of it last."""

    def __init__(self, service, handle, uuid, value, flags):
        super().__init__(service.server, f"{service.path}/char{handle:04x}")
        self.device, self.uuid, self.value, self.flags = service.device, uuid, bytes(value), {*flags}
        self.written = []
        self._subscribers = set()
        properties = self.interfaces[CHARACTERISTIC] = {
            "UUID": text(uuid),
            "Service": Variant("o", service.path),
            "Value": octets(b""),
            "Flags": Variant("as", [*flags]),
        }
        if self._can_notify:
            properties["Notifying"] = flag(False)
        self.methods |= {
            "ReadValue": self._read,
            "WriteValue": self._write,
            "StartNotify": self._start_notify,
            "StopNotify": self._stop_notify,
        }

    @property
    def _can_notify(self):
        return not self.flags.isdisjoint({"notify", "indicate"})

    @property
    def is_notifying(self):
        return bool(self._subscribers) and self.device.is_connected

    def send(self, value):
        """The device notifies; True where somebody subscribed."""
        self.value = bytes(value)
        if self.is_notifying:
            self._show()
        return self.is_notifying

    def _show(self):
        """BlueZ signals every received value, changed or not."""
        self.change(CHARACTERISTIC, Value=octets(self.value))

    def _need_connection(self):
        if not self.device.is_connected:
            raise bluez_error("Failed", "Not connected")

    def _read(self, _sender, _options):
        self._need_connection()
        if "read" not in self.flags:
            raise bluez_error("NotPermitted", "Read not permitted")
        # A value that was read comes as a signal too.
        self._show()
        return "ay", [self.value]

    def _write(self, _sender, value, options):
        self._need_connection()
        kind = options["type"].value if "type" in options else None
        if kind not in (None, "request", "command"):
            raise bluez_error("NotSupported", "Operation is not supported")
        wanted = {"request": {"write"}, "command": {"write-without-response"}}
        if self.flags.isdisjoint(wanted.get(kind, {"write", "write-without-response"})):
            raise bluez_error("NotPermitted" if kind == "request" else "NotSupported", "Write not permitted")
        self.value = bytes(value)
        self.written.append(self.value)

    def _start_notify(self, sender):
        if not self._can_notify:
            raise bluez_error("NotSupported", "Operation is not supported")
        # Also while it is not connected: it is then subscribed to when it is.
        self._subscribers.add(sender)
        self._report_notifying()

    def _stop_notify(self, sender):
        if sender not in self._subscribers:
            raise bluez_error("Failed", "No notify session started")
        self._subscribers.discard(sender)
        self._report_notifying()

    def _report_notifying(self):
        now = bool(self._subscribers)
        if self.interfaces[CHARACTERISTIC]["Notifying"].value != now:
            self.change(CHARACTERISTIC, Notifying=flag(now))

    def sender_gone(self, sender):
        if sender in self._subscribers:
            self._stop_notify(sender)

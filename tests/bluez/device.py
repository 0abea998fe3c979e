"""Device1: what is known of a device, connecting and its GATT services (BlueZ 5.66, src/device.c)."""

import asyncio
from dataclasses import dataclass, field

from bluez.gatt import Characteristic, Service
from bluez.server import Object, bluez_error, flag, octets, text
from dbus_fast import Variant

DEVICE = "org.bluez.Device1"
# Without a filter BlueZ tells only of changes of the strength as large as this.
RSSI_THRESHOLD = 8


def uuid128(uuid):
    """`fcd2` as BlueZ writes it."""
    return uuid.lower() if len(uuid) == 36 else f"{int(uuid, 16):08x}-0000-1000-8000-00805f9b34fb"


@dataclass
class Advertisement:
    """What a device sends, in full UUIDs and bytes."""

    address: str
    rssi: int = -60
    name: str | None = None
    manufacturer: dict = field(default_factory=dict)
    service: dict = field(default_factory=dict)
    services: tuple = ()
    flags: int = 0x06
    address_type: str = "public"
    connectable: bool = True

    def __post_init__(self):
        self.address = self.address.upper()
        self.service = {uuid128(uuid): data for uuid, data in self.service.items()}
        self.services = tuple(uuid128(uuid) for uuid in self.services)

    def structures(self):
        """(type, data) of each AD structure (Core Specification Supplement, part A)."""
        found = [(0x01, bytes([self.flags]))]
        if self.name:
            found.append((0x09, self.name.encode()))
        found += [(0xFF, company.to_bytes(2, "little") + data) for company, data in self.manufacturer.items()]
        for uuid, data in self.service.items():
            octets = bytes.fromhex(uuid.replace("-", ""))[::-1]
            is_short = uuid == uuid128(uuid[4:8])
            found.append((0x16, octets[12:14] + data) if is_short else (0x21, octets + data))
        return found


class Device(Object):
    def __init__(self, adapter, advertisement):
        super().__init__(adapter.server, adapter.path_of(advertisement.address))
        self.adapter, self.address = adapter, advertisement.address
        self.is_temporary, self.is_connectable = True, True
        self._timer = None
        properties = self.interfaces[DEVICE] = {
            "Address": text(advertisement.address),
            "AddressType": text(advertisement.address_type),
            "Alias": text(advertisement.address.replace(":", "-")),
            "Paired": flag(False),
            "Bonded": flag(False),
            "Trusted": flag(False),
            "Blocked": flag(False),
            "LegacyPairing": flag(False),
            "Connected": flag(False),
            "UUIDs": Variant("as", []),
            "Adapter": Variant("o", adapter.path),
            "ServicesResolved": flag(False),
        }
        properties |= self._reported(advertisement, filtered=True, duplicates=True)
        self.methods |= {"Connect": self._connect, "Disconnect": self._disconnect}

    @property
    def is_connected(self):
        return self.interfaces[DEVICE]["Connected"].value

    def hear(self, advertisement, filtered, duplicates):
        self.change(DEVICE, **self._reported(advertisement, filtered, duplicates))

    def _reported(self, advertisement, filtered, duplicates):
        """The properties that BlueZ reports for this advertisement."""
        self.is_connectable = advertisement.connectable
        has, reported = self.interfaces[DEVICE], {}
        before = has.get("RSSI")
        if not before or filtered or abs(before.value - advertisement.rssi) >= RSSI_THRESHOLD:
            reported["RSSI"] = Variant("n", advertisement.rssi)
        if advertisement.name and (not has.get("Name") or has["Name"].value != advertisement.name):
            reported |= {"Name": text(advertisement.name), "Alias": text(advertisement.name)}
        uuids = has["UUIDs"].value
        if new := [uuid for uuid in advertisement.services if uuid not in uuids]:
            reported["UUIDs"] = Variant("as", sorted([*uuids, *new]))
        kinds = [("ManufacturerData", "a{qv}", advertisement.manufacturer), ("ServiceData", "a{sv}", advertisement.service)]
        for name, signature, data in kinds:
            known = has[name].value if name in has else {}
            new = {key: octets(value) for key, value in data.items()}
            if new and (duplicates or not known.items() >= new.items()):
                # Where duplicates are wanted, what was sent before is no longer part of it.
                reported[name] = Variant(signature, new if duplicates else known | new)
        return reported

    def lose_strength(self):
        self.change(DEVICE, RSSI=None)

    def expect_again(self, seconds):
        """Forgets the device when it is not received for so long."""
        self._stop_timer()
        if self.is_temporary:
            self._timer = asyncio.get_running_loop().call_later(seconds, self.forget)

    def _stop_timer(self):
        if self._timer:
            self._timer.cancel()

    def forget(self):
        self._stop_timer()
        if self.server.objects.get(self.path) is self:
            for thing in reversed(self.server.below(self.path)):
                self.server.remove(thing.path)
            self.server.remove(self.path)

    def characteristics(self, uuid=None):
        found = [thing for thing in self.server.below(self.path) if isinstance(thing, Characteristic)]
        return [thing for thing in found if uuid is None or thing.uuid == uuid128(uuid)]

    def _connect(self, _sender):
        if self.is_connected:
            return
        services = self.server.gatt.get(self.adapter.address, {}).get(self.path.rsplit("/", 1)[1])
        if not self.is_connectable or services is None:
            raise bluez_error("Failed", "le-connection-abort-by-local")
        self.is_temporary = False
        self._stop_timer()
        self.change(DEVICE, Connected=flag(True))
        if not self.server.below(self.path):
            self._resolve(services)
        uuids = {thing.uuid for thing in self.server.below(self.path) if isinstance(thing, Service)}
        uuids = Variant("as", sorted(uuids.union(self.interfaces[DEVICE]["UUIDs"].value)))
        self.change(DEVICE, UUIDs=uuids, ServicesResolved=flag(True))

    def _resolve(self, services):
        handle = 1
        for uuid, characteristics in services:
            service = Service(self, handle, uuid128(uuid))
            self.server.add(service)
            handle += 1
            for uuid, value, flags in characteristics:
                self.server.add(Characteristic(service, handle, uuid128(uuid), value, flags))
                handle += 3

    def disconnect(self):
        """As if it had gone out of reach. What its services are is remembered."""
        if self.is_connected:
            self.change(DEVICE, ServicesResolved=flag(False), Connected=flag(False))

    def _disconnect(self, _sender):
        if not self.is_connected:
            raise bluez_error("NotConnected", "Not Connected")
        self.disconnect()

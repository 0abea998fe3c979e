"""AdvertisementMonitorManager1: passive scans by patterns (BlueZ 5.66 run with --experimental, src/adv_monitor.c)."""

import asyncio

from bluez.server import OBJECTS, bluez_error
from dbus_fast import Variant

MANAGER = "org.bluez.AdvertisementMonitorManager1"
MONITOR = "org.bluez.AdvertisementMonitor1"
MAX_DATA = 31


class Monitor:
    """A client's object. Without thresholds of the signal strength it is notified of every advertisement."""

    def __init__(self, server, owner, path, properties):
        self._server, self.owner, self._path = server, owner, path
        patterns = properties["Patterns"].value if "Patterns" in properties else []
        self._patterns = [(start, kind, bytes(data)) for start, kind, data in patterns]
        well_formed = all(data and start + len(data) <= MAX_DATA for start, _, data in self._patterns)
        is_known = "Type" in properties and properties["Type"].value == "or_patterns"
        self.is_valid = bool(self._patterns) and well_formed and is_known

    def matches(self, structures):
        return any(
            kind == wanted and data[start : start + len(pattern)] == pattern
            for start, wanted, pattern in self._patterns
            for kind, data in structures
        )

    def activate(self):
        self._server.send_call(self.owner, self._path, MONITOR, "Activate")

    def release(self):
        self._server.send_call(self.owner, self._path, MONITOR, "Release")

    def found(self, device):
        self._server.send_call(self.owner, self._path, MONITOR, "DeviceFound", "o", [device])


class Monitors:
    """The manager of one adapter; serves two more methods of the adapter's object."""

    def __init__(self, adapter):
        self._server = adapter.server
        # By client and the root of its objects.
        self._monitors = {}
        # Whether the kernel takes patterns; where not, monitors are released at once.
        self.works = True
        # So many registrations are taken and not answered.
        self.unanswered = 0
        adapter.interfaces[MANAGER] = {
            "SupportedMonitorTypes": Variant("as", ["or_patterns"]),
            "SupportedFeatures": Variant("as", []),
        }
        adapter.methods |= {"RegisterMonitor": self._register, "UnregisterMonitor": self._unregister}

    def matching(self, advertisement):
        structures = advertisement.structures()
        return [monitor for found in self._monitors.values() for monitor in found if monitor.matches(structures)]

    def _register(self, sender, root):
        if (sender, root) in self._monitors:
            raise bluez_error("AlreadyExists", "Already Exists")
        self._monitors[sender, root] = []
        if self.unanswered:
            self.unanswered -= 1
            return asyncio.Event().wait()
        return self._look_at(sender, root)

    async def _look_at(self, sender, root):
        [objects] = await self._server.ask(sender, root, OBJECTS, "GetManagedObjects")
        for path, interfaces in objects.items():
            if MONITOR in interfaces and path.startswith(root):
                self._take(sender, root, Monitor(self._server, sender, path, interfaces[MONITOR]))

    def _take(self, sender, root, monitor):
        if monitor.is_valid and self.works:
            self._monitors[sender, root].append(monitor)
            monitor.activate()
        else:
            monitor.release()

    def _unregister(self, sender, root):
        if (sender, root) not in self._monitors:
            raise bluez_error("DoesNotExist", "Does Not Exist")
        for monitor in self._monitors.pop((sender, root)):
            monitor.release()

    def release_all(self):
        """The controller has taken them back."""
        for monitors in self._monitors.values():
            for monitor in monitors:
                monitor.release()
            monitors.clear()

    def sender_gone(self, sender):
        self._monitors = {key: found for key, found in self._monitors.items() if key[0] != sender}

"""The `network` of a board that is not there: Wi-Fi that is there if world.json says so; sockets are the machine's own."""

from machine import world

STA_IF = 0


class WLAN:
    PM_NONE = 0
    is_active = False

    def __init__(self, interface=STA_IF):
        self._connected = False

    def active(self, on=None):
        if on is not None:
            WLAN.is_active = on
            self._connected = self._connected and on
        return WLAN.is_active

    def connect(self, ssid, password):
        if not WLAN.is_active:
            raise OSError("Wifi Not Started")
        self._connected = world()["wifi"]

    def disconnect(self):
        if not WLAN.is_active:
            raise OSError("Wifi Not Started")
        self._connected = False

    def isconnected(self):
        return self._connected

    def config(self, name=None, **values):
        if not WLAN.is_active:
            raise OSError("Wifi Not Started")
        if name == "mac":
            return bytes(int(part, 16) for part in world()["mac"].split(":"))

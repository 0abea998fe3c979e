"""Wi-Fi that is switched on for a report and off again, and the clock, which is set over it. What fails raises OSError, and
no call takes longer than its limit."""

import time

import network

# Before this no clock is right: the first second of 2024.
_FIRST = 1704067200

# Some boards count from 2000, others from 1970.
_EPOCH = 946684800 if time.gmtime(0)[0] == 2000 else 0


class Wifi:
    def __init__(self, ssid, password, watchdog):
        self._ssid = ssid
        self._password = password
        self._watchdog = watchdog
        self._wlan = network.WLAN(network.STA_IF)

    def up(self, seconds=20):
        """Connects; OSError if that takes longer."""
        self._wlan.active(True)
        if not self._wlan.isconnected():
            self._wlan.connect(self._ssid, self._password)
        for _ in range(seconds * 10):
            if self._wlan.isconnected():
                return
            self._watchdog.wait(0.1)
        raise OSError("no Wi-Fi network " + self._ssid)

    def down(self):
        """Switches the radio off; never raises."""
        try:
            self._wlan.disconnect()
            self._wlan.active(False)
        except Exception as error:
            print("wifi:", repr(error))


def epoch(raw):
    """Seconds since 1970 of a `time.time()`, or None if the clock was not set when it was read."""
    seconds = int(raw) + _EPOCH
    return seconds if seconds >= _FIRST else None


def set_clock(host, readings):
    """Sets a clock that is not set yet, by NTP, and corrects the times of `readings` (their first item), which were taken
    before. Never raises: without a clock the gateway uses the time of arrival."""
    before = time.time()
    if not host or epoch(before) is not None:
        return
    try:
        import ntptime

        ntptime.host = host
        ntptime.timeout = 2
        ntptime.settime()
    except Exception as error:
        print("clock:", repr(error))
        return
    gained = time.time() - before
    for reading in readings:
        reading[0] += gained

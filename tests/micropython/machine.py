"""The `machine` of a board that is not there. Its surroundings are in world.json in its folder, and change with that file.

It is as strict as a board: a watchdog that was not fed in time, sleep with the radio on, and a restart because of an error
end the program with exit code 3 and a line `FAULT`. Deep sleep ends it with 0, for the test to start it again.
"""

import binascii
import json
import os
import sys
import time

_MEMORY = "rtc.memory"


def world():
    with open("world.json") as file:
        return json.load(file)


def fault(what):
    print("FAULT", what, file=sys.stderr)
    sys.exit(3)


def unique_id():
    return binascii.unhexlify(world()["mac"].replace(":", ""))


def _note(what):
    with open(what, "a") as file:
        file.write(".")


def lightsleep(milliseconds):
    _radio_must_be_off()
    _note("light-sleeps")
    time.sleep_ms(milliseconds)


def deepsleep(milliseconds):
    _radio_must_be_off()
    _note("deep-sleeps")
    time.sleep_ms(milliseconds)
    sys.exit(0)


def _radio_must_be_off():
    network = sys.modules.get("network")
    if network and network.WLAN.is_active:
        fault("sleep with the radio on")


def reset():
    fault("restart because of an error")


class WDT:
    def __init__(self, timeout):
        if timeout > world().get("longest_watchdog_ms", 1_000_000):
            raise ValueError("timeout too long")
        self._timeout = timeout
        self._fed = time.ticks_ms()

    def feed(self):
        if time.ticks_diff(time.ticks_ms(), self._fed) > self._timeout:
            fault("the watchdog was not fed in time")
        self._fed = time.ticks_ms()


class RTC:
    """Its memory outlives deep sleep, and not a power cut: the test then removes the file."""

    def memory(self, data=None):
        if data is None:
            try:
                with open(_MEMORY, "rb") as file:
                    return file.read()
            except OSError:
                return b""
        if len(data) > 2048:
            raise ValueError("buffer too long")
        with open(_MEMORY + ".new", "wb") as file:
            file.write(data)
        os.rename(_MEMORY + ".new", _MEMORY)


class Pin:
    def __init__(self, number):
        self.number = number


class ADC:
    ATTN_0DB = 0
    ATTN_11DB = 3

    def __init__(self, channel, *, atten=ATTN_0DB):
        self._most_uv = 3_100_000 if atten == self.ATTN_11DB else 1_100_000

    def read_u16(self):
        return world()["adc_u16"]

    def read_uv(self):
        return min(world()["adc_uv"], self._most_uv)


class I2C:
    """The bus: a BH1750 answers at 0x23. The other sensors' libraries are stand-ins, which ask `sensor`."""

    def __init__(self, number, *, sda, scl, freq=400_000):
        pass

    def writeto(self, address, data):
        if address != 0x23 or bytes(data) != b"\x20":
            raise OSError(19)
        sensor("bh1750")

    def readfrom(self, address, count):
        value = int(sensor("bh1750") * 1.2)
        return bytes([value >> 8, value & 255])[:count]


def sensor(name):
    """What the sensor would measure; a text in the world is a sensor that fails in this way."""
    value = world()[name]
    if value == "absent":
        raise OSError(19)
    if value == "nonsense":
        raise TypeError("unsupported types for __and__: 'float', 'int'")
    # JSON has no word for it.
    return [float("nan") if part == "nan" else part for part in value] if isinstance(value, list) else value

"""The light sensor BH1750: one measurement in lux; in between it needs no current. Raises OSError if it does not answer."""

import time

# One measurement of 1 lux resolution, then power down (data sheet, "Instruction Set Architecture").
_ONE_TIME_HIGH_RESOLUTION = b"\x20"
_LONGEST_MEASUREMENT_MS = 180


class BH1750:
    def __init__(self, i2c, address=0x23):
        self._i2c = i2c
        self._address = address

    def lux(self):
        self._i2c.writeto(self._address, _ONE_TIME_HIGH_RESOLUTION)
        time.sleep_ms(_LONGEST_MEASUREMENT_MS)
        high, low = self._i2c.readfrom(self._address, 2)
        return (high << 8 | low) / 1.2

"""What every node does: it keeps readings while the gateway is away, bounded; it survives sensors that fail, feeds the
watchdog while it waits, and restarts the board after an error that nothing else has handled."""

import random
import sys
import time

import machine


class Buffer:
    """Readings that were not delivered yet, oldest first. If it is full, the oldest is dropped and counted."""

    def __init__(self, size):
        self.readings = []
        self.dropped = 0
        self._size = size

    def push(self, reading):
        self.readings.append(reading)
        while len(self.readings) > self._size:
            self.readings.pop(0)
            self.dropped += 1

    def oldest(self, count):
        return self.readings[:count]

    def remove(self, count):
        """Takes the oldest out: they were delivered."""
        self.readings = self.readings[count:]


class Backoff:
    """Says in which rounds to try: each failure doubles the rounds left out, up to `most`. Rounds are counted and not
    seconds, because some boards' clocks stand still while they sleep."""

    def __init__(self, most, failures=0, skip=0):
        self.failures = failures
        self.skip = skip
        self._most = most

    def due(self):
        """Whether to try in this round; asked once a round."""
        if self.skip > 0:
            self.skip -= 1
            return False
        return True

    def failed(self):
        self.failures = min(self.failures + 1, 16)
        longest = min((1 << self.failures) - 1, self._most)
        # Nodes that lost the same gateway at the same time must not come back at the same time.
        self.skip = random.randint((longest + 1) // 2, longest)

    def worked(self):
        self.failures = 0
        self.skip = 0


class Watchdog:
    """Restarts the board if it is not fed for `seconds`. 0 starts none: for work at the prompt, as it cannot be ended."""

    def __init__(self, seconds):
        self._watchdog = machine.WDT(timeout=int(seconds * 1000)) if seconds else None
        self._longest_ms = int(seconds * 500) if seconds else 60_000

    def feed(self):
        if self._watchdog:
            self._watchdog.feed()

    def wait(self, seconds, sleep_ms=time.sleep_ms):
        """Waits with `sleep_ms` (`machine.lightsleep` saves energy), in parts that are short enough to feed it."""
        left = int(seconds * 1000)
        while left > 0:
            self.feed()
            part = min(left, self._longest_ms)
            sleep_ms(part)
            left -= part
        self.feed()


class Sensor:
    """A sensor that may fail: `read()` returns a value or None for each of `limits`. After a failure the driver is
    started anew, because a sensor that lost its power has also lost its settings.

    `start()` returns the driver, `read(driver)` its values; a value outside its `(lowest, highest)` is a failure too.
    """

    def __init__(self, start, read, limits):
        self.errors = 0
        self._start = start
        self._read = read
        self._limits = limits
        self._driver = None

    def read(self):
        try:
            if self._driver is None:
                self._driver = self._start()
            values = self._read(self._driver)
            checked = [_inside(value, limit) for value, limit in zip(values, self._limits)]
        except Exception as error:
            print("sensor:", repr(error))
            checked = [None] * len(self._limits)
        if None in checked:
            self._driver = None
            self.errors += 1
        return checked


def _inside(value, limit):
    # Not a number is neither above nor below anything.
    return value if limit[0] <= value <= limit[1] else None


def name(kind):
    """A name for this board that no other has: `esp32-8d18b2`."""
    return kind + "-" + "".join("%02x" % byte for byte in machine.unique_id()[-3:])


def run(main):
    """Runs `main`, which does not return. After an error the board restarts, in the hope that it passes."""
    try:
        main()
    except Exception as error:
        sys.print_exception(error)
        time.sleep(5)
        machine.reset()

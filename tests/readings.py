"""Readings with known times, and numpy's word on what their aggregates must be."""

import math
import time
from datetime import UTC, datetime

import numpy as np


def window_ahead(seconds=1):
    """The start, in epoch milliseconds, of a window that has not begun: all its readings can be sent before it closes."""
    return (math.floor((time.time() + 0.5) / seconds) + 1) * seconds * 1000


def now_millis():
    return int(time.time() * 1000)


def rfc3339(millis):
    return datetime.fromtimestamp(millis / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{millis % 1000:03d}Z"


def spread(start, count, length=1000):
    """`count` times inside the window that begins at `start`."""
    return [start + i * length // count for i in range(count)]


def assert_summary(summary, values):
    """The five numbers that every kind of metric has, against numpy."""
    values = np.asarray(values, dtype=np.float64)
    assert summary["count"] == len(values)
    expected = {"avg": values.mean(), "min": values.min(), "max": values.max(), "std": values.std()}
    for name, number in expected.items():
        # A spread far below the values' own last digits is rounding, in numpy as well.
        floor = 1e-12 * max(1.0, abs(values).max()) if name == "std" else 0.0
        assert math.isclose(summary[name], number, rel_tol=1e-9, abs_tol=floor), (name, summary[name], number)


def assert_gap_free(numbered):
    """`seq` counts up by one over everything that was sent; what is sent twice has the same number."""
    seqs = sorted({body["seq"] for body in numbered})
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), seqs
    return seqs


class Sent:
    """Readings of the last 15 minutes, each second of each device a window of its own, and what comes of them."""

    def __init__(self, gateway_id, devices=("north", "east", "south", "west")):
        self._gateway, self._devices = gateway_id, devices
        self._second = now_millis() // 1000 * 1000 - 900_000
        self.windows = {}

    def more(self, seconds, devices=None, value=21.0):
        """Messages for the next seconds, two a device and second."""
        messages = []
        for _ in range(seconds):
            for device in devices or self._devices:
                values = [value, value + len(self.windows) % 7]
                second = self._window(device, values)
                messages += [
                    (f"sensors/{device}/telemetry", {"temperature": v, "ts": at})
                    for v, at in zip(values, (second, second + 500), strict=True)
                ]
            self._second += 1000
        return messages

    def packs(self, count, device="logger"):
        """SenML messages of a thousand readings each, made to use the most memory: the unit changes with every one."""
        messages = []
        for _ in range(count):
            values = [float(i % 50) for i in range(1000)]
            second = self._window(device, values)
            records = [{"n": "temperature", "u": f"{i % 2:032}", "v": v} for i, v in enumerate(values)]
            messages.append((f"senml/{device}", [{"bt": second / 1000} | records[0], *records[1:]]))
            self._second += 1000
        return messages

    def _window(self, device, values):
        self.windows[f"{self._gateway}/{device}/{self._second}/1000"] = values
        return self._second

    @property
    def total(self):
        return sum(len(values) for values in self.windows.values())

    def assert_arrived(self, received):
        """Each reading is in its window once, nothing else is in any window, and no number is left out."""
        latest = {body["id"]: body["metrics"]["temperature"] for body in received.latest()}
        missing, unknown = self.windows.keys() - latest.keys(), latest.keys() - self.windows.keys()
        assert not missing and not unknown, f"missing: {sorted(missing)}; unknown: {sorted(unknown)}"
        for identity, values in self.windows.items():
            assert_summary(latest[identity], values)
        assert_gap_free(received.numbered())


def counted(received):
    """Readings in all the windows that arrived, corrections taken into account."""
    return sum(metric["count"] for body in received.latest() for metric in body["metrics"].values())

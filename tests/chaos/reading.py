"""A reading that can be distinguished from every other, even inside an average.

Windows last one second of event time. A device sends in each window at most one reading for each of 8 slots, and the
reading of slot s has the value 8**s. So the sum of a window, written in base 8, has as its digit s how often the
reading of slot s was counted: 0o101 is slots 0 and 2 once each, 0o200 is slot 2 twice. In every other window all values
are negative, so that a reading which slipped into the next window shows.

The cloud gets no sum but `avg` and `count`. Values stay below 8**8 = 2**24, so that `avg * count` gives the exact sum
at the 1e-9 that is promised of `avg`.
"""

import json
import math
from collections import Counter
from dataclasses import dataclass

WINDOW_MS = 1000
SLOTS = 8
BASE = 8
METRIC = "n"


class Undecodable(Exception):
    """No readings of ours can have made this window; the text says why."""


@dataclass(frozen=True, order=True, slots=True)
class Reading:
    device: str
    window: int
    """Start of its window in epoch milliseconds."""
    slot: int

    @property
    def value(self):
        return sign(self.window) * BASE**self.slot

    @property
    def at(self):
        """Event time in epoch milliseconds."""
        return self.window + self.slot * (WINDOW_MS // SLOTS) + 1

    @property
    def topic(self):
        return f"{way(self.device)}/sensors/{self.device}/telemetry"

    @property
    def payload(self):
        return json.dumps({METRIC: self.value, "ts": self.at}).encode()


def way(device):
    """Which way its readings take to Riser: `local-v5-0` the way `local`."""
    return device.split("-")[0]


def sign(window):
    return -1 if window // WINDOW_MS % 2 else 1


def parse(topic, payload):
    """The reading that a message carries."""
    body = json.loads(payload)
    window = body["ts"] // WINDOW_MS * WINDOW_MS
    reading = Reading(topic.split("/")[-2], window, round(math.log(abs(body[METRIC]), BASE)))
    assert (reading.value, reading.at) == (body[METRIC], body["ts"]), (topic, payload)
    return reading


def decode(device, window, summary):
    """How often each reading was counted in a window, by the avg, min, max and count of its metric."""
    count = summary["count"]
    exact = sign(window) * summary["avg"] * count
    total = round(exact)
    if abs(exact - total) > 0.4 or total < 0:
        raise Undecodable(f"avg * count is {exact}: no sum of this window's values")
    held = Counter()
    for slot in range(SLOTS):
        total, times = divmod(total, BASE)
        if times:
            held[Reading(device, window, slot)] = times
    if total or held.total() != count:
        raise Undecodable(f"avg * count = {round(exact):#o} contains {held.total()} readings, count is {count}")
    values = [reading.value for reading in held]
    if not held or (min(values), max(values)) != (summary["min"], summary["max"]):
        raise Undecodable(f"min and max are {summary['min']} and {summary['max']}, the sum contains {sorted(values)}")
    return held

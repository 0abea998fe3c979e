"""What a server holds at the end, and what must be true of it: each reading that was sent, once, and nothing else."""

import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

SHOWN = 10


def millis(text):
    """Of a time as in the payloads."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@dataclass
class Content:
    readings: list = field(default_factory=list)
    """The value of each reading. No two that are sent have the same."""
    aggregates: dict = field(default_factory=dict)
    """(device, start) -> (count, average), of the newest revision."""
    alerts: set = field(default_factory=set)
    """(device, time, state)"""
    repeated: int = 0
    """How many records came again, the same, where that is allowed."""
    duplicates: int = 0
    """How many came again where it is not allowed."""
    problems: list = field(default_factory=list)


def from_bodies(bodies, may_repeat=False):
    """Of a receiver that keeps all messages: the payloads in their order."""
    content, known, newest = Content(), {}, {}
    for body in bodies:
        key = (body["id"], body.get("revision"))
        if key in known:
            if known[key] != body:
                content.problems.append(f"{key} has two contents: {known[key]} and {body}")
            if may_repeat:
                content.repeated += 1
            else:
                content.duplicates += 1
            continue
        known[key] = body
        if "window" in body:
            if body["revision"] >= newest.get(body["id"], 0):
                newest[body["id"]] = body["revision"]
                content.aggregates[_window(body)] = _numbers(body)
        elif "state" in body:
            content.alerts.add((body["device"], millis(body["time"]), body["state"]))
        else:
            content.readings.append(body["metrics"]["temperature"])
    return content


def _window(body):
    return body["device"], millis(body["window"]["start"])


def _numbers(body):
    metric = body["metrics"]["temperature"]
    return metric["count"], metric["avg"]


@dataclass
class Row:
    """A sink's line in the summary."""

    sink: str
    sent: int
    arrived: int
    duplicates: int
    repeated: int
    windows: int
    alerts: int
    healed: float = 0.0
    """Seconds from the end of all faults until it had everything."""

    HEAD = (
        f"{'sink':10} {'sent':>8} {'arrived':>8} {'duplicates':>10} {'repeated':>8} {'windows':>8} {'alerts':>7} {'complete':>10}"
    )

    def __str__(self):
        numbers = f"{self.sent:8} {self.arrived:8} {self.duplicates:10} {self.repeated:8} {self.windows:8} {self.alerts:7}"
        return f"{self.sink:10} {numbers} {self.healed:8.1f} s"


def judge(sink, content, sent, has_readings):
    """The line of the summary, and what is wrong. `sent`: all values."""
    found = [f"{sink}: {problem}" for problem in content.problems]
    counted = sum(count for count, _ in content.aggregates.values())
    arrived, duplicates = counted, content.duplicates
    if has_readings:
        values = Counter(content.readings)
        arrived, duplicates = len(values), duplicates + values.total() - len(values)
        found += _differences(sink, values, Counter(sent))
    if duplicates:
        found.append(f"{sink}: {duplicates} duplicates")
    if counted != len(sent):
        found.append(f"{sink}: the windows count {counted} readings, {len(sent)} were sent")
    total = math.fsum(count * average for count, average in content.aggregates.values())
    if not math.isclose(total, math.fsum(sent), rel_tol=1e-9):
        found.append(f"{sink}: the sum over all windows is {total}, of what was sent {math.fsum(sent)}")
    row = Row(sink, len(sent), arrived, duplicates, content.repeated, len(content.aggregates), len(content.alerts))
    return row, found


def _differences(sink, values, sent):
    for name, difference in (("lost", sent - values), ("too many", values - sent)):
        if difference:
            yield f"{sink}: {difference.total()} readings {name}, such as {sorted(difference.elements())[:SHOWN]}"


def agree(contents):
    """All sinks have got the same windows and alerts."""
    (first, model), *others = contents.items()
    for name, content in others:
        for kind in ("aggregates", "alerts"):
            ours, theirs = set(getattr(model, kind)), set(getattr(content, kind))
            if ours != theirs:
                only = {first: sorted(ours - theirs)[:SHOWN], name: sorted(theirs - ours)[:SHOWN]}
                yield f"{kind} that only one of two sinks has: {only}"

"""What was found in time, and what was said without cause."""

import dataclasses
from datetime import timedelta

from false_alarms.faults import Case

WEEK = timedelta(days=7)
# An alert that comes so close to one of the same building without the fault is not the fault's.
SAME = timedelta(minutes=30)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The verdict on one fault; `alert` is the one that reported it in time."""

    case: Case
    alert: object = None

    @property
    def delay(self):
        return self.alert.after - self.case.start


def judge(case, alerts, normal):
    """`normal` is what is raised in the same building where nothing goes wrong."""
    last = case.start + case.kind.deadline
    in_time = (a for a in alerts if a.device == case.device and case.start <= a.after <= last)
    reported = (alert for alert in in_time if not any(_is_same(alert, other) for other in normal))
    return Verdict(case, min(reported, key=lambda alert: alert.after, default=None))


def _is_same(one, other):
    names = (one.device, one.metric, one.detector) == (other.device, other.metric, other.detector)
    return names and abs(one.after - other.after) <= SAME


def rate(alerts, buildings, series, days):
    """So many alerts, per 50 series and week."""
    return alerts / (buildings * series / 50 * timedelta(days=days) / WEEK)

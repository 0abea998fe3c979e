"""The figures as Markdown, as docs/anomaly.md shows them, and as JSON."""

import statistics
from collections import Counter
from datetime import timedelta

from false_alarms.faults import KINDS
from false_alarms.verdict import WEEK, rate

MOST_FALSE_ALARMS = 1.0  # per 50 series and week: fewer
LEAST_FOUND = 0.8


class Report:
    """`normal`: alerts by building; `verdicts`: of all faults."""

    def __init__(self, normal, verdicts, series, days, every):
        self.normal, self.verdicts = normal, verdicts
        self.series, self.days, self.every = series, days, every
        self.false_alarms = [alert for alerts in normal.values() for alert in alerts]
        self.found = sum(verdict.alert is not None for verdict in verdicts)

    def rate(self, alerts):
        return rate(alerts, len(self.normal), self.series, self.days)

    def holds(self):
        """What the project promises; without faults or buildings that part is left out."""
        quiet = self.rate(len(self.false_alarms)) < MOST_FALSE_ALARMS
        return quiet and (not self.verdicts or self.found / len(self.verdicts) >= LEAST_FOUND)

    def by_kind(self):
        """Kinds that have cases, with their verdicts."""
        for kind in KINDS:
            verdicts = [verdict for verdict in self.verdicts if verdict.case.kind is kind]
            if verdicts:
                yield kind, verdicts

    def markdown(self):
        parts = [self._summary(), self._detectors(), self._buildings()]
        return "\n\n".join([*parts, self._faults()] if self.verdicts else parts)

    def _summary(self):
        early = sum(alert.after < WEEK for alert in self.false_alarms)
        reported = (
            f"**{self.rate(len(self.false_alarms)):.2f} false alarms per 50 series and week** "
            f"({len(self.normal)} building{'s' * (len(self.normal) > 1)} of {self.series} series, {self.days} days, a reading every {self.every}: "
            f"{len(self.false_alarms)} alerts, {early} of them in the first week)"
        )
        if self.verdicts:
            reported += f"; **{self.found / len(self.verdicts):.0%} of {len(self.verdicts)} faults found in time**"
        return reported + "."

    def _detectors(self):
        rows = []
        for detector, number in Counter(alert.detector for alert in self.false_alarms).most_common():
            metrics = Counter(alert.metric for alert in self.false_alarms if alert.detector == detector)
            rows.append([f"`{detector}`", number, f"{self.rate(number):.2f}", _counts(metrics)])
        return table(["detector", "false alarms", "per 50 series and week", "of"], rows)

    def _buildings(self):
        rows = [
            [building.seed, f"{building.begin:%Y-%m-%d}", len(alerts), sum(alert.after < WEEK for alert in alerts)]
            for building, alerts in self.normal.items()
        ]
        return table(["seed", "from", "false alarms", "in the first week"], rows)

    def _faults(self):
        rows = []
        for kind, verdicts in self.by_kind():
            found = [verdict for verdict in verdicts if verdict.alert]
            delay = span(statistics.median(v.delay for v in found)) if found else "-"
            detectors = _counts(Counter(f"`{verdict.alert.detector}`" for verdict in found))
            missed = _counts(Counter(verdict.case.metric for verdict in verdicts if not verdict.alert))
            rows.append([kind.name, span(kind.deadline), f"{len(found)}/{len(verdicts)}", delay, detectors, missed])
        rows.append(["all", "", f"{self.found}/{len(self.verdicts)}", "", "", ""])
        return table(["fault", "within", "found", "median delay", "found by", "missed"], rows)

    def each(self):
        """A line for each false alarm and each fault."""
        lines = [
            f"false: seed {building.seed} day {alert.after / timedelta(days=1):.2f} {alert.device}: {alert.message}"
            for building, alerts in self.normal.items()
            for alert in alerts
        ]
        for verdict in self.verdicts:
            case = verdict.case
            reported = f"{span(verdict.delay)} {verdict.alert.message}" if verdict.alert else "MISSED"
            lines.append(f"fault: seed {case.building.seed} --from {case.building.begin:%Y-%m-%d} {case.option}: {reported}")
        return "\n".join(lines)

    def json(self):
        by_kind = {
            kind.name: {
                "cases": len(verdicts),
                "found": sum(verdict.alert is not None for verdict in verdicts),
                "deadline": kind.deadline.total_seconds(),
                "delays": sorted(verdict.delay.total_seconds() for verdict in verdicts if verdict.alert),
                "detectors": Counter(verdict.alert.detector for verdict in verdicts if verdict.alert),
            }
            for kind, verdicts in self.by_kind()
        }
        return {
            "rate": self.rate(len(self.false_alarms)),
            "false_alarms": len(self.false_alarms),
            "first_week": sum(alert.after < WEEK for alert in self.false_alarms),
            "by_detector": Counter(alert.detector for alert in self.false_alarms),
            "by_metric": Counter(alert.metric for alert in self.false_alarms),
            "by_seed": {building.seed: len(alerts) for building, alerts in self.normal.items()},
            "cases": len(self.verdicts),
            "found": self.found,
            "faults": by_kind,
            "holds": self.holds(),
        }


def _counts(counter):
    return ", ".join(f"{name} {number}" for name, number in counter.most_common())


def span(duration):
    """The shortest form."""
    minutes = duration / timedelta(minutes=1)
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h" if minutes < 48 * 60 else f"{minutes / 1440:.1f} d"


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)

"""The faults: what goes wrong with which device, when, and until when somebody must hear of it."""

import dataclasses
import math
from datetime import timedelta

from false_alarms.months import Building

# Nothing goes wrong before: the first week is there to learn.
QUIET = timedelta(days=8)
GOLDEN = 0.6180339887498949
CLIMATE = ("climate/temperature", "climate/co2", "climate/humidity")
HEATING = "heating/supply_temperature"


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of fault, as `riser simulate --fault` calls it."""

    name: str
    deadline: timedelta
    places: tuple  # kind of device/metric; cases take turns
    needs_heat: bool = False  # where nothing heats, it changes nothing


KINDS = (
    Kind("stuck", timedelta(hours=12), CLIMATE),
    Kind("offset", timedelta(hours=8), (*CLIMATE, HEATING)),
    Kind("drift", timedelta(days=10), CLIMATE),
    Kind("spike", timedelta(minutes=20), (*CLIMATE, "meter/power")),
    Kind("dropout", timedelta(minutes=20), (*CLIMATE, HEATING)),
    Kind("noise", timedelta(hours=12), (*CLIMATE, HEATING)),
    Kind("heating-at-night", timedelta(hours=36), ("climate/temperature", HEATING), needs_heat=True),
    Kind("window-open", timedelta(hours=8), ("climate/temperature",), needs_heat=True),
    Kind("dead-battery", timedelta(hours=36), ("climate/battery",)),
)


@dataclasses.dataclass(frozen=True)
class Case:
    """One fault in one building."""

    kind: Kind
    building: Building
    device: str
    metric: str
    start: timedelta

    @property
    def option(self):
        """As `riser simulate --fault` takes it."""
        return f"{self.kind.name}@{self.device}/{self.metric}+{self.start // timedelta(minutes=1)}m"

    @property
    def days(self):
        """Until the deadline is over."""
        return -(-(self.start + self.kind.deadline) // timedelta(days=1))


def cases(kind, number, buildings, days):
    """`number` of them in turn through buildings, rooms and metrics, spread over the month and the hours of the day."""
    suiting = [building for building in buildings if building.is_heated or not kind.needs_heat]
    if not suiting:
        return []
    # After so many cases building and place would meet again.
    rounds = math.lcm(len(suiting), len(kind.places))
    made = []
    for n in range(number):
        building = suiting[n % len(suiting)]
        place, metric = kind.places[(n + n // rounds) % len(kind.places)].split("/")
        # Only every second room has a heating circuit.
        room = 101 + (2 * n % 8 if place == "heating" else 3 * n % 8)
        made.append(Case(kind, building, f"{place}-{room}", metric, _start(kind, n, building, days)))
    return made


def _start(kind, n, building, days):
    last = timedelta(days=days) - kind.deadline
    part = (n + 1) * GOLDEN % 1
    if kind.name == "heating-at-night":
        evenings = [evening for evening in _evenings(building, days) if evening <= last]
        return evenings[int(part * len(evenings))]
    return QUIET + timedelta(minutes=5 * int(part * (last - QUIET) / timedelta(minutes=5)))


def _evenings(building, days):
    """Of working days, at seven, when the day's heating is over."""
    for day in map(timedelta, range(QUIET.days, days)):
        if (building.begin + day).weekday() < 5:
            yield day + timedelta(hours=19)

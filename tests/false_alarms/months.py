"""Months of simulated buildings, put through `riser replay`: which anomalies were raised."""

import dataclasses
import json
import os
import subprocess
from datetime import datetime, timedelta

# Mondays. The first eight are spread over the year.
STARTS = [
    f"2026-{day}"
    for day in "01-05 10-05 07-06 04-06 11-02 03-02 09-07 12-07 02-02 05-04 08-03 06-01".split()
]
# From mid-October on there is heat all day, and a difference between inside and outside.
HEATED = {1, 2, 3, 10, 11, 12}


class RiserFailed(Exception):
    """A command ended with an error."""


@dataclasses.dataclass(frozen=True)
class Building:
    """One building and month; `begin` is local time and UTC."""

    seed: int
    begin: datetime

    @property
    def is_heated(self):
        return self.begin.month in HEATED


@dataclasses.dataclass(frozen=True)
class Alert:
    """An anomaly that was raised, `after` the beginning of its month."""

    device: str
    metric: str
    detector: str
    after: timedelta
    message: str


def buildings(number, begin=None):
    """The first `number` seeds, all at `begin` or each at another time of the year."""
    return [
        Building(seed, datetime.fromisoformat(begin or STARTS[(seed - 1) % len(STARTS)])) for seed in range(1, number + 1)
    ]


class Gateway:
    """A configuration with the devices' zones and without rules: only the anomaly model raises alerts."""

    def __init__(self, binary, folder, every, settings):
        self._binary = binary
        self._every = every
        self._settings = [argument for setting in settings for argument in ("--set", setting)]
        # No configuration but this one: neither the user's files nor variables.
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("RISER")}
        rows = [json.loads(line) for line in self._simulate(buildings(1)[0], days=1, every="12h")]
        self._zones = {row["device"]: row["zone"] for row in rows}
        self.series = sum(len(metrics) for metrics in {row["device"]: row["metrics"] for row in rows}.values())
        self._config = folder / "gateway.toml"
        self._config.write_text(self._toml(folder / "data"))

    def _toml(self, data):
        head = f"[gateway]\nid = 'false-alarms'\ndata_dir = '{data}'\ntimezone = 'UTC'\n[aggregate]\nwindow = '1h'\n"
        return head + "".join(f"[devices.{name}]\nzone = '{zone}'\n" for name, zone in self._zones.items())

    def zone_of(self, device):
        return self._zones[device]

    def alerts(self, building, days, *options):
        """What is raised in the first `days` of the month; `options` are further ones of `riser simulate`."""
        simulate = self._start("simulate", *_month(building, days, self._every), *options, stdin=subprocess.DEVNULL)
        replay = self._start(
            *("replay", "/dev/stdin", "--alerts", "--json", "--config", self._config), *self._settings, stdin=simulate.stdout
        )
        simulate.stdout.close()
        out, _ = replay.communicate()
        for process in (simulate, replay):
            if process.wait():
                raise RiserFailed(f"{' '.join(map(str, process.args))}: exit {process.returncode}")
        rows = (json.loads(line) for line in out.splitlines())
        return [_alert(row, building) for row in rows if row.get("kind") == "anomaly" and row["state"] == "raised"]

    def _simulate(self, building, days, every):
        process = self._start("simulate", *_month(building, days, every), stdin=subprocess.DEVNULL)
        out, _ = process.communicate()
        if process.returncode:
            raise RiserFailed(f"riser simulate: exit {process.returncode}")
        return out.splitlines()

    def _start(self, *arguments, stdin):
        return subprocess.Popen(
            [self._binary, *arguments], stdin=stdin, stdout=subprocess.PIPE, text=True, env=self._environment
        )


def _month(building, days, every):
    return ["--days", str(days), "--every", every, "--seed", str(building.seed), "--from", f"{building.begin:%Y-%m-%d}"]


def _alert(row, building):
    at = datetime.fromisoformat(row["time"]).replace(tzinfo=None)
    return Alert(row["device"], row["metric"], row["detector"], at - building.begin, row["message"])

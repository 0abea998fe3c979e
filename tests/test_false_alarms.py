"""scripts/false-alarms: what counts as found and as false, and the whole script on a small measure."""

import json
import os
import pathlib
import subprocess
from datetime import datetime, timedelta

import pytest

from false_alarms import faults, months
from false_alarms.report import Report
from false_alarms.verdict import judge, rate
from gateway import BINARY

SCRIPT = pathlib.Path(__file__).parent.parent / "scripts/false-alarms"
BUILDING = months.buildings(1)[0]
STUCK = faults.KINDS[0]
CASE = faults.Case(STUCK, BUILDING, "climate-101", "co2", timedelta(days=9))


def alert(hours, device="climate-101", metric="co2", detector="stuck"):
    """So many hours after the fault's start."""
    return months.Alert(device, metric, detector, CASE.start + timedelta(hours=hours), "")


def test_found_is_an_alert_of_the_device_between_the_start_and_the_deadline():
    assert judge(CASE, [alert(5), alert(2)], []).delay == timedelta(hours=2), "the first of them"
    assert judge(CASE, [alert(0)], []).alert and judge(CASE, [alert(12)], []).alert
    for missed in (alert(-0.1), alert(12.1), alert(1, device="climate-102")):
        assert judge(CASE, [missed], []).alert is None


def test_what_would_have_been_said_anyway_is_not_found():
    assert judge(CASE, [alert(2)], [alert(2.25)]).alert is None
    assert judge(CASE, [alert(2), alert(5)], [alert(2)]).delay == timedelta(hours=5)
    for other in (alert(4), alert(2, detector="markov"), alert(2, metric="humidity"), alert(2, device="climate-102")):
        assert judge(CASE, [alert(2)], [other]).alert


def test_the_rate_is_per_fifty_series_and_week():
    assert rate(8, buildings=2, series=100, days=14) == 1
    assert rate(1, buildings=1, series=25, days=7) == 2


@pytest.mark.parametrize("kind", faults.KINDS, ids=lambda kind: kind.name)
def test_cases_leave_the_first_week_alone_and_their_deadline_lies_in_the_month(kind):
    buildings = months.buildings(8)
    cases = faults.cases(kind, 24, buildings, 30)
    assert len(cases) == len(set(cases)) == 24
    for case in cases:
        assert faults.QUIET <= case.start and case.start + kind.deadline <= timedelta(days=30)
        assert case.start % timedelta(minutes=5) == timedelta(0)
        if kind.name == "heating-at-night":
            evening = case.building.begin + case.start
            assert evening.hour == 19 and evening.weekday() < 5
    assert {case.metric for case in cases} == {place.split("/")[1] for place in kind.places}
    for metric in {case.metric for case in cases}:
        assert len({case.building for case in cases if case.metric == metric}) >= 4, f"{metric} all over the year"
    assert len({case.device for case in cases}) >= 4 and len({case.start for case in cases}) >= 8
    assert len({case.building for case in cases}) >= 5
    assert len({case.start.days for case in cases}) >= 8


def test_what_needs_heat_is_not_tried_in_summer():
    night = next(kind for kind in faults.KINDS if kind.name == "heating-at-night")
    assert all(case.building.is_heated for case in faults.cases(night, 24, months.buildings(8), 30))
    assert faults.cases(night, 24, months.buildings(2, begin="2026-07-06"), 30) == []


def test_the_promise_holds_below_one_false_alarm_and_from_four_fifths_found_on():
    def holds(false_alarms, found, of=5):
        verdicts = [judge(CASE, [alert(1)] if n < found else [], []) for n in range(of)]
        return Report({BUILDING: [alert(0)] * false_alarms}, verdicts, series=50, days=28, every="5m").holds()

    assert holds(3, 4) and not holds(4, 4) and not holds(3, 3) and holds(3, 0, of=0)


def run(*arguments):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RISER")} | {"RISER_BIN": str(BINARY)}
    return subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, env=environment, timeout=110)


SMALL = ("--days", "20", "--every", "1h", "--seeds", "1", "--cases", "1", "--only", "dead-battery", "--only", "noise")


def test_the_script_counts_false_alarms_and_finds_faults():
    done = run(*SMALL, "--each")
    assert done.returncode == 0, done.stderr
    assert "(1 building of 50 series, 20 days, a reading every 1h:" in done.stdout
    assert "\n| dead-battery | 36.0 h | 1/1 |" in done.stdout, done.stdout
    assert "\nfault: seed 1 --from 2026-01-05 dead-battery@climate-101/battery+" in "\n" + done.stdout
    assert "window-open" not in done.stdout, "only those that were asked for"


def test_settings_reach_the_gateway_and_check_decides_the_exit_code():
    loud = run(*SMALL, "--json", "--set", "anomaly.threshold=0.05", "--check")
    figures = json.loads(loud.stdout)
    assert loud.returncode == 1 and figures["rate"] > 1 and not figures["holds"]
    assert figures["false_alarms"] == sum(figures["by_detector"].values()) == sum(figures["by_seed"].values())
    deaf = run(*SMALL, "--json", "--set", "anomaly.enabled=false", "--check")
    figures = json.loads(deaf.stdout)
    assert deaf.returncode == 1 and (figures["rate"], figures["found"], figures["cases"]) == (0, 0, 2)
    assert run(*SMALL, "--cases", "0", "--set", "anomaly.enabled=false", "--check").returncode == 0


def test_a_wrong_setting_is_reported():
    done = run(*SMALL, "--set", "anomaly.treshold=1")
    assert done.returncode == 70 and "treshold" in done.stderr and "Traceback" not in done.stderr


def test_buildings_begin_all_over_the_year_on_mondays():
    begins = [building.begin for building in months.buildings(12)]
    assert len({begin.month for begin in begins}) == 12
    assert all(begin.weekday() == 0 and begin >= datetime(2026, 1, 1) for begin in begins)

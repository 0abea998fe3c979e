"""`scripts/false-alarms`: simulates buildings with and without faults, and counts what the gateway says of them."""

import argparse
import json
import os
import pathlib
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from false_alarms import faults, months
from false_alarms.report import LEAST_FOUND, MOST_FALSE_ALARMS, Report
from false_alarms.verdict import judge

LEAST_DAYS = 20  # the quiet days, ten for a drift, and some to spread the starts over


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/false-alarms",
        description="Counts the anomaly model's false alarms in a building without faults, and the faults that it finds.",
    )
    limits = f"exit 1 from {MOST_FALSE_ALARMS:g} false alarms per 50 series and week on, or below {LEAST_FOUND:.0%} found"
    parser.add_argument("--check", action="store_true", help=limits)
    parser.add_argument("--every", default="5m", metavar="DURATION", help="from one reading to the next (5m)")
    parser.add_argument("--seeds", type=_positive, default=8, metavar="N", help="so many buildings (8)")
    parser.add_argument("--cases", type=int, default=24, metavar="N", help="so many faults of each kind (24); 0: none")
    parser.add_argument("--days", type=_days, default=30, metavar="N", help="length of the months (30)")
    parser.add_argument("--from", dest="begin", metavar="DATE", help="all months begin then; else all over the year")
    names = [kind.name for kind in faults.KINDS]
    parser.add_argument("--only", action="append", choices=names, metavar="FAULT", help=f"of {', '.join(names)}")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the gateway")
    parser.add_argument("--each", action="store_true", help="a line for each false alarm and each fault as well")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of Markdown")
    return parser.parse_args()


def _positive(text):
    if int(text) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return int(text)


def _days(text):
    if int(text) < LEAST_DAYS:
        raise argparse.ArgumentTypeError(f"at least {LEAST_DAYS}")
    return int(text)


def measure(gateway, asked):
    buildings = months.buildings(asked.seeds, asked.begin)
    kinds = [kind for kind in faults.KINDS if not asked.only or kind.name in asked.only]
    cases = [case for kind in kinds for case in faults.cases(kind, asked.cases, buildings, asked.days)]

    def with_fault(case):
        options = ("--zone", gateway.zone_of(case.device), "--fault", case.option)
        return gateway.alerts(case.building, case.days, *options)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        normal = pool.map(lambda building: gateway.alerts(building, asked.days), buildings)
        faulty = pool.map(with_fault, cases)
        normal = dict(zip(buildings, normal, strict=True))
        verdicts = [judge(case, alerts, normal[case.building]) for case, alerts in zip(cases, faulty, strict=True)]
    return Report(normal, verdicts, gateway.series, asked.days, asked.every)


def main():
    asked = arguments()
    with tempfile.TemporaryDirectory(prefix="riser-false-alarms-") as folder:
        try:
            gateway = months.Gateway(os.environ["RISER_BIN"], pathlib.Path(folder), asked.every, asked.set)
            report = measure(gateway, asked)
        except months.RiserFailed as error:
            print(error, file=sys.stderr)
            return 70
    if asked.each:
        print(report.each(), end="\n\n")
    print(json.dumps(report.json()) if asked.json else report.markdown())
    return 1 if asked.check and not report.holds() else 0


if __name__ == "__main__":
    sys.exit(main())

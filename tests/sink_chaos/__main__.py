"""`scripts/chaos-sinks`: a long run for people, with progress output."""

import argparse
import pathlib
import random
import shutil
import sys
import tempfile

from sink_chaos.run import KINDS, Failed, Run
from sink_chaos.schedule import Schedule


def sinks(text):
    chosen = text.split(",")
    unknown = [sink for sink in chosen if sink not in KINDS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no sink {unknown[0]!r}; there are: {','.join(KINDS)}")
    return chosen


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/chaos-sinks",
        description="A gateway with all sinks, whose servers and connections fail; every reading must arrive once.",
    )
    parser.add_argument("--kills", type=int, default=200, help="SIGKILLs of the gateway (default 200, about 25 minutes)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**9), help="of the faults (default: a new one)")
    parser.add_argument("--sinks", type=sinks, default=list(KINDS), help=f"some of {','.join(KINDS)} (default: all)")
    parser.add_argument("--plan", action="store_true", help="only print what would happen when")
    arguments = parser.parse_args()
    schedule = Schedule(arguments.seed, arguments.kills, arguments.sinks)
    if arguments.plan:
        print(schedule)
        return 0
    folder = pathlib.Path(tempfile.mkdtemp(prefix="riser-chaos-sinks-"))
    faults = f"{schedule.count()} faults, {arguments.kills} of them kills of the gateway"
    print(f"seed {arguments.seed}: {faults}, about {schedule.length / 60 + 1:.0f} minutes, in {folder}")
    try:
        summary = Run(folder, schedule, show=lambda line: print(line, flush=True)).go()
    except Failed as failed:
        print(f"\nFAILED: {failed}")
        return 1
    shutil.rmtree(folder)
    print(f"\nEvery reading arrived once (seed {arguments.seed}):\n{summary}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

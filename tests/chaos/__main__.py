"""`scripts/chaos`: a long run for people, with progress output."""

import argparse
import pathlib
import random
import shutil
import sys
import tempfile

from chaos.run import Failed, Run
from chaos.schedule import Schedule


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/chaos",
        description="A gateway between real brokers under random faults; every reading is accounted for.",
    )
    parser.add_argument(
        "--kills", type=int, default=200, help="SIGKILLs of the gateway (default 200, about 20 minutes)"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(10**9), help="of the faults (default: a new one)")
    parser.add_argument("--plan", action="store_true", help="only print what would happen when")
    arguments = parser.parse_args()
    schedule = Schedule(arguments.seed, arguments.kills)
    if arguments.plan:
        print(schedule)
        return 0
    folder = pathlib.Path(tempfile.mkdtemp(prefix="riser-chaos-"))
    print(
        f"seed {arguments.seed}, {arguments.kills} kills, about {schedule.length / 60 + 0.5:.0f} minutes, in {folder}"
    )
    try:
        numbers = Run(folder, schedule, show=lambda line: print(line, flush=True)).go()
    except Failed as failed:
        print(f"\nFAILED: {failed}")
        return 1
    shutil.rmtree(folder)
    print(f"\nEvery reading is accounted for: {numbers}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

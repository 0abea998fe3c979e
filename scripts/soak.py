"""An hour of a building at 1,000 readings/s between two real brokers; a line each ten seconds, a verdict at the end.

  scripts/soak                           an hour
  scripts/soak --for 10h --rate 3000     longer, more

Flat means: after the first quarter memory, descriptors and threads stay as they are, data_dir is bounded, and every
reading that was sent has arrived in the cloud. Exit code 1 where that is not so. What is sent stands in tests/soak.py.

Installs what it needs first: Debian packages, and Python packages in target/venv. Builds target/release/riser unless
RISER_BIN names a binary.
"""

import argparse
import pathlib
import re
import sys
import tempfile
import time

import test_environment

ROOT = pathlib.Path(__file__).resolve().parent.parent
SECONDS = {"s": 1, "m": 60, "h": 3600}


def duration(text):
    match = re.fullmatch(r"(\d+)([smh])", text)
    if not match:
        raise argparse.ArgumentTypeError("a whole number and a unit: 90s, 10m, 1h")
    return int(match[1]) * SECONDS[match[2]]


def watch(soak, seconds):
    samples = []
    while not samples or samples[-1].seconds < seconds:
        samples.append(soak.sample())
        if len(samples) % 10 == 1:
            tell(soak, samples)
        time.sleep(1)
    return samples


def tell(soak, samples):
    now, before = samples[-1], samples[-min(11, len(samples))]
    rate = (now.sent - before.sent) / max(1.0, now.seconds - before.seconds)
    print(
        f"{now.seconds:6.0f} s  {rate:6.0f}/s  {now.memory_mib:6.1f} MiB  {now.files:3} descriptors  "
        f"{now.threads:2} threads  {now.disk_mib:5.1f} MiB on disk  {soak.gateway.audit()['queued']:6} queued",
        flush=True,
    )


def main():
    options = argparse.ArgumentParser(
        prog="scripts/soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--for", dest="seconds", type=duration, default="1h", help="90s, 10m, 1h; default 1h")
    options.add_argument("--rate", type=int, default=1000, help="readings a second; default 1000")
    options = options.parse_args()
    test_environment.enter("soak")
    sys.path.insert(0, str(ROOT / "tests"))
    from soak import CYCLE, Soak, growth, problems, settled

    if options.seconds < 4 * CYCLE:
        sys.exit(f"scripts/soak: at least {4 * CYCLE}s: the first quarter, which does not count, must hold a whole cycle")
    with tempfile.TemporaryDirectory(prefix="riser-soak-") as folder:
        soak = Soak(pathlib.Path(folder), options.rate)
        try:
            samples = watch(soak, options.seconds)
            ledger = soak.finish()
        finally:
            soak.close()
    broken = sum(ledger["dropped"].values())
    print(f"\n{ledger['published']:,} readings sent and published, {broken:,} refused as broken")
    print(f"memory: {growth(settled(samples)):+.1f} MiB after the first quarter")
    found = problems(samples)
    print("\n".join(found) or "flat")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

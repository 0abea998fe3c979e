"""What Riser's broker costs and withstands, beside mosquitto in the same run.

  scripts/bench-broker                     all cases, three times, in turn with mosquitto: about nine minutes
  scripts/bench-broker fan-out retained    some of them
  scripts/bench-broker --runs 5 --seconds 5 fan-out
  scripts/bench-broker --json              the figures of each run as JSON; what goes on is told on standard error

The cases, all with MQTT 3.1.1:
  idle         1,000 and 10,000 clients that are connected: memory each, and what is left of it when they have gone
  fan-out      20 publishers with 20 unacknowledged messages of 100 bytes each, 5 subscribers to all, QoS 1 end to end; nobody
               sends more than 100 messages ahead of the last subscriber. Then with nobody waiting for subscribers, and the
               default bounds of queues: what is dropped
  retained     2,000 discovery messages of 1,800 bytes; 20,000 topics of 100 bytes: start after kill -9, SUBSCRIBE to #
  passwords    600 clients try wrong passwords from 127.0.0.2 while right ones log in from 127.0.0.1: users that have
               logged in before, and others for the first time (Argon2 in Riser, PBKDF2 in mosquitto)
  slow-reader  10 publishers and 10 subscribers exchange 2,000 messages/s of 10 kB at QoS 1, without and with one more
               subscriber to all, at QoS 0 or 1, that never reads
  flood        a QoS 1 message goes from one quiet client to another every 10 ms, while a third one sends as many SUBSCRIBEs, or
               messages at QoS 0, as the broker takes
  durable      20 times kill -9 while messages are published, for a session that is away and retained: what was
               acknowledged must be there after the start. Once, however many runs

Each broker has one core, and the load client (crates/broker/examples/mqtt_load) another, over loopback. Both have their
defaults but for these: 12,000 connections and sessions in Riser; 64 messages in flight in mosquitto, as Riser has; no bound of
queues, in both, in `fan-out`, `retained` and `durable`. Mosquitto saves to the disk every half hour and at its end: in
`retained` it is asked to before its files are looked at and before the kill, and in `durable` it is not, so it loses all.

Compare within a run: other work on the machine shows in each figure. The exit code is 1 if Riser could not do a case or lost
something. Needs room for 10,100 open files (ulimit -n). Builds target/release/riser and the load client unless RISER_BIN and
MQTT_EXAMPLES name a binary and a folder.
"""

import argparse
import json
import math
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import bench_broker_cases as cases  # noqa: E402
from bench_broker_servers import ROOT, TARGET, Failed, Mosquitto, Riser, riser  # noqa: E402

FILES = 10_100
SERVERS = (Riser, Mosquitto)
# Case: how it is measured, and its figures: name, title, form.
CASES = {
    "idle": (
        cases.idle,
        [
            ("base_1000", "MB before", "{:.1f}"),
            *(
                (f"{figure}_{count}", f"bytes each of {count:,}{when}", "{:,.0f}")
                for count in (1_000, 10_000)
                for figure, when in (("each", ""), ("left", ", gone"), ("again", ", again"))
            ),
        ],
    ),
    "fan-out": (
        cases.fan_out,
        [
            ("rate", "messages/s received", "{:,.0f}"),
            ("cpu", "CPU s per million received", "{:.2f}"),
            ("busy", "% of its core", "{:.0f}"),
            ("client", "% of the load client's core", "{:.0f}"),
            ("lost", "messages lost", "{:,.0f}"),
            ("twice", "messages twice", "{:,.0f}"),
            ("cut", "subscribers cut off", "{:.0f}"),
            ("p99", "p99 ms", "{:,.0f}"),
            ("peak", "peak MB", "{:.1f}"),
            ("hurried_rate", "messages/s, no waiting", "{:,.0f}"),
            ("hurried_lost", "% dropped, no waiting", "{:.1f}"),
            ("hurried_peak", "peak MB, no waiting", "{:.1f}"),
        ],
    ),
    "retained": (
        cases.retained,
        [
            ("discovery", "s for 2,000 discovery messages", "{:.3f}"),
            ("stored", "  MB in the data folder", "{:.1f}"),
            ("written", "  MB written", "{:.1f}"),
            ("flash", "bytes written, each of 20,000", "{:,.0f}"),
            ("start", "ms to start with 20,000 topics", "{:,.0f}"),
            ("subscribe", "ms of SUBSCRIBE # to the last", "{:,.0f}"),
            ("missing", "topics missing", "{:,.0f}"),
        ],
    ),
    "passwords": (
        cases.passwords,
        [
            ("known_p50", "login p50 ms, seen before", "{:,.1f}"),
            ("known_p99", "login p99 ms, seen before", "{:,.1f}"),
            ("new_p50", "login p50 ms, first time", "{:,.1f}"),
            ("new_p99", "login p99 ms, first time", "{:,.1f}"),
            ("known_failed", "refused, seen before", "{:.0f}"),
            ("new_failed", "refused, first time", "{:.0f}"),
            ("refused", "wrong ones turned away/s", "{:,.0f}"),
            ("base", "MB before", "{:.1f}"),
            ("peak", "peak MB", "{:.1f}"),
            ("after", "MB afterwards", "{:.1f}"),
        ],
    ),
    "slow-reader": (
        cases.slow_reader,
        [
            (f"{figure}_{slow}", f"{title}, {who}", form)
            for figure, title, form in (
                ("p50", "p50 ms", "{:.2f}"),
                ("p99", "p99 ms", "{:.2f}"),
                ("peak", "peak MB", "{:.1f}"),
                ("lost", "healthy ones lost", "{:,.0f}"),
            )
            for slow, who in (("none", "no slow reader"), (0, "slow at QoS 0"), (1, "slow at QoS 1"))
        ],
    ),
    "flood": (
        cases.flood,
        [
            (f"{figure}_{what}", f"{title}, {when}", "{:.2f}")
            for figure, title in (("p50", "p50 ms"), ("p99", "p99 ms"))
            for what, when in (("none", "no flood"), ("subscribe", "SUBSCRIBEs"), ("publish", "QoS 0"))
        ],
    ),
    "durable": (
        cases.durable,
        [
            ("acknowledged", "messages acknowledged", "{:,.0f}"),
            ("lost", "lost for the session", "{:,.0f}"),
            ("retained_lost", "retained topics lost", "{:,.0f}"),
        ],
    ),
}
# Where Riser may have nothing but 0.
LOSSES = ("lost", "lost_none", "lost_0", "lost_1", "missing", "known_failed", "retained_lost", "cut")


def main():
    about, rest = __doc__.split("\n", 1)
    parser = argparse.ArgumentParser(
        prog="scripts/bench-broker", description=about, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", nargs="*", help=f"of {', '.join(CASES)} (all)")
    parser.add_argument("--runs", type=int, default=3, help="runs whose median is told (3)")
    parser.add_argument("--seconds", type=float, default=10, help="of the longer measurements (10)")
    parser.add_argument("--json", action="store_true", help="print JSON in place of tables")
    parser.add_argument("--logs", type=pathlib.Path, help="a folder for the brokers' logs")
    options = parser.parse_args()
    for case in options.case:
        if case not in CASES:
            parser.error(f"no case {case}; there are {', '.join(CASES)}")
    options.case = options.case or list(CASES)
    try:
        prepare()
        return measure(options)
    except Failed as failure:
        print(f"scripts/bench-broker: {failure}", file=sys.stderr)
    except subprocess.CalledProcessError as failure:
        print(f"scripts/bench-broker: {' '.join(map(str, failure.cmd))}: exit {failure.returncode}", file=sys.stderr)
    except KeyboardInterrupt:
        print("scripts/bench-broker: interrupted", file=sys.stderr)
    return 2


def prepare():
    if subprocess.run([ROOT / "scripts/lib/prepare", "bench_broker"]).returncode:
        raise Failed("something is missing")
    # Where Debian keeps mosquitto.
    os.environ["PATH"] += ":/usr/sbin"
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < FILES:
        raise Failed(f"{FILES} open files are needed and {hard} allowed; ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    cargo = ["cargo", "build", "--locked", "--release"]
    if "MQTT_EXAMPLES" not in os.environ:
        subprocess.run([*cargo, "-p", "broker", "--example", "mqtt_load"], cwd=ROOT, check=True)
    if "RISER_BIN" not in os.environ:
        subprocess.run([*cargo, "-p", "riser"], cwd=ROOT, check=True)
    if not riser().is_file():
        raise Failed(f"no binary at {riser()}")
    TARGET.mkdir(exist_ok=True)


def measure(options):
    began = time.monotonic()
    tell(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {riser()}")
    results = {case: {kind.name: [] for kind in SERVERS} for case in options.case}
    failures = []
    for case in options.case:
        for run in range(1, (1 if case == "durable" else options.runs) + 1):
            for kind in SERVERS:
                try:
                    figures = CASES[case][0](kind, options)
                except Failed as failure:
                    failures.append({"case": case, "run": run, "broker": kind.name, "why": str(failure)})
                    tell(f"{case}, run {run}: {kind.name:10} failed: {failure}")
                    continue
                results[case][kind.name].append(figures)
                tell(f"{case}, run {run}: {kind.name:10} " + "  ".join(f"{name} {figure:,.6g}" for name, figure in figures.items()))
    if options.json:
        print(json.dumps({"cores": os.cpu_count(), "results": results, "failures": failures}, indent=1))
    else:
        for case in options.case:
            report(case, results[case])
        print(f"\n{time.monotonic() - began:.0f} s in all")
    lost = [name for case in results.values() for figures in case["riser"] for name in LOSSES if figures.get(name)]
    return 1 if lost or any(failure["broker"] == "riser" for failure in failures) else 0


def tell(line):
    print(line, file=sys.stderr, flush=True)


def report(case, results):
    """Medians, with the least and the most of more than one run; and Riser's divided by mosquitto's of the same run."""
    ours, theirs = results["riser"], results["mosquitto"]
    print(f"\n{case:34}{'riser':>30}{'mosquitto':>30}{'ratio':>8}")
    for name, title, form in CASES[case][1]:
        cells = [cell([figures[name] for figures in runs], form) for runs in (ours, theirs)]
        ratios = [our[name] / their[name] for our, their in zip(ours, theirs) if their[name] > 0]
        ratio = f"{statistics.median(ratios):.2f}" if ratios and len(ours) == len(theirs) else ""
        print(f"  {title:32}{cells[0]:>30}{cells[1]:>30}{ratio:>8}")


def cell(values, form):
    values = [value for value in values if not math.isnan(value)]
    if not values:
        return "failed"
    median = form.format(statistics.median(values))
    return median if min(values) == max(values) else f"{median} ({form.format(min(values))} to {form.format(max(values))})"


if __name__ == "__main__":
    sys.exit(main())

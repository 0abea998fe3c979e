"""`scripts/bench micro`: the hot functions one by one, in nanoseconds by criterion and in instructions by callgrind."""

import json
import pathlib
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCHED = ("aggregator", "codecs", "anomaly", "alerts", "coap-link")

OBSERVE = "<anomaly::SeriesModel as gateway_core::ports::Detector>::observe"

# Of which benchmark's call of which function instructions are counted.
COUNTED = (
    ("aggregator", "push", "push/10,000 devices x 1 metric", "aggregator::Aggregator::push"),
    ("codecs", "json", "decode json", "codecs::Codec::decode"),
    ("anomaly", "observe", "SeriesModel::observe, 10,000 gauges in turn", OBSERVE),
    ("alerts", "observe", "Alerts::observe, the anomaly rule matches the series", "alerts::Alerts::observe"),
)


def run(target):
    packages = [argument for name in BENCHED for argument in ("-p", name)]
    began = time.time()
    subprocess.run(["cargo", "bench", "--locked", *packages, "--bench", "*"], cwd=ROOT, check=True)
    print("\nmedians, from target/criterion")
    for file in sorted((target / "criterion").rglob("new/benchmark.json")):
        if file.stat().st_mtime >= began:
            print_median(json.loads(file.read_text()), json.loads((file.parent / "estimates.json").read_text()))
    count_instructions()
    return 0


def print_median(benchmark, estimates):
    nanoseconds = estimates["median"]["point_estimate"]
    elements = (benchmark["throughput"] or {}).get("Elements", 1)  # a round of so many readings or devices
    print(f"  {benchmark['full_id']:60} {nanoseconds / elements:10.1f} ns")


def count_instructions():
    print("\ninstructions a call, by callgrind: hardly any noise, comparable between machines of one architecture")
    for package, bench, name, function in COUNTED:
        instructions, calls = callgrind(bench_binary(package, bench), name, function)
        print(f"  {name:60} {instructions / calls:10.0f} over {calls:,} calls")


def bench_binary(package, bench):
    command = ["cargo", "bench", "--locked", "--no-run", "-p", package, "--bench", bench, "--message-format", "json"]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return next(m["executable"] for m in map(json.loads, lines) if m.get("executable"))


def callgrind(executable, name, function):
    """Instructions in `function` and what it calls, and how often it was called, over two seconds of a benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "callgrind.out"
        options = ["--tool=callgrind", "--compress-strings=no", "--compress-pos=no", f"--callgrind-out-file={out}"]
        command = ["valgrind", *options, executable, "--bench", "--exact", "--profile-time", "2", name]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, command, stderr=done.stderr)
        instructions, calls = called(out.read_text().splitlines(), function)
    if not calls:
        raise LookupError(f"`{name}` of {executable} never called {function}: was it renamed or inlined?")
    return instructions, calls


def called(lines, function):
    """Sums `cfn=NAME`, `calls=COUNT …`, `LINE INSTRUCTIONS`: Callgrind's format, "Profile Data File Format"."""
    instructions = calls = 0
    lines = iter(lines)
    for line in lines:
        if line == f"cfn={function}":
            calls += int(next(lines).split()[0].removeprefix("calls="))
            instructions += int(next(lines).split()[1])
    return instructions, calls

"""Other people's MQTT test suites against Riser's broker: mosquitto's own broker tests, and Eclipse paho's.

  scripts/conformance                          both
  scripts/conformance mosquitto -j 2           109 files of mosquitto's test/broker, and its 1,483 sequences of packets
  scripts/conformance paho --only 'test_will'  11 tests of client_test.py, 27 of client_test5.py
  scripts/conformance --broker mosquitto       the same with the mosquitto that is installed: is the runner right?

The suites are not part of this repository. `--mosquitto` and `--paho` name folders where they are: mosquitto's source
and paho.mqtt.testing. Without them mosquitto's source comes from Debian and paho.mqtt.testing from GitHub, once, to
target/conformance. They are not changed: mosquitto's tests run in a copy, in which conformance_shim.py stands where
they start mosquitto, and conformance_library.py and conformance_packets.py compare packets by what MQTT says that they
mean, not by bytes (`--strict`: by bytes). Each of paho's tests has a broker of its own.

The exit code is 1 if a test fails that scripts/conformance_exceptions.toml does not explain, or passes that it explains.
What each test said, its broker's log and its packets are in target/conformance/logs.

Builds target/release/riser unless RISER_BIN names a binary. MOSQUITTO_BIN names another mosquitto than the one installed;
of its tests, 2.0.20 passes 107 of 109 built without TLS (its passwords need that), and Debian 12's 2.0.11 passes 99.
"""

import argparse
import concurrent.futures
import contextlib
import fnmatch
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import typing

sys.dont_write_bytecode = True
import conformance_suites as suites  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
EXCEPTIONS = ROOT / "scripts/conformance_exceptions.toml"


class Failed(Exception):
    """Something to tell the person who started this."""


class Result(typing.NamedTuple):
    suite: str
    test: str
    result: str
    seconds: float
    why: str


# The words of the table.
PASSED, FAILED, EXPLAINED, UNEXPECTED, LEFT_OUT = "passed", "failed", "explained", "passed, though explained", "left out"
BAD = (FAILED, UNEXPECTED)


class Runner:
    """Runs single tests, each in a process group of its own, and judges them."""

    def __init__(self, options, folder, riser):
        self.options, self.folder = options, folder
        # What is known of Riser says nothing of another broker.
        self.known = tomllib.loads(EXCEPTIONS.read_text()) if options.broker == "riser" else {}
        self.logs = TARGET / "conformance/logs" / options.broker
        self.logs.mkdir(parents=True, exist_ok=True)
        self.env = {
            **os.environ,
            "CONFORMANCE_BROKER": options.broker,
            "CONFORMANCE_STRICT": str(int(options.strict)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "RISER_BIN": str(riser),
        }

    def run(self, test):
        if test.left_out:
            return Result(test.suite, test.name, LEFT_OUT, 0, test.left_out)
        began = time.monotonic()
        home = pathlib.Path(tempfile.mkdtemp(prefix="test-", dir=self.folder))
        with test.started(home, self.env, self.options.broker) as (command, cwd, ports):
            code, said = self.finish([sys.executable, *command, *map(str, ports)], cwd, home)
        seconds = time.monotonic() - began
        notes, packets = read_notes(home)
        broker_said = "".join(path.read_text(errors="replace") for path in home.glob("broker.log"))
        shutil.rmtree(home, ignore_errors=True)
        log = self.logs / f"{test.suite}-{test.name}.log"
        log.write_text(f"{said}\n--- broker\n{broker_said}\n--- packets\n{packets}\n")
        result, why = self.judge(test, code, said)
        return Result(test.suite, test.name, result, round(seconds, 1), "; ".join([*filter(None, [why]), *notes]))

    def finish(self, command, cwd, home):
        """The exit code and what it said; None after the time limit."""
        env = {**self.env, "CONFORMANCE_NOTES": str(home / "notes")}
        # A file: a broker that is left behind would keep a pipe open.
        with open(home / "said", "w") as said:
            files = {"stdout": said, "stderr": said, "stdin": subprocess.DEVNULL}
            process = subprocess.Popen(command, cwd=cwd, env=env, start_new_session=True, **files)
        try:
            code = process.wait(self.options.timeout)
        except subprocess.TimeoutExpired:
            code = None
        # Its group: such a broker, too.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return code, (home / "said").read_text(errors="replace")

    def judge(self, test, code, said):
        parts = test.failed_parts(said)
        if parts:
            return self.judge_parts(test, parts)
        explained = self.known.get(test.suite, {}).get(test.name)
        if code == 0:
            always = explained and not explained.get("sometimes")
            return (UNEXPECTED, "remove it from the exceptions") if always else (PASSED, "")
        if explained:
            return EXPLAINED, " ".join(filter(None, [explained["standard"], explained["why"]]))
        if code is None:
            return FAILED, f"not done after {self.options.timeout} s"
        return FAILED, last_line(said) or f"exit {code}"


    def judge_parts(self, test, parts):
        """The exceptions of such a test are lists of names of parts, with `*`."""
        known = self.known.get(test.suite, {}).get(test.name, {})
        patterns = [(name, key) for key, row in known.items() for name in row["parts"]]
        keys = {part: [key for name, key in patterns if fnmatch.fnmatchcase(part, name)] for part in parts}
        new = [part for part in parts if not keys[part]]
        counted = ", ".join(f"{key} {sum(key in found for found in keys.values())}" for key in known)
        if new:
            return FAILED, f"{len(new)} of its parts: {'; '.join(new)}"
        return EXPLAINED, f"{len(parts)} of its parts: {counted}"


def read_notes(home):
    notes, packets = [], []
    path = home / "notes"
    for line in path.read_text().splitlines() if path.exists() else []:
        row = json.loads(line)
        if "packet" in row:
            packets.append(row["packet"])
        elif row["note"] not in notes:
            notes.append(row["note"])
    return notes, "\n".join(packets)


def last_line(said):
    """The line that says best what went wrong."""
    # Not of the broker's log.
    lines = [line for line in said.splitlines() if line.strip() and not re.match(r"\d{4}-\d\d-\d\dT|\d{10}: ", line)]
    for line in lines:
        if line.startswith("FAIL: "):
            return line.removeprefix("FAIL: ")
    errors = [line for line in lines if re.match(r"\w*(Error|Exception|timeout)\b", line)]
    return (errors or lines or [""])[-1]


def report(results, options):
    counts = {}
    for row in results:
        counts.setdefault(row.suite, {}).setdefault(row.result, []).append(row)
    for suite, found in counts.items():
        run = sum(len(rows) for result, rows in found.items() if result != LEFT_OUT)
        rest = ", ".join(f"{len(rows)} {result}" for result, rows in found.items() if result != PASSED)
        print(f"\n{suite}: {len(found.get(PASSED, []))} of {run} passed" + (f"; {rest}" if rest else ""))
        for result in (FAILED, UNEXPECTED, EXPLAINED, LEFT_OUT):
            for row in found.get(result, []):
                print(f"  {result:10} {row.test}: {row.why}")
    if options.json:
        rows = sorted((row._asdict() for row in results), key=lambda row: (row["suite"], row["test"]))
        pathlib.Path(options.json).write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if any(row.result in BAD for row in results) else 0


def prepare(options):
    """The binary of Riser, and what is missing on this machine."""
    if subprocess.run([ROOT / "scripts/lib/prepare", f"conformance:{options.broker}"]).returncode:
        raise Failed("something is missing")
    if options.broker == "riser" and "RISER_BIN" not in os.environ:
        subprocess.run(["cargo", "build", "--locked", "--release", "-p", "riser"], cwd=ROOT, check=True)
    return pathlib.Path(os.environ.get("RISER_BIN", TARGET / "release/riser")).resolve()


def collect(options, folder):
    """The tests that are asked for."""
    tests = []
    if options.what in ("mosquitto", "all"):
        source = options.mosquitto or suites.fetch_mosquitto(TARGET / "conformance")
        tests += suites.mosquitto_tests(source.resolve(), folder, options.broker)
    if options.what in ("paho", "all"):
        source = options.paho or suites.fetch_paho(TARGET / "conformance")
        tests += suites.paho_tests(source.resolve())
    wanted = [f"*{pattern}*" for pattern in options.only or [""]]
    chosen = [test for test in tests if any(fnmatch.fnmatch(f"{test.suite}/{test.name}", row) for row in wanted)]
    if not chosen:
        raise Failed("no test has such a name")
    return chosen


def run_all(options):
    riser = prepare(options)
    TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="conformance-", dir=TARGET) as folder:
        folder = pathlib.Path(folder)
        tests = collect(options, folder)
        runner, results = Runner(options, folder, riser), []
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for row in pool.map(runner.run, tests):
                results.append(row)
                if row.result != LEFT_OUT:
                    print(f"{row.result:10} {row.seconds:5.1f} s  {row.suite}/{row.test}", flush=True)
    return report(results, options)


def main():
    about, rest = __doc__.split("\n", 1)
    parser = argparse.ArgumentParser(
        prog="scripts/conformance", description=about, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("mosquitto", "paho", "all"), default="all")
    parser.add_argument("--broker", choices=("riser", "mosquitto"), default="riser", help="what is tested (riser)")
    parser.add_argument("--mosquitto", type=pathlib.Path, metavar="DIR", help="mosquitto's source")
    parser.add_argument("--paho", type=pathlib.Path, metavar="DIR", help="paho.mqtt.testing")
    parser.add_argument("--only", action="append", metavar="PATTERN", help="part of a test's name, with * and ?")
    parser.add_argument("--json", metavar="FILE", help="write the results there, too")
    parser.add_argument("-j", "--jobs", type=int, default=2, metavar="N", help="tests at once (2)")
    parser.add_argument("--timeout", type=float, default=90, metavar="SECONDS", help="for one test (90)")
    parser.add_argument("--strict", action="store_true", help="compare mosquitto's packets byte by byte")
    options = parser.parse_args()
    try:
        return run_all(options)
    except (Failed, suites.Missing) as failure:
        print(f"scripts/conformance: {failure}", file=sys.stderr)
    except subprocess.CalledProcessError as failure:
        print(f"scripts/conformance: {' '.join(map(str, failure.cmd))}: exit {failure.returncode}", file=sys.stderr)
    except KeyboardInterrupt:
        print("scripts/conformance: interrupted", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())

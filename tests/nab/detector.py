"""`riser detect` over the files of a corpus, some at a time."""

import csv
import dataclasses
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

AT_A_TIME = 2


@dataclasses.dataclass(frozen=True)
class Run:
    """What came out for one file."""

    scores: list
    alerts: int  # raised, which is fewer than rows with an alert
    seconds: float  # of CPU, reading and writing included
    state_bytes: int


class DetectorFailed(Exception):
    """`riser detect` ended with an error, or did not answer every row."""


def run_all(binary, files, folder, trial):
    """By name; the scored files stay in `folder`. `trial` gives the options for a file: its rows -> arguments."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        runs = pool.map(lambda file: _run(binary, file, folder, trial(len(file.times))), files)
        return dict(zip((file.name for file in files), runs, strict=True))


def _run(binary, file, folder, options):
    output = folder / file.name
    output.parent.mkdir(parents=True, exist_ok=True)
    # No configuration but the defaults: neither the user's files nor variables.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RISER")} | {
        "RISER_LOG": "info",
        "RISER_CONFIG": os.devnull,
    }
    process = subprocess.Popen(
        [binary, "detect", file.path, "--output", output, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    log = process.stderr.read()
    process.stderr.close()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise DetectorFailed(f"riser detect {file.path}: exit {process.returncode}\n{log[-2000:]}")
    with open(output, newline="") as rows:
        scored = list(csv.DictReader(rows))
    if [row["timestamp"] for row in scored] != file.times:
        raise DetectorFailed(f"riser detect {file.path}: not one row out for each row in")
    alert = [row["alert"] == "1" for row in scored]
    raised = sum(now and not before for before, now in zip([False, *alert], alert, strict=False))
    state = int(re.search(r"state has (\d+) bytes", log).group(1))
    return Run([float(row["anomaly_score"]) for row in scored], raised, used.ru_utime + used.ru_stime, state)

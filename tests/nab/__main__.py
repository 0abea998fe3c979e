"""`scripts/nab`: runs the detector over a corpus and prints its scores."""

import argparse
import contextlib
import os
import pathlib
import sys
import tempfile

from nab import corpus, detector, report


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/nab", description="How good the anomaly model is on the Numenta Anomaly Benchmark."
    )
    place = "a checkout of NAB, or a folder with data/ and windows.json; else $NAB, else ./NAB"
    parser.add_argument("dir", nargs="?", metavar="DIR", help=place)
    parser.add_argument("--half", action="store_true", help="only every second file of each folder: choose on these")
    trial = parser.add_mutually_exclusive_group()
    trial.add_argument("--fixed", action="store_true", help="without a file's length, as a gateway: the default trial")
    trial.add_argument("--trial", type=int, metavar="N", help="learn on N readings, for any length")
    parser.add_argument("--per-file", action="store_true", help="hits and false alarms of each file as well")
    parser.add_argument("--keep", type=pathlib.Path, metavar="FOLDER", help="leave the scored files there")
    return parser.parse_args()


def main():
    asked = arguments()
    try:
        files = corpus.load(corpus.find(asked.dir))
    except corpus.NoCorpus as error:
        print(error, file=sys.stderr)
        return 66
    if asked.half:
        files = corpus.every_second(files)

    def trial(rows):
        if asked.trial is not None:
            return ["--trial", str(asked.trial)]
        return [] if asked.fixed else ["--length", str(rows)]

    with contextlib.ExitStack() as stack:
        folder = asked.keep or pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="riser-nab-")))
        runs = detector.run_all(os.environ["RISER_BIN"], files, folder, trial)
    scored = report.Scored(files, {name: run.scores for name, run in runs.items()})
    print(report.scores(scored), end="\n\n", flush=True)
    if asked.per_file:
        print(report.per_file(scored, runs), end="\n\n")
    print(report.cost(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())

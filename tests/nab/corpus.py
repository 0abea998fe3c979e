"""The files of a corpus and their labels: a checkout of NAB, or a folder with data/ and windows.json."""

import csv
import dataclasses
import json
import os
import pathlib

LABELS = ("labels/combined_windows.json", "windows.json")
HOW_TO_GET = """NAB is not here. Get it, and say where it is:
  git clone --depth 1 https://github.com/numenta/NAB
  scripts/nab NAB"""


class NoCorpus(Exception):
    """There are no files to score on."""


@dataclasses.dataclass(frozen=True)
class File:
    """One labelled series."""

    name: str  # folder/file.csv
    path: pathlib.Path
    times: list
    windows: list

    @property
    def folder(self):
        return self.name.split("/")[0]


def find(given=None):
    """The folder that was named, else $NAB, else ./NAB."""
    place = pathlib.Path(given or os.environ.get("NAB") or "NAB")
    if not (place / "data").is_dir() or labels_of(place) is None:
        if given or "NAB" in os.environ:
            raise NoCorpus(f"{place} has no data/ with {' or '.join(LABELS)}\n{HOW_TO_GET}")
        raise NoCorpus(HOW_TO_GET)
    return place


def labels_of(place):
    return next((place / name for name in LABELS if (place / name).is_file()), None)


def load(place):
    """All labelled files, by name."""
    labels = json.loads(labels_of(place).read_text())
    return [_file(place, name, windows) for name, windows in sorted(labels.items())]


def _file(place, name, windows):
    path = place / "data" / name
    with open(path, newline="") as file:
        times = [row["timestamp"] for row in csv.DictReader(file)]
    # The labels write microseconds, the data do not.
    return File(name, path, times, [(begin[:19], end[:19]) for begin, end in windows])


def every_second(files):
    """Every second file of each folder: one half to choose settings on, so that the other can judge them."""
    seen, half = {}, []
    for file in files:
        seen[file.folder] = seen.get(file.folder, 0) + 1
        if seen[file.folder] % 2:
            half.append(file)
    return half

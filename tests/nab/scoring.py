"""NAB's score (version 1.1), from its published rules: arXiv 1510.03336, section "Scoring", and NAB's wiki.

A row is a detection where its anomaly score reaches the threshold. The labels are windows around what went wrong:
- the best detection inside a window earns up to 1, the earlier the more; further ones earn nothing;
- a window without a detection costs `missed`;
- a detection outside all windows costs up to `false`, soon after a window less;
- rows of the probation, the first 15 % of a file and at most 750 rows, count for nothing.
The sum over all files is put on a scale where 0 is a detector that never alerts and 100 one that is never wrong.
"""

import dataclasses
import itertools
import math
import typing


@dataclasses.dataclass(frozen=True)
class Profile:
    """What an error costs."""

    name: str
    missed: float
    false: float


STANDARD = Profile("standard", missed=1.0, false=0.11)
LOW_FALSE_POSITIVES = Profile("reward_low_FP_rate", missed=1.0, false=0.22)
LOW_FALSE_NEGATIVES = Profile("reward_low_FN_rate", missed=2.0, false=0.11)
PROFILES = (STANDARD, LOW_FALSE_POSITIVES, LOW_FALSE_NEGATIVES)


def probation(rows):
    """How many rows at the beginning of a file of so many rows are not judged."""
    return min(rows * 15 // 100, 750)


def sigmoid(position):
    """What a detection is worth: 1 far before the window's end (-1 is its begin), 0 at it, -1 far behind."""
    return -1.0 if position > 3 else 2 / (1 + math.exp(5 * position)) - 1


@dataclasses.dataclass(frozen=True)
class Judged:
    """A file's rows behind the probation: the window each lies in, or none, and what a detection there is worth."""

    windows: int
    rows: list  # (row number, window or None, worth: 0..1 in a window, -1..0 outside)


def judge(times, windows):
    """Labels as pairs (first time, last time), in order; times are compared as text."""
    first = {}
    for row, time in enumerate(times):
        first.setdefault(time, row)
    try:
        spans = [(first[begin], first[end]) for begin, end in windows]
    except KeyError as missing:
        raise ValueError(f"a window begins or ends at {missing}, where there is no row") from None
    rows, window = [], 0
    for row in range(probation(len(times)), len(times)):
        while window < len(spans) and spans[window][1] < row:
            window += 1
        inside = window < len(spans) and spans[window][0] <= row
        worth = _inside(row, *spans[window]) if inside else _behind(row, spans[window - 1] if window else None)
        rows.append((row, window if inside else None, worth))
    return Judged(len(spans), rows)


def _inside(row, begin, end):
    """Rows are counted from one behind the window's end, so that its last row is worth something too."""
    return sigmoid((row - end - 1) / (end - begin + 1)) / sigmoid(-1)


def _behind(row, span):
    """By how many lengths of the window before it."""
    if span is None or span[0] == span[1]:
        return -1.0
    begin, end = span
    return sigmoid((row - end) / (end - begin))


class Event(typing.NamedTuple):
    """What a detection in one row would be worth, and from which threshold on it is made."""

    score: float
    window: tuple | None  # (file, number)
    worth: float
    file: str


def events(judged, scores, file):
    """One for each row behind the probation."""
    return [
        Event(scores[row], None if window is None else (file, window), worth, file)
        for row, window, worth in judged.rows
    ]


def descending(events):
    """By score, the highest first: the order that all of the following want."""
    return sorted(events, key=lambda event: -event.score)


def normalised(total, windows, profile):
    """0 for no detection at all, 100 for the earliest possible in each window and none outside."""
    nothing = -profile.missed * windows
    return 100 * (total - nothing) / (windows - nothing)


class Tally:
    """The sum so far, while detections are added one by one."""

    def __init__(self, windows, profile):
        self.profile = profile
        self.total = -profile.missed * windows
        self.most = float(windows)  # what the sum can still become
        self._best = {}

    def add(self, event):
        if event.window is None:
            self.total += self.profile.false * event.worth
            self.most += self.profile.false * event.worth
            return
        before = self._best.get(event.window, -self.profile.missed)
        if event.worth > before:
            self.total += event.worth - before
            self._best[event.window] = event.worth


def total_at(ordered, windows, profile, threshold):
    """The sum of a detector that alerts at `threshold` and above."""
    tally = Tally(windows, profile)
    for event in itertools.takewhile(lambda event: event.score >= threshold, ordered):
        tally.add(event)
    return tally.total


def optimum(ordered, windows, profile):
    """The highest sum over all thresholds, and that threshold; infinity where silence is best."""
    tally = Tally(windows, profile)
    best, best_threshold = tally.total, math.inf
    for score, same in itertools.groupby(ordered, key=lambda event: event.score):
        for event in same:
            tally.add(event)
        if tally.total > best:
            best, best_threshold = tally.total, score
        if tally.most <= best:
            break
    return best, best_threshold


def counts(ordered, threshold):
    """Windows with a detection, and detections outside of all windows."""
    reported = list(itertools.takewhile(lambda event: event.score >= threshold, ordered))
    hits = {event.window for event in reported if event.window is not None}
    return len(hits), sum(event.window is None for event in reported)

"""Readings with known times, and numpy's word on what their aggregates must be."""

import math
import time
from datetime import UTC, datetime

import numpy as np


def window_ahead(seconds=1):
    """The start, in epoch milliseconds, of a window that has not begun: all its readings can be sent before it closes."""
    return (math.floor((time.time() + 0.5) / seconds) + 1) * seconds * 1000


def now_millis():
    return int(time.time() * 1000)


def rfc3339(millis):
    return datetime.fromtimestamp(millis / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{millis % 1000:03d}Z"


def spread(start, count, length=1000):
    """`count` times inside the window that begins at `start`."""
    return [start + i * length // count for i in range(count)]


def assert_summary(summary, values):
    """The five numbers that every kind of metric has, against numpy."""
    values = np.asarray(values, dtype=np.float64)
    assert summary["count"] == len(values)
    expected = {"avg": values.mean(), "min": values.min(), "max": values.max(), "std": values.std()}
    for name, number in expected.items():
        # A spread far below the values' own last digits is rounding, in numpy as well.
        floor = 1e-12 * max(1.0, abs(values).max()) if name == "std" else 0.0
        assert math.isclose(summary[name], number, rel_tol=1e-9, abs_tol=floor), (name, summary[name], number)


def assert_gap_free(numbered):
    """`seq` counts up by one over everything that was sent; what is sent twice has the same number."""
    seqs = sorted({body["seq"] for body in numbered})
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), seqs
    return seqs

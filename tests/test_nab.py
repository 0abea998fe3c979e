"""scripts/nab: the scorer against examples worked out by hand, and the whole script on a small corpus."""

import json
import math
import os
import pathlib
import re
import subprocess
from datetime import datetime, timedelta

import numpy as np
import pytest

from gateway import BINARY
from nab import corpus, held_out, report, scoring
from nab.scoring import LOW_FALSE_NEGATIVES, LOW_FALSE_POSITIVES, STANDARD

SCRIPT = pathlib.Path(__file__).parent.parent / "scripts/nab"

# 20 rows, of which 3 are probation; one window of 5 rows, 10 to 14.
TIMES = [f"2014-04-01 00:{minute:02d}:00" for minute in range(20)]
WINDOW = (TIMES[10], TIMES[14])


def file(name="a/a.csv", windows=(WINDOW,), times=TIMES):
    return corpus.File(name, None, list(times), list(windows))


def scored(detections, one=None):
    """A file with these scores by row, 0 elsewhere."""
    one = one or file()
    return report.Scored([one], {one.name: [detections.get(row, 0.0) for row in range(len(one.times))]})


def worth(row):
    return next(w for r, _, w in scoring.judge(TIMES, [WINDOW]).rows if r == row)


def test_the_sigmoid_is_a_hyperbolic_tangent():
    for position in (-1.0, -0.3, 0.0, 0.7, 3.0):
        assert scoring.sigmoid(position) == pytest.approx(-math.tanh(2.5 * position), abs=1e-12)
    assert scoring.sigmoid(3.01) == -1


def test_the_earlier_in_a_window_the_more_and_the_sooner_behind_it_the_less_it_costs():
    assert worth(10) == 1
    assert worth(12) == pytest.approx(0.917429, abs=1e-6)  # tanh(1.5) / tanh(2.5)
    assert worth(14) == pytest.approx(0.468387, abs=1e-6)  # tanh(0.5) / tanh(2.5)
    assert worth(15) == pytest.approx(-0.554600, abs=1e-6)  # -tanh(0.625): a quarter of a window behind
    assert worth(18) == pytest.approx(-0.986614, abs=1e-6)  # -tanh(2.5): a whole window behind
    assert worth(9) == -1, "before the first window there is no window that it could be late for"


def test_one_hit_and_one_false_alarm_give_what_was_worked_out_by_hand():
    both = scored({12: 0.9, 5: 0.8})
    assert both.at(STANDARD, 0.8) == pytest.approx(90.3714, abs=1e-4)  # (0.917429 - 0.11 + 1) / 2
    assert both.at(LOW_FALSE_POSITIVES, 0.8) == pytest.approx(84.8714, abs=1e-4)  # (0.917429 - 0.22 + 1) / 2
    assert both.at(LOW_FALSE_NEGATIVES, 0.8) == pytest.approx(93.5810, abs=1e-4)  # (0.917429 - 0.11 + 2) / 3


def test_only_the_best_detection_of_a_window_counts():
    assert scored({12: 0.9, 13: 0.9, 14: 0.9}).at(STANDARD, 0.9) == scored({12: 0.9}).at(STANDARD, 0.9)
    later_first = scored({14: 0.9, 12: 0.8}).at(STANDARD, 0.8)
    assert later_first == pytest.approx(scored({12: 0.8}).at(STANDARD, 0.8))


def test_silence_is_zero_perfection_a_hundred_and_noise_below_zero():
    assert scored({}).at(STANDARD, 0.5) == 0
    assert scored({10: 1.0}).at(LOW_FALSE_NEGATIVES, 1.0) == 100
    # 7 rows at -1 before the window, none of them in the probation, and the window missed.
    early = scored({row: 1.0 for row in range(10)})
    assert early.at(STANDARD, 1.0) == pytest.approx(100 * -0.77 / 2)


def test_the_probation_is_fifteen_percent_and_at_most_750_rows():
    assert [scoring.probation(rows) for rows in (0, 6, 7, 20, 4032, 5000, 22_695)] == [0, 0, 1, 3, 604, 750, 750]
    assert scored({0: 1.0, 1: 1.0, 2: 1.0}).at(STANDARD, 1.0) == 0
    assert scored({3: 1.0}).at(STANDARD, 1.0) < 0


def test_the_best_threshold_is_the_one_that_pays():
    assert scored({12: 0.9, 5: 0.8}).optimum(STANDARD) == (pytest.approx(95.8714, abs=1e-4), 0.9)
    # The hit is worth more than the false alarm before it.
    assert scored({5: 0.9, 12: 0.8}).optimum(STANDARD) == (pytest.approx(90.3714, abs=1e-4), 0.8)
    # All rows alike: the window is found, but 16 false alarms before it cost more. Better silent.
    alike = scored({row: 0.5 for row in range(20)}, file(windows=[(TIMES[19], TIMES[19])]))
    assert alike.optimum(LOW_FALSE_POSITIVES) == (0, math.inf)


def test_the_best_threshold_is_found_as_by_trying_them_all():
    rng = np.random.default_rng(4)
    times = [f"t{row:04d}" for row in range(600)]
    for _ in range(20):
        windows = [(times[200], times[240]), (times[400], times[430])]
        one = file(windows=windows, times=times)
        result = scored({row: float(s) for row, s in enumerate(np.round(rng.random(600) ** 6, 2))}, one)
        for profile in scoring.PROFILES:
            tried = max(0.0, *(result.at(profile, t) for t in np.round(np.linspace(0, 1, 101), 2)))
            assert result.optimum(profile)[0] == pytest.approx(tried)


def test_rows_with_the_same_time_are_one_row_to_a_label():
    times = [*TIMES[:11], TIMES[10], *TIMES[11:]]
    rows = dict((row, (window, worth)) for row, window, worth in scoring.judge(times, [WINDOW]).rows)
    assert rows[9][0] is None and rows[10] == (0, 1.0) and rows[15][0] == 0 and rows[16][0] is None


def test_a_label_that_is_no_row_is_reported():
    with pytest.raises(ValueError, match="2015"):
        scoring.judge(TIMES, [("2015", TIMES[14])])


def test_a_held_out_file_is_judged_by_the_threshold_of_the_others():
    one, two = file("a/one.csv"), file("b/two.csv")
    zeros = [0.0] * 20
    scores = {one.name: zeros.copy(), two.name: zeros.copy()}
    scores[one.name][12] = 0.9
    scores[two.name][10] = 0.7  # below the threshold that is best on the other: missed
    both = report.Scored([one, two], scores)
    assert held_out.held_out(both, {one.name})[STANDARD] == 0
    # The other way round 0.7 is best, and 0.9 is above it.
    assert held_out.held_out(both, {two.name})[STANDARD] == pytest.approx(95.8714, abs=1e-4)
    assert list(held_out.folders(both)) == ["a", "b"]
    halves = held_out.half_splits(both, splits=3)[STANDARD]
    assert sorted(halves) == [0] * 3 + [pytest.approx(95.8714, abs=1e-4)] * 3


def write_corpus(place, labels="labels/combined_windows.json"):
    """Four series of a day's rise and fall; three of them with a spike that a window is labelled around."""
    windows = {}
    begin = datetime(2014, 4, 1)
    for number in range(4):
        name = f"{'spikes' if number else 'none'}/series_{number}.csv"
        rng = np.random.default_rng(number)
        values = 20 + 3 * np.sin(2 * np.pi * np.arange(4032) / 288) + rng.normal(0, 0.2, 4032)
        times = [str(begin + timedelta(minutes=5 * row)) for row in range(4032)]
        windows[name] = []
        if number:
            spike = 2000 + 300 * number
            values[spike] += 30
            windows[name] = [[times[spike - 20] + ".000000", times[spike + 20] + ".000000"]]
        path = place / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("timestamp,value\n" + "".join(f"{t},{v}\n" for t, v in zip(times, values, strict=True)))
    (place / labels).parent.mkdir(exist_ok=True)
    (place / labels).write_text(json.dumps(windows))
    (place / "data/spikes/unlabelled.csv").write_text("not,a,series\n")


def run(*arguments, cwd, **environment):
    clean = {k: v for k, v in os.environ.items() if k not in ("NAB", "RISER_BIN")}
    return subprocess.run(
        [SCRIPT, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=clean | {"RISER_BIN": str(BINARY)} | environment,
        timeout=100,
    )


@pytest.mark.parametrize("labels", ["labels/combined_windows.json", "windows.json"])
def test_the_script_scores_every_labelled_file(tmp_path, labels):
    write_corpus(tmp_path / "corpus", labels)
    done = run("corpus", "--per-file", "--keep", "kept", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    best = re.search(r"all files, best threshold \| ([\d.]+)", done.stdout)
    assert float(best.group(1)) > 80, f"three blatant spikes:\n{done.stdout}"
    assert re.search(r"^\| none/series_0.csv \| 0 \| 0 \|", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^\| spikes/series_3.csv \| 1 \| 1 \|", done.stdout, re.MULTILINE), done.stdout
    assert "4 files, 16,128 rows" in done.stdout and "held-out spikes" not in done.stdout
    assert sorted(p.name for p in (tmp_path / "kept/spikes").iterdir()) == [f"series_{n}.csv" for n in (1, 2, 3)]


def test_half_of_the_files_and_a_fixed_trial(tmp_path):
    write_corpus(tmp_path / "NAB")
    done = run("--half", "--fixed", "--per-file", cwd=tmp_path)  # ./NAB is found
    assert done.returncode == 0, done.stderr
    assert re.findall(r"series_\d", done.stdout) == ["series_0", "series_1", "series_3"]


def test_without_the_benchmark_it_says_how_to_get_it(tmp_path):
    for done in (run(cwd=tmp_path), run("elsewhere", cwd=tmp_path), run(cwd=tmp_path, NAB="elsewhere")):
        assert done.returncode == 66 and done.stdout == ""
        assert "git clone" in done.stderr and "github.com/numenta/NAB" in done.stderr

"""riser detect: one row out for each row in, at once, and nothing is said of a row that later rows could change."""

import csv
import io
import os
import pathlib
import random
import re
import select
import stat
import subprocess
from datetime import datetime, timedelta

import numpy as np
import pytest

from gateway import BINARY

HEAD = "timestamp,value,anomaly_score,alert"
BEGIN = datetime(2014, 4, 1)


def detect(folder, *arguments, input=None, check=0, **environment):
    done = subprocess.run(
        [BINARY, "detect", *map(str, arguments)],
        input=input,
        capture_output=True,
        cwd=folder,
        env={k: v for k, v in os.environ.items() if not k.startswith("RISER")} | environment,
        timeout=60,
    )
    assert done.returncode == check, f"exit {done.returncode}, not {check}\n{done.stdout[-500:]}\n{done.stderr}"
    return done


def rows(out):
    """The scored rows behind the head line."""
    text = out.decode() if isinstance(out, bytes) else out
    head, *scored = csv.reader(io.StringIO(text))
    assert ",".join(head) == HEAD
    for row in scored:
        assert 0 <= float(row[2]) <= 1 and row[3] in ("0", "1"), row
    return scored


def times(count, minutes=5):
    return [str(BEGIN + timedelta(minutes=minutes * row)) for row in range(count)]


def as_csv(stamps, values, head="timestamp,value"):
    return head + "\n" + "".join(f"{t},{v}\n" for t, v in zip(stamps, values, strict=True))


def ordinary(count, seed=1):
    """A day's rise and fall, in readings of 5 minutes."""
    noise = np.random.default_rng(seed).normal(0, 0.1, count)
    return [round(float(v), 3) for v in 21 + 2 * np.sin(2 * np.pi * np.arange(count) / 288) + noise]


def spiked(count=3000, at=2500, seed=1):
    values = ordinary(count, seed)
    values[at] = 80.0
    return values


SERIES = {
    "spike": spiked(),
    "step": [v + (15 if i > 2000 else 0) for i, v in enumerate(ordinary(3000))],
    "stuck": [21.3 if 2000 < i < 2400 else v for i, v in enumerate(ordinary(3000))],
    "integers": [random.Random(3).randrange(10) for _ in range(2000)],
    "constant": [5.0] * 1500,
    "heavy tail": [round(float(v), 4) for v in np.random.default_rng(5).standard_cauchy(3000)],
    "few": [1.0, 2.0],
}


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("options", [[], ["--trial", "100"]], ids=["default", "trial"])
def test_the_scores_of_a_prefix_are_the_prefix_of_the_scores(tmp_path, name, options):
    values = SERIES[name]
    stamps = times(len(values))
    whole = detect(tmp_path, "-", *options, input=as_csv(stamps, values).encode()).stdout.splitlines()
    assert len(whole) == len(values) + 1
    for cut in {0, 1, len(values) // 3, len(values) // 2, len(values) - 1}:
        part = detect(tmp_path, "-", *options, input=as_csv(stamps[:cut], values[:cut]).encode())
        assert part.stdout.splitlines() == whole[: cut + 1], f"cut at {cut}"


def test_a_row_is_answered_before_the_next_is_written():
    # Unbuffered, so that what select() sees is all there is.
    process = subprocess.Popen([BINARY, "detect", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    def answer():
        ready, _, _ = select.select([process.stdout], [], [], 20)
        assert ready, "no answer although the row is complete"
        return process.stdout.readline().decode().rstrip("\n")

    try:
        values = spiked(400, at=390)
        process.stdin.write(b"timestamp,value\n")
        for index, (stamp, value) in enumerate(zip(times(400), values, strict=True)):
            process.stdin.write(f"{stamp},{value}\n".encode())
            if index == 0:
                assert answer() == HEAD
            row = answer().split(",")
            assert row[:2] == [stamp, str(value)]
            assert row[3] == "1" or index != 390, "the spike is reported at once"
        process.stdin.close()
        assert process.wait(10) == 0
    finally:
        process.kill()


def test_a_named_pipe_is_read_as_it_is_filled(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    process = subprocess.Popen([BINARY, "detect", tmp_path / "pipe"], stdout=subprocess.PIPE, bufsize=0)
    try:
        with open(tmp_path / "pipe", "w") as pipe:
            pipe.write("timestamp,value\n2014-04-01 00:00:00,1.5\n")
            pipe.flush()
            ready, _, _ = select.select([process.stdout], [], [], 20)
            assert ready and process.stdout.readline().decode().strip() == HEAD
            assert process.stdout.readline().decode().strip() == "2014-04-01 00:00:00,1.5,0,0"
        assert process.wait(10) == 0
    finally:
        process.kill()


def test_a_spike_is_an_alert_from_raise_to_clear(tmp_path):
    (tmp_path / "in.csv").write_text(as_csv(times(3000), spiked()))
    scored = rows(detect(tmp_path, "in.csv").stdout)
    assert float(scored[2500][2]) >= 0.5
    raised = [i for i, row in enumerate(scored) if row[3] == "1"]
    # It is over with the third ordinary reading, as in `riser run`.
    assert raised == [2500, 2501, 2502]


def test_the_threshold_is_the_configurations(tmp_path):
    (tmp_path / "in.csv").write_text(as_csv(times(3000), [*spiked()[:2990], *[23.9] * 10]))
    default = rows(detect(tmp_path, "in.csv").stdout)
    peak = max(float(row[2]) for row in default)
    assert 0.5 <= peak < 1
    above = f"anomaly.threshold={(peak + 1) / 2}"
    assert not any(row[3] == "1" for row in rows(detect(tmp_path, "in.csv", "--set", above).stdout))
    (tmp_path / "gateway.toml").write_text(f"[anomaly]\nthreshold = {(peak + 1) / 2}\n")
    assert not any(row[3] == "1" for row in rows(detect(tmp_path, "in.csv").stdout))
    assert [row[2] for row in rows(detect(tmp_path, "in.csv").stdout)] == [row[2] for row in default]
    assert b"threshold" in detect(tmp_path, "in.csv", "--set", "anomaly.threshold=7", check=78).stdout


def test_nothing_is_said_within_the_trial(tmp_path):
    values = spiked(1000, at=300)
    values[700] = -40.0
    (tmp_path / "in.csv").write_text(as_csv(times(1000), values))

    def first(*options):
        scored = rows(detect(tmp_path, "in.csv", *options).stdout)
        return next(i for i, row in enumerate(scored) if float(row[2]) > 0)

    assert first("--trial", 500) == 500
    assert first("--length", 4000) == 600
    assert first("--length", 100_000) == 750
    assert first("--length", 4000, "--trial", 200) == 200
    assert first() == 288


def test_text_comes_out_as_it_stood(tmp_path):
    stood = [
        ["2014-04-01 00:00:00", "1.50"],
        ["2014-04-01T00:05:00.000Z", " 2e0 "],
        ["2014/04/01 00:10:00", "+3"],
        ["2014-04-01T02:15:00+02:00", "0004"],
        ["1396311600", "5."],
        ["1396311900000", "-0"],
        ["2014-04-01 00:10:00", "7"],  # out of order
        ["2014-04-01 00:10:00", "7"],  # and again
        ["2014-04-01 00:20:00", "21,5"],
        ["yesterday, or so", "9"],
        ['a "quoted" time', "9"],
        ["03/04/2014", "9"],
        ["2014-04-01 00:25:00", ""],
        ["2014-04-01 00:25:00", "NaN"],
        ["2014-04-01 00:25:00", "inf"],
        ["2014-04-01 00:25:00", "1e999"],
        ["", ""],
        ["é", "ü"],
    ]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["timestamp", "value"])
    writer.writerows(stood)
    text = b"\xef\xbb\xbf" + out.getvalue().encode()
    done = detect(tmp_path, "-", input=text)
    assert [row[:2] for row in rows(done.stdout)] == stood
    assert not any(float(row[2]) for row in rows(done.stdout))
    reported = done.stderr.decode()
    assert "-:10: `21,5` is not a number" in reported and "-:11: `yesterday, or so` is not a time" in reported
    assert reported.count("is not scored") == 10 and len(stood) - 8 == 10


def test_bytes_that_are_no_text_and_rows_that_are_too_short_or_too_long(tmp_path):
    text = b"timestamp,value\n2014-04-01,1,more\n2014-04-02\n\xff\xfe,\x00\n\n2014-04-03,2\n"
    done = detect(tmp_path, "-", input=text)
    lines = done.stdout.splitlines()[1:]
    assert lines == [b"2014-04-01,1,0,0", b"2014-04-02,,0,0", b"\xff\xfe,\x00,0,0", b"2014-04-03,2,0,0"]
    assert b"-:3: " in done.stderr and b"-:4: " in done.stderr


def test_a_row_that_cannot_be_read_leaves_the_alert_as_it_is(tmp_path):
    values = spiked(3000, at=2500)
    stamps = times(3000)
    scored = rows(detect(tmp_path, "-", input=as_csv(stamps, values).encode()).stdout)
    bad = [[stamps[2500], "broken"], ["never", "21.0"]]
    before, after = as_csv(stamps[:2501], values[:2501]), as_csv(stamps[2501:], values[2501:], "").lstrip("\n")
    mixed = rows(detect(tmp_path, "-", input=(before + "".join(f"{t},{v}\n" for t, v in bad) + after).encode()).stdout)
    assert mixed[2501:2503] == [[*row, "0", "1"] for row in bad], "the alert is still out"
    assert mixed[:2501] + mixed[2503:] == scored, "and nothing was learnt"


def test_many_bad_rows_are_reported_by_a_count(tmp_path):
    text = as_csv(times(1001), [1.0, *["?"] * 1000])
    done = detect(tmp_path, "-", input=text.encode())
    assert len(rows(done.stdout)) == 1001
    reported = done.stderr.decode().splitlines()
    assert len(reported) == 11 and "-:3: " in reported[0] and "990 more" in reported[-1]


def test_the_columns_are_found(tmp_path):
    line = "2014-04-01 00:00:00"
    for head, row, options, expected in (
        ("value,timestamp", f"1,{line}", [], "1"),
        ("Time,Temperature", f"{line},2", [], "2"),
        ("room,when,t", f"lab,{line},3", [], "3"),
        ("timestamp,value,co2", f"{line},4,400", ["--column", "co2"], "400"),
        ("date,a,b", f"{line},5,x", [], "5"),
    ):
        (row,) = rows(detect(tmp_path, "-", *options, input=f"{head}\n{row}\n".encode()).stdout)
        assert row == [line, expected, "0", "0"]


def test_what_is_no_series_is_reported(tmp_path):
    line = "2014-04-01 00:00:00"
    several = detect(tmp_path, "-", input=f"time,a,b\n{line},1,2\n".encode(), check=64)
    assert b"--column: time, a, b" in several.stderr and several.stdout == b""
    unknown = detect(tmp_path, "-", "--column", "c", input=f"time,a,b\n{line},1,2\n".encode(), check=64)
    assert b"no column `c`" in unknown.stderr
    assert b"empty" in detect(tmp_path, "-", input=b"", check=66).stderr
    assert b"head line" in detect(tmp_path, "-", input=f"{line},1\n{line},2\n".encode(), check=66).stderr
    assert b"not-there.csv" in detect(tmp_path, "not-there.csv", check=66).stderr
    assert b"directory" in detect(tmp_path, ".", check=66).stderr
    nothing = detect(tmp_path, "-", input=b"timestamp,value\na,b\n", check=66)
    assert b"no row" in nothing.stderr and len(rows(nothing.stdout)) == 1
    assert rows(detect(tmp_path, "-", input=b"timestamp,value\n").stdout) == []


@pytest.mark.parametrize(
    "wrong", [[], ["a", "b"], ["a", "--trial", "x"], ["a", "--length", "-1"], ["a", "--no"]], ids=" ".join
)
def test_wrong_usage_is_64(tmp_path, wrong):
    assert detect(tmp_path, *wrong, check=64).stderr


def test_a_quote_that_is_never_closed_does_not_fill_the_memory(tmp_path):
    (tmp_path / "in.csv").write_text('timestamp,value\n2014-04-01,1\n2014-04-02,"2\n' + "x" * 3_000_000)
    done = detect(tmp_path, "in.csv", check=66)
    assert b"longer than 1 MiB" in done.stderr and len(rows(done.stdout)) == 1


def test_output_is_there_as_a_whole_or_not_at_all(tmp_path):
    text = as_csv(times(300), ordinary(300))
    (tmp_path / "in.csv").write_text(text)
    expected = detect(tmp_path, "in.csv").stdout
    done = detect(tmp_path, "in.csv", "--output", "out.csv")
    assert done.stdout == b"" and (tmp_path / "out.csv").read_bytes() == expected
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o666 & ~mask

    (tmp_path / "out.csv").write_text("before")
    (tmp_path / "bad.csv").write_text('timestamp,value\n2014-04-01,"' + "x" * 3_000_000)
    detect(tmp_path, "bad.csv", "--output", "out.csv", check=66)
    assert (tmp_path / "out.csv").read_text() == "before"
    # A file may be replaced by what was made of it.
    detect(tmp_path, "in.csv", "--output", "in.csv")
    assert (tmp_path / "in.csv").read_bytes() == expected
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.csv", "in.csv", "out.csv"], "nothing is left beside"


def test_output_that_cannot_be_created_is_73(tmp_path):
    (tmp_path / "in.csv").write_text(as_csv(times(3), [1, 2, 3]))
    assert b"no/out.csv" in detect(tmp_path, "in.csv", "--output", "no/out.csv", check=73).stderr
    (tmp_path / "folder").mkdir()
    assert detect(tmp_path, "in.csv", "--output", "folder", check=73).stderr
    assert detect(tmp_path, "in.csv", "--output", "/dev/full", check=73).stderr
    assert pathlib.Path("/dev/full").is_char_device(), "a device is written to, not replaced"


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path):
    (tmp_path / "in.csv").write_text(as_csv(times(20_000), ordinary(20_000)))
    command = f"{BINARY} detect in.csv | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == HEAD and done.stderr == ""


def test_memory_does_not_grow_with_the_input(tmp_path):
    process = subprocess.Popen([BINARY, "detect", "-", "--output", tmp_path / "out.csv"], stdin=subprocess.PIPE)

    def write(begin, end):
        text = as_csv(stamps[begin:end], values[begin:end], head="")
        process.stdin.write(text.lstrip("\n").encode())
        process.stdin.flush()

    def peak():
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status).group(1))

    try:
        stamps, values = times(200_000, minutes=1), ordinary(200_000)
        process.stdin.write(b"timestamp,value\n")
        # All but what a pipe holds (64 KiB) has been read when a write returns.
        write(0, 20_000)
        before = peak()
        write(20_000, 200_000)
        grown = peak() - before
        process.stdin.close()
        assert process.wait(20) == 0
    finally:
        process.kill()
    assert grown < 1024, f"{grown} KiB more for 180,000 rows"
    assert len(rows((tmp_path / "out.csv").read_text())) == 200_000


def test_summer_time_ends_and_an_hour_comes_twice(tmp_path):
    stamps = [datetime(2026, 10, 20) + timedelta(minutes=5 * row) for row in range(2880)]
    back = datetime(2026, 10, 25, 3)
    local = [str(t if t < back else t - timedelta(hours=1)) for t in stamps]
    scored = rows(detect(tmp_path, "-", input=as_csv(local, ordinary(2880)).encode()).stdout)
    assert [row[0] for row in scored] == local
    assert not any(row[3] == "1" for row in scored)


def test_help_has_examples(tmp_path):
    text = detect(tmp_path, "--help").stdout.decode()
    assert "Examples" in text and "riser detect" in text
    for option in ("--column", "--output", "--trial", "--length", "--config"):
        assert option in text

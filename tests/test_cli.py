"""The other commands: replay, decode, tail, simulate, demo, help; results on stdout, logs on stderr, exit codes of sysexits."""

import csv
import io
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import numpy as np
import pytest

from gateway import BINARY, ID, config
from peers import Collector, free_port, wait_until
from readings import assert_summary, rfc3339, window_ahead

COMMANDS = ("run", "check", "demo", "tail", "decode", "replay", "audit", "firmware", "battery", "simulate", "config")

REPLAY_CONFIG = f"""[gateway]
id = "{ID}"
data_dir = "data"
[aggregate]
window = "1m"
[anomaly]
enabled = false
[alerts.hot]
metric = "temperature"
above = 30.0
"""


class Follower:
    """A command that goes on, and its lines so far."""

    def __init__(self, gateway, name, *arguments):
        self.path = gateway.folder / f"follower-{name}"
        with open(self.path, "wb") as out:
            self.process = subprocess.Popen(
                [BINARY, *map(str, arguments)],
                stdout=out,
                stderr=subprocess.PIPE,
                cwd=gateway.folder,
                env=gateway.env,
                # Tests that a shell runs in the background have SIGINT ignored, and so would what they start.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def rows(self):
        return [json.loads(line) for line in self.path.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def close(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise AssertionError("SIGINT did not end the command") from None


RECORDED = [
    (d, 1_795_132_800_000 + i * 10_000, float(v))
    for d in ("a", "b")
    for i, v in enumerate(np.random.default_rng(10).normal(21, 1, 60))
]
HOT = ("a", 1_795_132_800_000 + 600_000, 35.5)


def as_json_lines():
    rows = sorted([*RECORDED, HOT], key=lambda r: r[1])
    return "".join(
        json.dumps({"time": rfc3339(t), "device": d, "metric": "temperature", "value": v}) + "\n" for d, t, v in rows
    )


def as_csv():
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["time", "device", "metric", "value"])
    writer.writerows([rfc3339(t), d, "temperature", v] for d, t, v in sorted([*RECORDED, HOT], key=lambda r: r[1]))
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "text"), [("rec.jsonl", as_json_lines()), ("rec.csv", as_csv())], ids=["json lines", "csv"]
)
def test_replay_puts_a_recording_through_windows_and_alerts(riser, name, text):
    gateway = riser(REPLAY_CONFIG)
    (gateway.folder / name).write_text(text)
    began = time.monotonic()
    done = gateway.cli("replay", name, "--config", gateway.config, "--json", check=0)
    assert time.monotonic() - began < 10
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    aggregates = {(r["device"], r["window"]["start"]): r for r in rows if "window" in r}
    for device in ("a", "b"):
        values = [v for d, _, v in RECORDED if d == device]
        for minute in range(10):
            body = aggregates[device, rfc3339(1_795_132_800_000 + minute * 60_000)]
            assert_summary(body["metrics"]["temperature"], values[minute * 6 : minute * 6 + 6])
            assert body["id"] == f"{ID}/{device}/{1_795_132_800_000 + minute * 60_000}/60000"
    (alert,) = [r for r in rows if r.get("alert") == "hot"]
    assert (alert["device"], alert["value"], alert["time"]) == ("a", 35.5, rfc3339(HOT[1]))
    ledger = rows[-1].get("ledger", rows[-1])
    assert ledger["balanced"] is True and ledger["in"] == 121 and ledger["published"] == 121
    assert not gateway.data_dir.exists(), "a replay leaves the gateway's own data alone"


def test_replay_for_people_is_readable_and_ends_with_the_ledger(riser):
    gateway = riser(REPLAY_CONFIG)
    (gateway.folder / "rec.csv").write_text(as_csv())
    out = gateway.cli("replay", "rec.csv", check=0).stdout
    assert "35.5" in out and "121" in "".join(out.splitlines()[-20:])
    assert "\x1b[" not in out, "colour only on a terminal"


def test_replay_counts_what_it_cannot_read_and_goes_on(riser):
    gateway = riser(REPLAY_CONFIG)
    (gateway.folder / "rec.jsonl").write_text("{broken\n" + as_json_lines() + '{"device":"a"}\n')
    rows = [json.loads(line) for line in gateway.cli("replay", "rec.jsonl", "--json", check=0).stdout.splitlines()]
    ledger = rows[-1].get("ledger", rows[-1])
    assert ledger["in"] == 123 and ledger["dropped"].get("bad_payload", 0) == 2 and ledger["balanced"]


def test_decode_shows_one_payload_as_json(riser):
    gateway = riser(REPLAY_CONFIG)

    def decode(codec, payload):
        return json.loads(gateway.cli("decode", "--codec", codec, payload.hex(), check=0).stdout)

    out = decode("json", b'{"temperature":21.5,"air":{"co2":400},"on":true,"name":"x"}')
    assert out["metrics"] == {"temperature": 21.5, "air.co2": 400, "on": 1} and out["errors"] == []
    assert out["data"]["name"] == "x"
    out = decode("senml", b'[{"bn":"urn:x:","n":"temp","u":"Cel","v":23.5}]')
    assert out["data"][0]["n"] == "urn:x:temp" and 23.5 in out["metrics"].values()


def test_decode_batch_answers_one_for_one(riser):
    gateway = riser(REPLAY_CONFIG)
    rows = [
        {"codec": "json", "topic": "sensors/a/telemetry", "payload": '{"temperature":21.5}'},
        {"codec": "json", "bytes": b'{"humidity":40}'.hex()},
        {"codec": "nonsense", "bytes": "00"},
        "no row",
        {"codec": "zigbee2mqtt", "topic": "zigbee2mqtt/plug", "payload": '{"power":12.5,"state":"ON"}'},
        {"codec": "senml", "payload": '[{"bn":"a:","n":"t","v":1},{"n":"u","v":2}]'},
        {"codec": "json", "payload": "{"},
        {
            "codec": "tasmota",
            "topic": "tele/x/SENSOR",
            "payload": '{"Time":"2026-11-20T10:00:00","BME280":{"Temperature":21.5}}',
        },
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows) + "{not json\n"
    done = gateway.cli("decode", "--batch", input=text, check=0)
    out = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(out) == len(rows) + 1
    assert [bool(row["errors"]) for row in out] == [False, False, True, True, False, False, True, False, True]
    assert out[0]["metrics"] == {"temperature": 21.5} and out[1]["metrics"] == {"humidity": 40}
    assert out[4]["metrics"]["power"] == 12.5
    assert [r["n"] for r in out[5]["data"]] == ["a:t", "a:u"]
    assert out[7]["metrics"]["temperature"] == 21.5


def test_decode_batch_reads_advertisements_each_by_itself(riser):
    def row(service="", maker="", address="A4:C1:38:0A:0B:0C", name="", **more):
        base = "-0000-1000-8000-00805f9b34fb"
        reported = {
            "address": address,
            "name": name,
            "service_data": {f"0000{service[:4]}{base}": service[5:]} if service else {},
            "manufacturer_data": dict(entry.split() for entry in maker.split(",")) if maker else {},
        }
        return {"codec": "ble", "advertisement": reported, **more}

    sealed = "fcd2 4100112233445566778899aabb"
    rows = [
        row("fcd2 4000090266082e37"),
        row("fcd2 4000090266082e37"),
        row(maker="1177 0512fc5394c37c0004fffc040cac364200cdcbb8334c884f"),
        row(maker="51138 001422,53186 0014220b01", name="TP357S (0B0C)"),
        row(sealed),
        row(sealed, bindkey="00112233445566778899aabbccddeeff"),
        row(sealed, bindkey="0011"),
        row(sealed, bindkey="00112233445566778899aabbccddeeff", address=""),
        row("fcd2 zz"),
        row(),
    ]
    done = riser(REPLAY_CONFIG).cli("decode", "--batch", input="".join(json.dumps(r) + "\n" for r in rows), check=0)
    out = [json.loads(line) for line in done.stdout.splitlines()]
    assert [bool(r["errors"]) for r in out] == [False] * 4 + [True] * 6
    assert out[0]["metrics"] == {"temperature": 21.5, "humidity": 55} == out[1]["metrics"], "no memory of earlier rows"
    assert out[0]["data"]["format"] == "bthome"
    assert out[2]["metrics"]["pressure"] == 1000.44 and out[2]["metrics"]["voltage"] == 2.977
    assert out[3]["metrics"] == {"temperature": 20.7, "humidity": 20, "battery": 100}, "the last entry is the newest"
    assert "bindkey_file" in out[4]["errors"][0] and "does not open" in out[5]["errors"][0]
    assert "hexadecimal" in out[6]["errors"][0] and "address" in out[7]["errors"][0]


def test_tail_follows_a_running_gateway(main_job, sensor, received, started):
    gateway = main_job(more='[alerts.hot]\nmetric = "temperature"\nabove = 40.0')
    follow = {
        kind: started.keep(
            Follower(gateway, kind, "tail", "--config", gateway.config, kind, "--device", "lou*", "--json")
        )
        for kind in ("readings", "aggregates", "alerts")
    }

    def all_listen():
        start = window_ahead()
        for device in ("lounge", "hall"):
            sensor.send(f"sensors/{device}/telemetry", {"temperature": 41.0, "ts": start})
            sensor.send(f"sensors/{device}/telemetry", {"temperature": 20.0, "ts": start + 1})
        return all(f.rows() for f in follow.values())

    # A tail that has just begun has no past, and each begins when it does: send until the last one listens.
    wait_until(all_listen, 60, lambda: f"rows of each kind: { {kind: len(f.rows()) for kind, f in follow.items()} }")
    for kind, follower in follow.items():
        assert {row["device"] for row in follower.rows()} == {"lounge"}, kind
    reading = follow["readings"].rows()[0]
    assert reading["metric"] == "temperature" and reading["value"] in (41.0, 20.0) and "time" in reading
    body = follow["aggregates"].rows()[0]
    received.wait_for(lambda: body["id"] in {a["id"] for a in received.aggregates()}, what="the same aggregate in the cloud")
    assert follow["alerts"].rows()[0]["alert"] == "hot"


def test_tails_that_have_ended_leave_their_place_to_others(main_job):
    gateway = main_job()
    socket = str(gateway.data_dir / "riser.sock")

    def connected():
        rows = [line.split() for line in pathlib.Path("/proc/net/unix").read_text().splitlines()]
        return sum(row[-1] == socket and row[5] == "03" for row in rows)

    # As many as may ask at once, and nothing comes of the device that they wait for.
    arguments = ("tail", "--config", gateway.config, "--device", "no-such")
    tails = [Follower(gateway, f"tail-{number}", *arguments) for number in range(16)]
    wait_until(lambda: connected() == 16, 30, lambda: f"{connected()} of 16 connected")
    for tail in tails:
        tail.close()
    wait_until(lambda: connected() == 0, 15, lambda: f"{connected()} still hold their place")
    gateway.audit()


def test_tail_of_a_gateway_that_does_not_run_is_69(riser):
    done = riser(REPLAY_CONFIG).cli("tail", "--config", "gateway.toml", timeout=15, check=69)
    assert done.stderr and not done.stdout


def test_simulate_sends_real_traffic(floor, cloud, riser, collector, received, started):
    gateway = riser(config(cloud=cloud.port, floor=floor.port, aggregate='window = "1s"\nlateness = "500ms"')).start()
    received.wait_online()
    on_floor = collector(floor)
    began = time.monotonic()
    gateway.cli(
        "simulate",
        "--target",
        f"127.0.0.1:{floor.port}",
        "--protocol",
        "mqtt",
        "--devices",
        "5",
        "--rate",
        "50",
        "--for",
        "3s",
        check=0,
    )
    assert 2.5 < time.monotonic() - began < 10
    assert 100 <= len([m for m in on_floor.messages if isinstance(m.body, dict)]) <= 200
    received.wait_for(lambda: len({a["device"] for a in received.aggregates()}) == 5, what="aggregates of five devices")
    sent = len(on_floor.messages)
    wait_until(lambda: gateway.audit()["in"] >= sent, what="every message taken")
    assert sum(gateway.audit()["dropped"].values()) == 0


def test_simulate_without_a_listener_is_69(riser):
    target = f"127.0.0.1:{free_port()}"
    riser(REPLAY_CONFIG).cli(
        "simulate",
        "--target",
        target,
        "--protocol",
        "mqtt",
        "--devices",
        "1",
        "--rate",
        "1",
        "--for",
        "1s",
        timeout=30,
        check=69,
    )


def test_the_demo_shows_aggregates_and_an_alert_without_anything_else(tmp_path, started):
    home = tmp_path / "empty"
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}

    def text():
        return (tmp_path / "out").read_text(errors="replace")

    with open(tmp_path / "out", "wb") as out, open(tmp_path / "err", "wb") as err:
        began = time.monotonic()
        process = subprocess.Popen(
            [BINARY, "demo", "--for", "32s"],
            stdout=out,
            stderr=err,
            stdin=subprocess.DEVNULL,
            cwd=home,
            env=environment,
        )
    try:
        hint = wait_until(lambda: re.search(r"mosquitto_sub .*", text()), 10, "the mosquitto_sub line to look at")
        port = int(re.search(r"-p (\d+)", hint.group()).group(1))
        received = started.keep(Collector(port))
        received.wait_for(lambda: received.aggregates(), 15 - (time.monotonic() - began), "an aggregate within 15 s")
        received.wait_for(lambda: received.alerts(), 30 - (time.monotonic() - began), "an alert within 30 s")
        sensor = re.search(r"coap-client -s 60 (coap://\S+)", text()).group(1)
        newest = subprocess.run(["coap-client-notls", sensor], capture_output=True, text=True, timeout=10)
        assert newest.returncode == 0 and json.loads(newest.stdout), newest
        protocols = {body["protocol"] for body in received.aggregates(device=sensor.rpartition("/")[2])}
        assert protocols == {"coap"} and any(body["protocol"] == "mqtt" for body in received.aggregates())
        received.wait_for(lambda: received.aggregates("water-meter"), 30 - (time.monotonic() - began), "a node that has joined")
        meter = received.aggregates("water-meter")[0]
        assert (meter["protocol"], meter["zone"]) == ("lorawan", "basement")
        assert meter["metrics"]["water"]["avg"] >= 250_000 and "rssi" in meter["metrics"]
        sensor = received.aggregates("lounge-0025")[0]
        assert sensor["protocol"] == "ble" and "rssi" in sensor["metrics"]
        assert process.wait(40) == 0
    finally:
        process.kill()
    assert "\x1b[" not in text(), "plain lines where there is no terminal"
    assert len(text().splitlines()) > 10 and received.alerts()[0]["message"] in text()
    assert list(home.iterdir()) == [], "the demo leaves nothing behind"
    assert "panicked" not in (tmp_path / "err").read_text()


def test_help_names_every_command_and_gives_examples(riser):
    gateway = riser(REPLAY_CONFIG)
    whole = gateway.cli("--help", check=0).stdout
    for command in COMMANDS:
        assert re.search(rf"^\s+{command}\b", whole, re.MULTILINE), command
        text = gateway.cli(command, "--help", check=0).stdout
        assert re.search(r"example", text, re.IGNORECASE), f"{command} --help has no example"
        assert "riser " + command in text
    assert gateway.cli("--version", check=0).stdout.startswith("riser ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        [],
        ["run", "--nonsense"],
        ["decode"],
        ["decode", "--codec", "json", "xyz"],
        ["demo", "--for", "soon"],
        ["tail", "everything"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_64(riser, arguments):
    done = riser(REPLAY_CONFIG).cli(*arguments, check=64)
    assert done.stderr


def test_input_that_is_not_there_is_66(riser):
    done = riser(REPLAY_CONFIG).cli("replay", "not-there.csv", check=66)
    assert "not-there.csv" in done.stderr


def test_a_reader_that_goes_away_ends_the_command_quietly(riser):
    gateway = riser(REPLAY_CONFIG)
    (gateway.folder / "rec.csv").write_text(as_csv())
    done = subprocess.run(
        f"{BINARY} replay rec.csv --json | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        cwd=gateway.folder,
        env=gateway.env,
        timeout=20,
    )
    assert "panicked" not in done.stderr and json.loads(done.stdout)


def test_a_second_gateway_in_the_same_data_dir_is_refused(main_job):
    gateway = main_job()
    done = gateway.cli("run", "--config", gateway.config, timeout=20)
    assert done.returncode in (69, 73, 78) and str(gateway.data_dir) in done.stderr
    assert gateway.process.poll() is None

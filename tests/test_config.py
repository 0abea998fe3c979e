"""gateway.toml: every problem at once and where it stands, the environment's say, and reload while running."""

import json
import pathlib
import re
import socket

import pytest

from gateway import config
from peers import HOST, free_port, wait_until
from readings import assert_summary, now_millis, window_ahead

ROOT = pathlib.Path(__file__).parent.parent
FINDING = re.compile(
    r"^(?P<file>[^:]+):(?P<line>\d+):(?P<column>\d+): (?P<level>error|warning): (?P<key>[^ ]+): (?P<text>.+)$"
)


def check(riser, text, *arguments, env=None):
    """`riser check` on this text; exit code, findings, whole output."""
    gateway = riser(text, env=env)
    done = gateway.cli("check", "--config", "gateway.toml", *arguments)
    findings = [match.groupdict() for line in done.stdout.splitlines() if (match := FINDING.match(line))]
    return done.returncode, findings, done.stdout


GOOD = """[gateway]
id = "hq-north"
data_dir = "data"

[adapters.mqtt.floor]
url = "mqtt://127.0.0.1:1"
topics = [ { filter = "sensors/{device}/telemetry", format = "json" } ]
"""


def test_a_misspelt_key_is_reported_to_the_letter(riser):
    code, findings, output = check(riser, GOOD.replace("topics", "  topcs", 1))
    assert code == 78
    assert (
        output.splitlines()[0]
        == 'gateway.toml:7:3: error: adapters.mqtt.floor.topcs: unknown key; did you mean "topics"?'
    )
    assert len([f for f in findings if f["level"] == "error"]) <= 2  # the topics are missing as well


PROBLEMS = """[gateway]
id = "hq north!"                        #! gateway.id
[upstream]
url = "mqtt://127.0.0.1:1"
username = "hq-north"
password_file = "not-there"             #! upstream.password_file
compresion = "zlib"                     #! upstream.compresion
[upstream.outbox]
max_size = "lots"                       #! upstream.outbox.max_size
when_full = "panic"                     #! upstream.outbox.when_full
[broker]
anonymous = true
listen = "127.0.0.1:{port}"
websocket = "127.0.0.1:{port}"          #! broker.websocket
[adapters.mqtt.floor]
topics = [
  { filter = "a/#/b", format = "json" },          #! adapters.mqtt.floor.topics
  { filter = "c/{device}", format = "jason" },    #! adapters.mqtt.floor.topics
]
[adapters.mqtt.lns]
url = "http://lns.example.com"          #! adapters.mqtt.lns.url
topics = []
[aggregate]
window = "5 minutes"                    #! aggregate.window
by_zone = 3                             #! aggregate.by_zone
[devices.one]
address = "AA:BB:CC:DD:EE:FF"
[devices.two]
address = "aa:bb:cc:dd:ee:ff"           #! devices.two
[alerts.empty]                          #! alerts.empty
metric = "temperature"
[alerts.lost]
metric = "temperature"
above = 40.0
actions = [ { adapter = "mqtt.nowhere", topic = "a/b", payload = "" } ] #! alerts.lost.actions
"""


def test_every_problem_is_reported_at_once_with_its_line(riser):
    text = PROBLEMS.replace("{port}", str(free_port()))
    code, findings, output = check(riser, text)
    assert code == 78
    reported = [(int(f["line"]), f["key"]) for f in findings if f["level"] == "error"]
    wanted = [(n, line.split("#! ")[1]) for n, line in enumerate(text.splitlines(), 1) if "#! " in line]
    missing = [(n, key) for n, key in wanted if not any(at == n and name.startswith(key) for at, name in reported)]
    assert not missing, f"{missing} are not among\n{output}"
    assert len(reported) <= len(wanted) + 1, f"reported too much:\n{output}"
    assert 'did you mean "compression"?' in output
    assert "drop_oldest" in output and "drop_newest" in output, "what is allowed"
    assert 'did you mean "json"?' in output


@pytest.mark.parametrize(
    "text", ["[gateway\n", "[gateway]\nid = \n", '[gateway]\nid = "a"\nid = "b"\n', "[gateway]\nid = 'a'\n[gateway]\n"]
)
def test_what_is_no_toml_is_reported_with_its_line(riser, text):
    code, _, output = check(riser, text)
    assert code == 78
    assert re.match(r"gateway\.toml:[1-4]:\d+: error: ", output), output


def test_a_good_file_says_so_by_its_exit_code(riser, floor):
    code, findings, output = check(riser, GOOD.replace("127.0.0.1:1", f"127.0.0.1:{floor.port}"))
    assert (code, findings) == (0, []), output


def test_what_the_machine_lacks_is_a_warning_unless_denied(riser):
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        text = GOOD + f'[broker]\nlisten = "{HOST}:{taken.getsockname()[1]}"\nanonymous = true\n'
        code, findings, output = check(riser, text)
        assert code == 0, output
        assert {f["level"] for f in findings} == {"warning"}
        assert any(f["key"] == "broker.listen" and int(f["line"]) == 9 for f in findings), output
        assert any(f["key"] == "adapters.mqtt.floor.url" for f in findings), "a broker out of reach"
        assert check(riser, text, "--deny-warnings")[0] == 78


def test_secrets_are_never_reported(riser):
    text = GOOD.replace("topics", 'username = "u"\npassword = "hunter2"\ntopcs = 1\ntopics')
    _, _, output = check(riser, text)
    assert "topcs" in output and "hunter2" not in output
    _, _, output = check(riser, GOOD.replace("topics", 'password = ["hunter2"]\ntopics'))
    assert "hunter2" not in output


def test_the_environment_overrides_one_key(riser, floor):
    good = GOOD.replace("127.0.0.1:1", f"127.0.0.1:{floor.port}")
    code, _, output = check(riser, good, env={"RISER__AGGREGATE__WINDOW": "soon"})
    assert code == 78 and "RISER__AGGREGATE__WINDOW" in output and "aggregate.window" in output
    assert check(riser, good, "--no-environment", env={"RISER__AGGREGATE__WINDOW": "soon"})[0] == 0
    bad = good.replace(f"127.0.0.1:{floor.port}", "127.0.0.1:no-port")
    assert check(riser, bad)[0] == 78
    assert check(riser, bad, env={"RISER__ADAPTERS__MQTT__FLOOR__URL": f"mqtt://127.0.0.1:{floor.port}"})[0] == 0
    code, _, output = check(riser, good, env={"RISER__AGGREGATE__WINDOWS": "1s"})
    assert code == 78 and 'did you mean "window"?' in output


def test_an_override_reaches_the_running_gateway(cloud, floor, sensor, received, riser):
    text = config(cloud=cloud.port, floor=floor.port, aggregate='window = "5m"')
    riser(
        text,
        env={
            "RISER__AGGREGATE__WINDOW": "1s",
            "RISER__AGGREGATE__LATENESS": "300ms",
            "RISER__GATEWAY__PREFIX": "tower",
        },
    ).start()
    received.wait_online()
    sensor.send("sensors/lounge/telemetry", {"temperature": 21.0})
    received.wait_for(lambda: received.on("tower/sensors/lounge/aggregated"), what="an aggregate under the other prefix")


def test_the_file_is_found_by_flag_then_variable_then_folder(riser, tmp_path):
    gateway = riser(GOOD.replace("topics", "in_folder"))
    other = tmp_path / "other.toml"
    other.write_text(GOOD.replace("topics", "in_variable"))
    third = tmp_path / "third.toml"
    third.write_text(GOOD.replace("topics", "in_flag"))
    assert "in_folder" in gateway.cli("check", check=78).stdout
    gateway.env["RISER_CONFIG"] = str(other)
    assert "in_variable" in gateway.cli("check", check=78).stdout
    assert "in_flag" in gateway.cli("check", "--config", third, check=78).stdout
    assert gateway.cli("check", "--config", tmp_path / "none.toml").returncode in (66, 78)


def test_run_refuses_a_bad_file_before_anything_starts(riser):
    port = free_port()
    gateway = riser(GOOD.replace("topics", "topcs") + f'[broker]\nlisten = "{HOST}:{port}"\nanonymous = true\n')
    done = gateway.cli("run", "--config", "gateway.toml", check=78)
    assert (
        'gateway.toml:7:1: error: adapters.mqtt.floor.topcs: unknown key; did you mean "topics"?'
        in done.stdout + done.stderr
    )
    assert not gateway.data_dir.exists()


def test_reload_takes_a_new_filter_and_leaves_open_windows_alone(main_job, floor, sensor, received):
    gateway = main_job(topics=[("sensors/{device}/telemetry", "json")], aggregate='window = "4s"\nlateness = "300ms"')
    start = window_ahead(4)
    sensor.send("sensors/lounge/telemetry", {"temperature": 20.0, "ts": start})
    gateway.wait_ledger(open=1)
    gateway.rewrite(
        '{ filter = "sensors/{device}/telemetry", format = "json" }',
        '{ filter = "sensors/{device}/telemetry", format = "json" },\n  { filter = "new/{device}", format = "json" }',
    )
    gateway.config.write_text(gateway.config.read_text() + '\n[alerts.hot]\nmetric = "temperature"\nabove = 40.0\n')
    gateway.reload()
    floor.wait_log("new/+")
    sensor.send("new/lounge", {"temperature": 41.0, "ts": start + 100})
    sensor.send("sensors/lounge/telemetry", {"temperature": 22.0, "ts": start + 200})
    received.wait_for(lambda: received.alerts("lounge"), what="the new rule's alert")
    received.wait_count("lounge", "temperature", 3)
    (aggregate,) = received.aggregates("lounge")
    assert_summary(aggregate["metrics"]["temperature"], [20.0, 41.0, 22.0])
    assert received.statuses() == ["online"], "a reload is no restart"
    gateway.wait_ledger(published=3)


def test_reload_keeps_the_queue(main_job, cloud, sensor, received):
    gateway = main_job()
    cloud.stop()
    batch = now_millis() // 1000 * 1000 - 600_000
    sensor.send_all(("sensors/lounge/telemetry", {"temperature": 21.0, "ts": batch + s * 1000}) for s in range(100))
    wait_until(lambda: gateway.audit()["queued"] >= 90, what="a queue")
    gateway.rewrite('lateness = "300ms"', 'lateness = "200ms"')
    gateway.reload()
    gateway.wait_log("the new configuration is in force")
    cloud.start()
    received.wait_count("lounge", "temperature", 100, timeout=30)


def test_a_bad_new_file_keeps_the_old_one_running_and_says_so(main_job, sensor, received):
    gateway = main_job()
    gateway.rewrite("[aggregate]", "[agregate]")
    gateway.reload()
    gateway.wait_log('did you mean "aggregate"?')
    start = window_ahead()
    sensor.send("sensors/lounge/telemetry", {"temperature": 21.0, "ts": start})
    received.wait_count("lounge", "temperature", 1)
    assert received.latest("lounge")[0]["window"]["end"] and gateway.process.poll() is None
    gateway.rewrite("[agregate]", "[aggregate]")
    gateway.rewrite('window = "1s"', 'window = "2s"')
    gateway.reload()

    def two_seconds():
        sensor.send("sensors/later/telemetry", {"temperature": 21.0})
        return any(a["id"].endswith("/2000") for a in received.aggregates("later"))

    wait_until(two_seconds, 20, "windows of the mended file")


def test_the_shipped_example_is_what_the_binary_prints_and_is_good(riser):
    gateway = riser(GOOD)
    example = gateway.cli("config", "example", check=0).stdout
    assert example == (ROOT / "gateway.toml").read_text()
    code, findings, output = check(riser, example)
    assert code == 0 and not [f for f in findings if f["level"] == "error"], output


def test_reference_and_schema_are_generated(riser):
    gateway = riser(GOOD)
    reference = gateway.cli("config", "reference", check=0).stdout
    assert reference == (ROOT / "docs/config.md").read_text()
    for key in ("correct_for", "max_in_flight", "clear_by", "unknown_devices", "percentiles"):
        assert key in reference
    schema = json.loads(gateway.cli("config", "schema", check=0).stdout)
    assert "$schema" in schema and "aggregate" in schema["properties"]

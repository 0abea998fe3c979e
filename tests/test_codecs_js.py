"""Codecs in JavaScript beside the pipeline: only a script's own devices wait for it."""

import json

import pytest

from gateway import config
from peers import HOST, free_port, wait_until
from readings import assert_summary

# Looks for a text in a long one, which the engine does in one go: it cannot be stopped within, and takes hours.
BLOCKS = """
function decodeUplink(input) {
  if (input.bytes[0] === 33) 'a'.repeat(2000000).indexOf('a'.repeat(1000000) + 'b');
  return { data: { TempC_SHT: input.bytes[0], order: input.bytes[1] } };
}
"""

LOOPS = """
function decodeUplink(input) {
  if (input.bytes[0] === 33) while (true) {}
  return { data: { TempC_SHT: input.bytes[0] } };
}
"""

TABLE = 'fields = [{ name = "temperature", type = "i16be", scale = 0.1 }]\n'

DEVICES = """
[devices.blocking]
codec = "codecs/blocks.js"
[devices.beside]
codec = "codecs/blocks.js"
[devices.looping]
codec = "codecs/loops.js"
[devices.good]
codec = "codecs/good.js"
[devices.renamed]
codec = "codecs/good.js"
rename = { TempC_SHT = "supply", "air.humidity" = "damp", BatV = "battery_voltage" }
calibrate = { supply = { scale = 1.0, offset = -0.5 } }
[devices.table]
codec = "codecs/table.toml"
"""

GOOD = """
function decodeUplink(input) {
  return { data: { TempC_SHT: input.bytes[0], air: { humidity: 40 }, BatV: 3.6 } };
}
"""

TOPICS = (("raw/{device}", "value"), ("values/{device}/{metric}", "value"))


class Setup:
    """A gateway with an embedded broker: each device has a connection of its own."""

    def __init__(self, gateway, port, received, publisher):
        self.gateway, self.port, self.received = gateway, port, received
        self._publisher = publisher
        self.codecs = gateway.folder / "codecs"
        self.codecs.mkdir()
        for name, text in {"blocks.js": BLOCKS, "loops.js": LOOPS, "good.js": GOOD, "table.toml": TABLE}.items():
            (self.codecs / name).write_text(text)

    def start(self):
        self.gateway.start()
        self.received.wait_online()
        return self

    def sensor(self):
        return self._publisher(self.port)


def begin(sensor, device, payload):
    """Sends and does not wait for the acknowledgement."""
    return sensor.client.publish(f"raw/{device}", payload, qos=1)


@pytest.fixture
def setup(cloud, received, riser, publisher):
    port = free_port()
    broker = f'[broker]\nlisten = "{HOST}:{port}"\nanonymous = true\n'
    gateway = riser(config(cloud=cloud.port, topics=TOPICS, more=broker + DEVICES))
    return Setup(gateway, port, received, publisher).start()


def test_a_script_that_blocks_holds_up_no_one_else(setup):
    blocked, steady, scripted = setup.sensor(), setup.sensor(), setup.sensor()
    blocked_message = begin(blocked, "blocking", b"!0")
    for i in range(20):
        steady.send("values/steady/temperature", str(20 + i))
        scripted.send("raw/good", bytes([20 + i]))
    assert not blocked_message.is_published(), "the script was still at it while forty messages went by"
    setup.received.wait_count("steady", "temperature", 20)
    setup.received.wait_count("good", "temperature", 20)

    blocked_message.wait_for_publish(15)
    assert blocked_message.is_published(), "it is acknowledged once it is counted"
    setup.gateway.wait_log("blocks.js")
    assert "did not return within 5 s" in setup.gateway.log()
    setup.gateway.wait_ledger(codec_stuck=1)

    # As long as its script has not come back, its devices are refused at once.
    setup.sensor().send("raw/beside", b"\x15\x00")
    setup.gateway.wait_ledger(codec_stuck=2)
    scripted.send("raw/good", bytes([60]))
    setup.received.wait_count("good", "temperature", 21)
    assert setup.gateway.stop() == 0, "a script that has not come back does not hold up the end"


def test_a_script_that_blocks_is_asked_again_once_its_file_is_mended(setup):
    sensor = setup.sensor()
    sensor.send("raw/blocking", b"!0")
    setup.gateway.wait_ledger(codec_stuck=1)
    (setup.codecs / "blocks.js").write_text(BLOCKS.replace("'a'.repeat", "'b'.repeat"))
    setup.gateway.reload()
    setup.gateway.wait_log("the new configuration is in force")
    sensor.send("raw/blocking", b"!0")
    setup.received.wait_count("blocking", "temperature", 1)
    setup.gateway.wait_ledger(codec_stuck=1)


def test_messages_of_a_device_stay_in_order_and_each_is_acknowledged_once_it_is_counted(setup):
    sensor = setup.sensor()
    # The first loops until it is stopped; the others wait for it.
    looping = [begin(sensor, "looping", payload) for payload in (b"!", b"\x01", b"\x02", b"\x03")]
    for message in looping:
        message.wait_for_publish(15)
        assert message.is_published()
    setup.gateway.wait_ledger(bad_payload=1)
    setup.received.wait_count("looping", "temperature", 3)
    sensor.send_all([("raw/beside", bytes([20, i])) for i in range(200)])
    setup.received.wait_count("beside", "order", 200)
    assert setup.gateway.audit()["dropped"] == {"bad_payload": 1}


def test_what_is_under_way_at_the_end_is_not_lost(setup):
    sensor = setup.sensor()
    messages = [begin(sensor, "beside", bytes([20, i])) for i in range(200)]
    assert setup.gateway.stop() == 0
    taken = setup.gateway.audit()["in"]
    acknowledged = sum(message.is_published() for message in messages)
    assert taken >= 2 * acknowledged, "two metrics each: what was acknowledged is there"


def test_a_rename_may_say_the_vendors_spelling(setup):
    setup.sensor().send("raw/renamed", b"\x15")
    for metric, values in (("supply", [20.5]), ("damp", [40]), ("battery_voltage", [3.6])):
        setup.received.wait_count("renamed", metric, 1)
        body = next(b for b in setup.received.latest("renamed") if metric in b["metrics"])
        assert_summary(body["metrics"][metric], values)
    assert {name for body in setup.received.latest("renamed") for name in body["metrics"]} == {
        "supply",
        "damp",
        "battery_voltage",
    }


def test_a_reload_keeps_the_old_table_where_the_new_one_is_broken(setup):
    sensor, file = setup.sensor(), setup.codecs / "table.toml"
    sensor.send("raw/table", b"\x00\xd7")
    setup.received.wait_count("table", "temperature", 1)
    file.write_text(TABLE + 'fields2 = []\n')
    setup.gateway.reload()
    setup.gateway.wait_log("the old one stays in force")
    assert "table.toml:2:1" in setup.gateway.log()
    sensor.send("raw/table", b"\x00\xd7")
    setup.received.wait_count("table", "temperature", 2)
    file.write_text(TABLE.replace("0.1", "1"))
    setup.gateway.reload()
    setup.gateway.wait_log("the new configuration is in force")
    sensor.send("raw/table", b"\x00\xd7")
    setup.received.wait_count("table", "temperature", 3)
    assert max(b["metrics"]["temperature"]["max"] for b in setup.received.latest("table")) == 215


def test_a_file_whose_own_statements_do_not_end_is_a_finding_and_stops_no_reload(setup):
    (setup.codecs / "good.js").write_text("'a'.repeat(2000000).indexOf('a'.repeat(1000000) + 'b');" + GOOD)
    done = setup.gateway.cli("check", "--config", setup.gateway.config, check=78)
    assert "good.js: the codec did not return within 5 s" in done.stdout
    setup.gateway.reload()
    setup.gateway.wait_log("the old one stays in force")
    setup.sensor().send("raw/good", b"\x15")
    setup.received.wait_count("good", "temperature", 1)


@pytest.fixture
def bench(riser):
    """A gateway's folder with codecs, for `riser decode`."""
    gateway = riser("")
    for name, text in {"blocks.js": BLOCKS, "loops.js": LOOPS, "good.js": GOOD, "table.toml": TABLE}.items():
        (gateway.folder / name).write_text(text)
    return gateway


def test_decode_shows_what_a_codec_file_makes_of_a_payload(bench):
    def decode(codec, payload):
        return json.loads(bench.cli("decode", "--codec", codec, payload.hex(), check=0).stdout)

    out = decode("good.js", b"\x15")
    assert out["data"] == {"TempC_SHT": 21, "air": {"humidity": 40}, "BatV": 3.6}
    assert out["metrics"] == {"temperature": 21, "humidity": 40, "voltage": 3.6}
    assert decode("table.toml", b"\x00\xd7")["metrics"] == {"temperature": 21.5}
    assert "the payload has 1 bytes" in decode("table.toml", b"\x00")["errors"][0]
    assert decode("loops.js", b"!")["errors"] == ["the codec was stopped after 200 ms"]
    assert decode("blocks.js", b"!")["errors"] == ["the codec did not return within 5 s"]


def test_decode_says_where_a_codec_file_is_broken_or_that_there_is_none(bench):
    (bench.folder / "broken.js").write_text("function decodeUplink(input) {\n  return {;\n}\n")
    (bench.folder / "broken.toml").write_text('fields = [\n  { name = "t", typ = "u8" },\n]\n')
    for codec, code, words in (
        ("broken.js", 78, "broken.js:2:"),
        ("broken.toml", 78, "broken.toml:2:"),
        ("missing.js", 66, "missing.js"),
        ("missing.toml", 66, "missing.toml"),
        ("missing", 64, "there is no codec `missing`"),
    ):
        done = bench.cli("decode", "--codec", codec, "00", check=code)
        assert words in done.stderr and done.stdout == "", done.stderr


def test_rows_of_a_batch_stand_alone(bench):
    counts = "Array.prototype.seen = (Array.prototype.seen || 0) + 1;"
    text = f"function decodeUplink(input) {{ {counts} return {{ data: {{ seen: [].seen }} }}; }}"
    (bench.folder / "counts.js").write_text(text)
    rows = [{"codec": "counts.js", "bytes": "00"}] * 3
    # Five strikes, of which the gateway would have passed over the last two.
    rows += [{"codec": "loops.js", "bytes": "21"}] * 5 + [{"codec": "loops.js", "bytes": "15"}]
    rows += [{"codec": "blocks.js", "bytes": "2100"}, {"codec": "blocks.js", "bytes": "1500"}]
    done = bench.cli("decode", "--batch", input="".join(json.dumps(row) + "\n" for row in rows), check=0)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["metrics"] for answer in answers[:3]] == [{"seen": 1}] * 3
    assert [answer["errors"] for answer in answers[3:8]] == [["the codec was stopped after 200 ms"]] * 5
    assert answers[8]["metrics"] == {"temperature": 21}
    assert answers[9]["errors"] == ["the codec did not return within 5 s"]
    assert answers[10]["metrics"] == {"temperature": 21, "order": 0}

"""Codecs in JavaScript beside the pipeline: whatever a script does, nobody but its devices waits for it."""

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


class House:
    """A gateway with an embedded broker: each device has a connection of its own."""

    def __init__(self, gateway, port, heard, publisher):
        self.gateway, self.port, self.heard = gateway, port, heard
        self._publisher = publisher
        self.codecs = gateway.folder / "codecs"
        self.codecs.mkdir()
        for name, text in {"blocks.js": BLOCKS, "loops.js": LOOPS, "good.js": GOOD, "table.toml": TABLE}.items():
            (self.codecs / name).write_text(text)

    def start(self):
        self.gateway.start()
        self.heard.wait_online()
        return self

    def sensor(self):
        return self._publisher(self.port)


def begin(sensor, device, payload):
    """Sends and does not wait for the acknowledgement."""
    return sensor.client.publish(f"raw/{device}", payload, qos=1)


@pytest.fixture
def house(cloud, heard, riser, publisher):
    port = free_port()
    broker = f'[broker]\nlisten = "{HOST}:{port}"\nanonymous = true\n'
    gateway = riser(config(cloud=cloud.port, topics=TOPICS, more=broker + DEVICES))
    return House(gateway, port, heard, publisher).start()


def test_a_script_that_blocks_holds_up_nobody_else(house):
    blocked, steady, scripted = house.sensor(), house.sensor(), house.sensor()
    blocked_message = begin(blocked, "blocking", b"!0")
    for i in range(20):
        steady.send("values/steady/temperature", str(20 + i))
        scripted.send("raw/good", bytes([20 + i]))
    assert not blocked_message.is_published(), "the script was still at it while forty messages went by"
    house.heard.wait_count("steady", "temperature", 20)
    house.heard.wait_count("good", "temperature", 20)

    blocked_message.wait_for_publish(15)
    assert blocked_message.is_published(), "it is acknowledged once it is counted"
    house.gateway.wait_log("blocks.js")
    assert "did not come back within 5 s" in house.gateway.log()
    house.gateway.wait_ledger(codec_stuck=1)

    # As long as its script has not come back, its devices are refused at once.
    house.sensor().send("raw/beside", b"\x15\x00")
    house.gateway.wait_ledger(codec_stuck=2)
    scripted.send("raw/good", bytes([60]))
    house.heard.wait_count("good", "temperature", 21)
    assert house.gateway.stop() == 0, "a script that has not come back does not hold up the end"

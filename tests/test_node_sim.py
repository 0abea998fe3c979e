"""Nodes of our own firmware (node-core, as node-sim on Linux) against the real gateway: MQTT and CoAP, sealed, power cuts."""

import json

import pytest

from gateway import config
from node_sim import Node
from peers import HOST, Publisher, free_port, wait_until

NODES = ('{ filter = "nodes/{device}", format = "node" }',)
# What is acknowledged is on the disk.
SYNC_FIRST = 'sync_every = "0s"'
KEY = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
# A node that lives fast is often a little ahead of the gateway's clock with what it sends late; windows of one second suit it not.
WINDOWS = 'window = "10s"\nlateness = "1s"'


@pytest.fixture
def node(started, tmp_path):
    """A factory: a node that sends to this address."""
    count = 0

    def make(gateway, *arguments):
        nonlocal count
        count += 1
        return started.keep(Node(tmp_path / f"node-{count}", gateway, *arguments))

    return make


@pytest.fixture
def gateway(riser):
    """A factory: a running gateway with this port for CoAP, or topics of this broker."""

    def run(*, floor=None, coap=None, more=""):
        if coap:
            more += f'\n[adapters.coap.lan]\nlisten = "{HOST}:{coap}"\n'
        text = config(floor=floor, topics=NODES, aggregate=WINDOWS, journal=SYNC_FIRST, more=more)
        if floor is None:
            text = text.replace("[adapters.mqtt.floor]\n\ntopics = [\n" + NODES[0] + "\n]", "")
        return riser(text).start()

    return run


def readings(gateway):
    """How many readings were taken once, and how many were dropped, by reason."""
    ledger = gateway.audit()
    # There is no cloud in these tests.
    dropped = {reason: count for reason, count in ledger["dropped"].items() if reason != "no_upstream"}
    return ledger["in"] - sum(dropped.values()), dropped


def wait_readings(gateway, count, timeout=30.0):
    wait_until(lambda: readings(gateway)[0] >= count, timeout, lambda: f"{count} readings: {gateway.audit()}")


def test_a_node_sends_by_mqtt_and_says_which_image_it_runs(gateway, floor, node):
    running = gateway(floor=floor.port)
    running.wait_log("mqtt.floor")
    assert "no node has said its version yet" in running.cli("firmware", "--config", running.config, check=0).stdout
    attic = node(f"mqtt://{HOST}:{floor.port}/nodes/attic").life()
    # Temperature, humidity, battery and a count.
    wait_readings(running, 5 * 4)
    listed = running.cli("firmware", "--config", running.config, "--json", check=0).stdout.splitlines()
    assert [(row["device"], row["image"]) for row in map(json.loads, listed)] == [("attic", "node-sim")]
    assert not attic.tries("refused")
    assert readings(running)[1] == {}


def test_a_node_sends_by_coap_and_loses_nothing_while_the_gateway_is_killed(gateway, node):
    port = free_port()
    running = gateway(coap=port)
    running.wait_log(f"listens on {HOST}:{port}")
    attic = node(f"coap://{HOST}:{port}/sensors/attic").life()
    attic.wait_tries(5, "acknowledged")
    running.kill()
    before = len(attic.tries("not delivered"))
    attic.wait_tries(before + 1, "not delivered", timeout=60)
    running.start()
    attic.wait_tries(40, "acknowledged", timeout=60)
    attic.kill()
    delivered = attic.tries("acknowledged")
    # All but the image have four readings each; a batch has several records.
    wait_readings(running, 4 * 39, timeout=10)
    taken, dropped = readings(running)
    assert set(dropped) <= {"duplicate", "late"}, dropped
    assert taken % 4 == 0 and len(delivered) == len(set(delivered))


def test_a_node_that_loses_power_while_the_gateway_is_away_sends_all_it_had_stored(gateway, floor, node):
    attic = node(f"mqtt://{HOST}:{floor.port}/nodes/attic", "--flash", "attic.flash").life()
    # The broker is there, but nobody has subscribed: it would keep nothing.
    attic.wait_tries(3, "not delivered", timeout=30)
    floor.kill()
    for _ in range(3):
        attic.kill()
        attic.life()
        # One measurement at each start is stored before the try.
        tries = len(attic.tries("not delivered"))
        attic.wait_tries(tries + 1, "not delivered", timeout=30)
    attic.kill()
    assert not attic.tries("acknowledged")
    floor.start()
    running = gateway(floor=floor.port)
    running.wait_log("mqtt.floor")
    wait_until(lambda: "connected" in running.log(), what="the gateway at the floor's broker")
    # At least one report of each life.
    stored = 4
    attic.life()
    attic.wait_tries(stored, "acknowledged", timeout=60)
    wait_readings(running, 4 * stored)
    attic.kill()
    delivered = len(attic.numbers(attic.tries("acknowledged")))
    tried = len(attic.numbers(attic.tries()))
    taken, dropped = readings(running)
    # The node may have ended before it told of its last try.
    assert 4 * delivered <= taken <= 4 * (tried + 1)
    assert set(dropped) <= {"duplicate"}


def test_a_sealed_frame_counts_once_and_only_from_its_device(gateway, floor, node, tmp_path):
    key = tmp_path / "attic.key"
    key.write_text(KEY + "\n")
    key.chmod(0o600)
    running = gateway(floor=floor.port, more=f'[devices.attic]\nnode_key_file = "{key}"\n')
    running.wait_log("mqtt.floor")
    arguments = ("--flash", "attic.flash", "--key-file", key, "--node-id", "70b3d57ed0000001")
    attic = node(f"mqtt://{HOST}:{floor.port}/nodes/attic", *arguments).life()
    wait_readings(running, 4 * 4)
    attic.kill()
    taken, dropped = readings(running)
    assert dropped == {}
    frames = attic.tries("acknowledged")
    assert all(frame.startswith("0370b3d57ed0000001") for frame in frames)

    stranger = Publisher(floor.port)
    stranger.send("nodes/attic", bytes.fromhex(frames[0]))
    running.wait_ledger(replay=4)
    running.kill()
    running.start()
    running.wait_log("connected")
    for frame in (frames[0], frames[2][:-2] + "00", "535190"):
        stranger.send("nodes/attic", bytes.fromhex(frame))
    stranger.close()
    running.wait_ledger(replay=8, bad_mic=1, bad_payload=1)
    assert readings(running)[0] == taken

    decoded = running.cli("decode", "--codec", "node", "--key", KEY, frames[0], check=0)
    assert set(json.loads(decoded.stdout)["metrics"]) == {"temperature", "humidity", "battery", "count"}
    refused = running.cli("decode", "--codec", "node", "--key", KEY[::-1], frames[0], check=0)
    assert "sealed with another key" in refused.stdout


def test_with_a_new_key_a_node_is_heard_again_and_its_old_frames_are_not(gateway, floor, node, tmp_path):
    key = tmp_path / "attic.key"
    key.write_text(KEY)
    key.chmod(0o600)
    running = gateway(floor=floor.port, more=f'[devices.attic]\nnode_key_file = "{key}"\n')
    running.wait_log("mqtt.floor")
    arguments = ("--flash", "attic.flash", "--key-file", key, "--node-id", "70b3d57ed0000001")
    old = node(f"mqtt://{HOST}:{floor.port}/nodes/attic", *arguments).life()
    wait_readings(running, 4 * 4)
    old.kill()
    key.write_text(KEY[::-1])
    running.reload()
    running.wait_log("the new configuration is in force")
    taken = readings(running)[0]
    # Another folder: its flash is empty.
    new = node(f"mqtt://{HOST}:{floor.port}/nodes/attic", *arguments).life()
    wait_readings(running, taken + 4 * 4)
    new.kill()
    stranger = Publisher(floor.port)
    stranger.send("nodes/attic", bytes.fromhex(old.tries("acknowledged")[0]))
    stranger.close()
    running.wait_ledger(bad_mic=1)
    assert set(readings(running)[1]) == {"bad_mic"}


def test_a_node_sends_to_the_embedded_broker(riser, node):
    port = free_port()
    broker = f'[broker]\nlisten = "{HOST}:{port}"\nanonymous = true\n'
    running = riser(config(topics=NODES, aggregate=WINDOWS, more=broker)).start()
    running.wait_log(f"{HOST}:{port}")
    attic = node(f"mqtt://{HOST}:{port}/nodes/attic").life()
    wait_readings(running, 3 * 4)
    assert attic.tries("acknowledged")


def test_a_command_reaches_a_node_through_its_broker(gateway, floor, node):
    running = gateway(floor=floor.port)
    sender = Publisher(floor.port)
    # A retained command would come at each delivery, and the node would restart for ever: it is none.
    sender.send("nodes/attic/command", bytes.fromhex("0403"), retain=True)
    attic = node(f"mqtt://{HOST}:{floor.port}/nodes/attic").life()
    attic.wait_tries(5, "acknowledged")
    # A report only when the count has changed by a million, and then a restart.
    sender.send("nodes/attic/command", bytes.fromhex("040111000f4240"))
    sender.send("nodes/attic/command", bytes.fromhex("0403"))
    sender.close()
    wait_until(lambda: attic.process.poll() == 75, 30, "the node's restart")
    running.wait_log("mqtt.floor")


def test_a_key_that_is_none_or_stands_twice_is_found_by_check(riser, tmp_path):
    short, good = tmp_path / "short.key", tmp_path / "good.key"
    short.write_text("0f0f\n")
    good.write_text(KEY + "\n")
    for key in (short, good):
        key.chmod(0o600)
    more = "".join(
        f'[devices.{name}]\nnode_key_file = "{file}"\n{codec}\n'
        for name, file, codec in (
            ("a", short, ""),
            ("b", good, ""),
            ("c", good, ""),
            ("d", tmp_path / "none.key", ""),
            ("e", tmp_path / "e.key", 'codec = "json"'),
        )
    )
    (tmp_path / "e.key").write_text("ff" * 32)
    gateway = riser(config(floor=1883, topics=NODES, more=more))
    checked = gateway.cli("check", "--config", gateway.config, check=78)
    found = checked.stdout + checked.stderr
    for text in (
        "devices.a.node_key_file: the key must be 64 hexadecimal digits",
        "devices.c.node_key_file: is the key of",
        "devices.d.node_key_file",
        'devices.e.node_key_file: goes with `codec = "node"` only',
    ):
        assert text in found, f"{text}\n{found}"
    assert KEY not in found and "0f0f" not in found


DEV_EUI, JOIN_EUI = "70b3d57ed0000007", "70b3d57ed0000001"


def test_a_node_joins_by_lorawan_and_takes_a_command_that_an_alert_sends(riser, node, tmp_path):
    port = free_port()
    key = tmp_path / "attic.app-key"
    key.write_text(KEY[:32] + "\n")
    key.chmod(0o600)
    more = f"""
[adapters.lorawan.roof]
listen = "{HOST}:{port}"
region = "EU868"

[devices.attic]
codec = "node"
lorawan = {{ dev_eui = "{DEV_EUI}", join_eui = "{JOIN_EUI}", app_key_file = "{key}" }}

[alerts.restart]
metric = "count"
above = 2
actions = [{{ adapter = "lorawan.roof", device = "attic", port = 2, payload = "hex:0403" }}]
"""
    text = config(topics=NODES, aggregate=WINDOWS, journal=SYNC_FIRST, more=more)
    running = riser(text.replace("[adapters.mqtt.floor]\n\ntopics = [\n" + NODES[0] + "\n]", "")).start()
    running.wait_log(f"listens on {HOST}:{port}")
    keys = ("--dev-eui", DEV_EUI, "--join-eui", JOIN_EUI, "--app-key-file", key)
    attic = node(f"lorawan://{HOST}:{port}", *keys).life()
    # The join and each frame take their receive windows of real seconds.
    wait_until(lambda: attic.process.poll() == 75, 60, lambda: f"the node's restart: {running.log()[-2000:]}")
    assert attic.tries("sent") and not attic.tries("refused")
    listed = running.cli("firmware", "--config", running.config, "--json", check=0).stdout.splitlines()
    assert [json.loads(row)["device"] for row in listed] == ["attic"]

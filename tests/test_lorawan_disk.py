"""A LoRaWAN device gets no answer before its session is on disk; the gateway copes with a damaged disk."""

import pytest

import faults
from gateway import Riser, config
from lorawan import ABP, APP_KEY, Forwarder, Node, abp_table, adapter_table, otaa_table
from peers import free_port, wait_until

ROOM, HALL = "a84041ffff000001", "a84041ffff000002"
FRAME = bytes.fromhex("01010863021194")
# 45 Cel.
HOT = bytes.fromhex("01011194021194")
ALERT = """[alerts.too-hot]
metric = "temperature"
above = 40.0
actions = [ { adapter = "lorawan.roof", device = "lounge", port = 10, payload = "hex:0aff" } ]
"""
# Uplinks that may be under way at once.
UNDER_WAY = 1024


@pytest.fixture
def setup(started, tmp_path, cloud, received, faults_library):
    """A gateway on a disk that can be broken, and a forwarder."""
    port = free_port()
    tables = adapter_table(port) + abp_table("lounge", ROOM) + otaa_table("hall", HALL) + ALERT
    gateway = started.keep(Riser(tmp_path / "gateway", config(cloud=cloud.port, floor=cloud.port, more=tables)))
    gateway.disk = faults.Disk(faults_library, gateway.data_dir, gateway.folder)
    gateway.env |= gateway.disk.env
    gateway.start()
    gateway.wait_log(f"lorawan: listens on 127.0.0.1:{port}")
    received.wait_online()
    gateway.forwarder = started.keep(Forwarder(port))
    gateway.forwarder.pull()
    return gateway


def test_no_join_accept_leaves_before_its_session_is_on_disk(setup):
    node = Node(HALL, app_key=APP_KEY)
    setup.disk.hang("lorawan.db")
    setup.forwarder.push(node.join_request())
    wait_until(lambda: setup.disk.waiting >= 1, what="a sync that hangs")
    assert setup.forwarder.hears_nothing(1)
    setup.disk.heal()
    node.open_accept(setup.forwarder.downlink()[0])


def test_no_acknowledgement_leaves_before_the_counter_is_on_disk(setup):
    node = Node(ROOM, **ABP)
    setup.disk.hang("lorawan.db")
    setup.forwarder.push(node.uplink(FRAME, confirmed=True))
    setup.wait_ledger(taken=7)
    assert setup.forwarder.hears_nothing(1)
    setup.disk.heal()
    assert setup.forwarder.answer(node)[0]["ack"]


def test_a_disk_that_refuses_sessions_is_reported_and_uplinks_go_on(setup, received):
    node = Node(ROOM, **ABP)
    setup.disk.full("lorawan.db")
    setup.forwarder.push(node.uplink(FRAME))
    setup.wait_ledger(taken=7)
    received.wait_for(lambda: setup.disk.hits >= 1, 20, "a refused write")
    setup.forwarder.push(node.uplink(FRAME, confirmed=True))
    setup.wait_ledger(taken=14)
    assert setup.forwarder.hears_nothing(1)
    setup.disk.heal()
    # Its windows are over, maybe; it sends again.
    setup.forwarder.push(node.uplink(FRAME, confirmed=True))
    assert setup.forwarder.answer(node)[0]["ack"]


def test_an_action_is_not_reported_as_taken_while_the_disk_holds_it_back(setup, received):
    node = Node(ROOM, **ABP)
    setup.forwarder.push(node.uplink(HOT))
    received.wait_for(lambda: received.alerts("lounge"), 20, "the alert")
    setup.disk.hang("lorawan.db")
    setup.forwarder.push(node.uplink(FRAME))
    wait_until(lambda: setup.disk.waiting >= 1, what="a sync that hangs")
    # Its windows are 5 and 6 s behind the frame; then it is too late.
    setup.wait_log("lorawan.roof does not reach the device: it was not sent in time", timeout=20)
    setup.disk.heal()
    assert setup.forwarder.hears_nothing_for(node, 1)
    assert "action taken" not in setup.log()


def test_a_confirmed_uplink_that_finds_no_room_is_not_acknowledged_and_taken_when_it_comes_again(setup):
    node = Node(ROOM, **ABP)
    setup.disk.full("journal")
    for _ in range(UNDER_WAY // 64):
        setup.forwarder.push(*[node.uplink(FRAME) for _ in range(64)])
    refused = node.uplink(FRAME, confirmed=True)
    setup.forwarder.push(refused)
    assert setup.forwarder.hears_nothing_for(node, 2)
    assert setup.wait_ledger(taken=7 * UNDER_WAY)["dropped"] == {}
    setup.disk.heal()
    setup.wait_log("the journal can be written again")
    setup.forwarder.pull()
    setup.forwarder.push(refused)
    assert setup.forwarder.answer(node)[0]["ack"]
    assert setup.wait_ledger(taken=7 * (UNDER_WAY + 1))["dropped"] == {}


def test_a_damaged_session_file_is_kept_and_otaa_devices_join_again(setup, received):
    lounge, hall, forwarder = Node(ROOM, **ABP), Node(HALL, app_key=APP_KEY), setup.forwarder
    forwarder.push(hall.join_request())
    hall.open_accept(forwarder.downlink()[0])
    forwarder.push(hall.uplink(FRAME))
    old = lounge.uplink(FRAME)
    forwarder.push(old)
    setup.wait_ledger(taken=14)
    assert setup.stop() == 0
    database = setup.data_dir / "lorawan.db"
    database.write_bytes(b"no database any more".ljust(8192, b"!"))
    setup.start()
    setup.wait_log("lorawan.db.damaged")
    setup.wait_log("the counters of lounge were lost with a damaged lorawan.db")
    assert (setup.data_dir / "lorawan.db.damaged").read_bytes().startswith(b"no database any more")
    forwarder.pull()
    # Who has recorded a frame gets nothing by it, even where the journal has forgotten it; nor does the device itself.
    forwarder.push(old)
    forwarder.push(lounge.uplink(FRAME))
    setup.wait_ledger(taken=16, damaged=2)
    # What waits from before is the question for the battery.
    forwarder.waiting.clear()
    forwarder.push(hall.join_request())
    hall.open_accept(forwarder.downlink()[0])
    forwarder.push(hall.uplink(FRAME))
    setup.wait_ledger(taken=23, damaged=2)
    setup.rewrite("rx_delay = 5", "rx_delay = 5, fcnt_up = 1")
    setup.reload()
    wait_until(lambda: setup.log().count("lorawan: listens on") == 3, what=setup.log)
    forwarder.push(old)
    forwarder.push(lounge.uplink(FRAME))
    assert setup.wait_ledger(taken=31)["dropped"] == {"damaged": 2, "replay": 1}

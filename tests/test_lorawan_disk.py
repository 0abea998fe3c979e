"""What a LoRaWAN device is told before the disk has it: nothing."""

import pytest

import faults
from gateway import Riser, config
from lorawan import ABP, APP_KEY, Forwarder, Node, abp_table, adapter_table, otaa_table
from peers import free_port, wait_until

ROOM, HALL = "a84041ffff000001", "a84041ffff000002"
FRAME = bytes.fromhex("08632d")


@pytest.fixture
def house(started, tmp_path, cloud, heard, faults_library):
    """A gateway on a disk that can be broken, and a forwarder."""
    port = free_port()
    tables = adapter_table(port) + abp_table("lounge", ROOM) + otaa_table("hall", HALL)
    gateway = started.keep(Riser(tmp_path / "gateway", config(cloud=cloud.port, floor=cloud.port, more=tables)))
    gateway.disk = faults.Disk(faults_library, gateway.data_dir, gateway.folder)
    gateway.env |= gateway.disk.env
    gateway.start()
    gateway.wait_log(f"lorawan: listens on 127.0.0.1:{port}")
    heard.wait_online()
    gateway.forwarder = started.keep(Forwarder(port))
    gateway.forwarder.pull()
    return gateway


def test_no_join_accept_leaves_before_its_session_is_on_disk(house):
    node = Node(HALL, app_key=APP_KEY)
    house.disk.hang("lorawan.db")
    house.forwarder.push(node.join_request())
    wait_until(lambda: house.disk.waiting >= 1, what="a sync that hangs")
    assert house.forwarder.hears_nothing(1)
    house.disk.heal()
    node.open_accept(house.forwarder.downlink()[0])


def test_no_acknowledgement_leaves_before_the_counter_is_on_disk(house):
    node = Node(ROOM, **ABP)
    house.disk.hang("lorawan.db")
    house.forwarder.push(node.uplink(FRAME, confirmed=True))
    house.wait_ledger(taken=7)
    assert house.forwarder.hears_nothing(1)
    house.disk.heal()
    assert house.forwarder.answer(node)[0]["ack"]


def test_a_disk_that_refuses_sessions_is_told_and_uplinks_go_on(house, heard):
    node = Node(ROOM, **ABP)
    house.disk.full("lorawan.db")
    house.forwarder.push(node.uplink(FRAME))
    house.wait_ledger(taken=7)
    heard.wait_for(lambda: house.disk.hits >= 1, 20, "a refused write")
    house.forwarder.push(node.uplink(FRAME, confirmed=True))
    house.wait_ledger(taken=14)
    assert house.forwarder.hears_nothing(1)
    house.disk.heal()
    # Its windows are over, maybe; it sends again.
    house.forwarder.push(node.uplink(FRAME, confirmed=True))
    assert house.forwarder.answer(node)[0]["ack"]

"""Hostile datagrams from several sockets at a running LoRaWAN gateway: nothing grows, nothing leaves for a device, and a
good node behind a good forwarder is served all the while.

RISER_HOSTILE_SECONDS (default 8) is how long, RISER_HOSTILE_SEED how the datagrams are spoiled; the run prints both. Five
minutes are for people:

    RISER_HOSTILE_SECONDS=300 pytest tests/test_lorawan_hostile.py
"""

import base64
import json
import os
import random
import socket
import struct
import time

import pytest

from gateway import Riser, config
from lorawan import ABP, APP_KEY, PULL_RESP, PUSH_DATA, Forwarder, Node, abp_table, adapter_table, otaa_table
from peers import HOST, free_port, wait_until
from soak import MAX_GROWTH_MIB, own_mib, status_of

SECONDS = float(os.environ.get("RISER_HOSTILE_SECONDS") or 8)
SEED = int(os.environ.get("RISER_HOSTILE_SEED") or random.randrange(10**9))
ROOM, HALL = "a84041ffff000001", "a84041ffff000002"
FRAME = bytes.fromhex("01010863021194")
# So many between two frames of the good node: what the socket's buffer holds beside its own.
TURN = 50
SOURCES = [f"127.0.0.{number}" for number in range(2, 8)]
PARTS = {"aggregate": 'window = "1s"\nlateness = "300ms"\ncorrect_for = "2s"', "journal": 'sync_every = "0s"'}


class Forger:
    """Makes datagrams as no good forwarder does: whole ones of strangers, forged frames of devices that are known, and all
    of that spoiled."""

    def __init__(self, chance):
        self.chance = chance
        self.recorded = []

    def datagram(self):
        chance = self.chance
        kind = chance.choice([PUSH_DATA] * 6 + [1, 2, 3, 4, 5, chance.randrange(256)])
        head = bytes([chance.choice([1, 2, 2, 2, chance.randrange(256)])]) + chance.randbytes(2) + bytes([kind])
        # Few enough that no good forwarder is crowded out; `gateways` is against more.
        eui = bytes.fromhex("bb555a00000001") + bytes([chance.randrange(100)])
        body = head + eui + (self.push() if kind == PUSH_DATA else self.other())
        return self.spoilt(body) if chance.random() < 0.4 else body

    def push(self):
        rows = [self.rxpk() for _ in range(self.chance.choice([0, 1, 1, 1, 3, 20]))]
        return json.dumps({"rxpk": rows}).encode()

    def other(self):
        error = self.chance.choice(["NONE", "TOO_LATE", "no such", "x" * 500])
        return self.chance.choice([b"", json.dumps({"txpk_ack": {"error": error}}).encode(), self.chance.randbytes(60)])

    def rxpk(self):
        chance, frame = self.chance, self.frame()
        row = {"tmst": chance.randrange(1 << 32), "freq": chance.choice([868.1, 867.3, 902.3, 1e9, -1])}
        row |= {"stat": chance.choice([1, 1, 1, 0, -1]), "modu": chance.choice(["LORA", "FSK", "LR-FHSS"])}
        row |= {"datr": chance.choice(["SF7BW125", "SF12BW125", 50000, "SF99BW9", None]), "codr": "4/5"}
        row |= {"rssi": chance.choice([-90, -120, 1e300, None]), "lsnr": chance.choice([5.5, -20, 1e308])}
        row |= {"size": chance.choice([len(frame), 0, 1 << 40]), "data": base64.b64encode(frame).decode()}
        return {name: value for name, value in row.items() if chance.random() < 0.97}

    def frame(self):
        """Of a stranger, or in the name of a device that is known: never with a right MIC that is new."""
        chance = self.chance
        kind = chance.randrange(5)
        if kind == 0 and self.recorded:
            return chance.choice(self.recorded)
        if kind == 1:
            numbers = bytes.fromhex("70b3d57ed0000001")[::-1] + bytes.fromhex(HALL)[::-1]
            return b"\0" + numbers + chance.randbytes(6)
        if kind == 2:
            head = bytes([chance.choice([0x40, 0x80])]) + bytes.fromhex(ABP["address"])[::-1]
            return head + struct.pack("<BH", chance.randrange(256), chance.randrange(1 << 16)) + chance.randbytes(chance.randrange(60))
        return chance.randbytes(chance.randrange(300))

    def spoilt(self, datagram):
        chance, datagram = self.chance, bytearray(datagram)
        for _ in range(chance.choice([1, 1, 4, 40])):
            place = chance.randrange(len(datagram))
            deed = chance.randrange(3)
            if deed == 0:
                datagram[place] = chance.randrange(256)
            elif deed == 1:
                del datagram[place:]
            else:
                datagram[place:place] = chance.randbytes(chance.randrange(1, 30))
            if not datagram:
                return b""
        return bytes(datagram[:60_000])


@pytest.mark.timeout(120 + 2 * SECONDS)
def test_a_good_node_is_served_under_hostile_datagrams_and_nothing_grows(started, tmp_path, cloud, received, capsys):
    port, chance = free_port(), random.Random(SEED)
    tables = adapter_table(port) + abp_table("lounge", ROOM) + otaa_table("hall", HALL)
    gateway = started.keep(Riser(tmp_path / "gateway", config(cloud=cloud.port, floor=cloud.port, more=tables, **PARTS)))
    gateway.start()
    gateway.wait_log(f"lorawan: listens on {HOST}:{port}")
    received.wait_online()
    node, forwarder, forger = Node(ROOM, **ABP), started.keep(Forwarder(port)), Forger(chance)
    attackers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in SOURCES]
    for attacker, source in zip(attackers, SOURCES, strict=True):
        started.keep(attacker).bind((source, 0))
        attacker.setblocking(False)
    sent = turns = 0
    memory = []
    asked = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end or turns < 8:
        for _ in range(TURN):
            attacker = chance.choice(attackers)
            attacker.sendto(forger.datagram(), (HOST, port))
            sent += 1
            asked += [datagram for datagram in replies(attacker) if datagram[3:4] == bytes([PULL_RESP])]
        frame = node.uplink(FRAME, confirmed=True)
        # A forged PULL_DATA may name any forwarder: it listens anew before each frame, as it would every few seconds.
        forwarder.pull()
        forwarder.push(frame)
        assert forwarder.answer(node)[0]["ack"], f"turn {turns}, RISER_HOSTILE_SEED={SEED}"
        forger.recorded = [*forger.recorded[-50:], frame]
        turns += 1
        memory.append(own_mib(status_of(gateway.process.pid)))
    settled = memory[len(memory) // 2 :]
    grown = settled[-1] - settled[0]
    ledger = wait_for_the_last(gateway, turns)
    with capsys.disabled():
        print(
            f"\nhostile: RISER_HOSTILE_SEED={SEED} RISER_HOSTILE_SECONDS={SECONDS:g}, {sent:,} datagrams sent, {turns} good"
            f" frames answered; {memory[0]:.1f} to {memory[-1]:.1f} MiB, {grown:+.1f} in the second half; {ledger['dropped']}"
        )
    assert grown <= MAX_GROWTH_MIB
    assert not asked, "a frame for a device went to an attacker"
    assert {"bad_mic", "replay"} <= set(ledger["dropped"])


def replies(attacker):
    """What came back to it."""
    while True:
        try:
            yield attacker.recv(65536)
        except BlockingIOError:
            return


def wait_for_the_last(gateway, turns):
    """The ledger when all seven readings of each good frame are in it, and nothing else but what was dropped."""

    def good():
        ledger = gateway.audit()
        return ledger["in"] - sum(ledger["dropped"].values())

    wait_until(lambda: good() == 7 * turns, 30, lambda: f"{7 * turns} readings, not {good()}")
    return gateway.audit()

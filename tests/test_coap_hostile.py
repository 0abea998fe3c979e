"""Hostile datagrams from several sockets at a running gateway, in the clear and over DTLS: every answer fits, nothing
grows, and good sensors are served all the while.

RISER_HOSTILE_DATAGRAMS (default 20000) is how many spoiled ones each port gets, RISER_HOSTILE_SEED how they are spoiled;
the run prints both, and what was answered. A million takes some minutes, and is for people:

    RISER_HOSTILE_DATAGRAMS=1000000 pytest tests/test_coap_hostile.py
"""

import collections
import itertools
import os
import random
import time
from dataclasses import dataclass

import pytest

import hostile
import hostile_dtls
from coap import CoapClient, report
from peers import HOST, free_port
from soak import MAX_GROWTH_MIB, growth, own_mib, settled, status_of

SPOILED = int(os.environ.get("RISER_HOSTILE_DATAGRAMS") or 20_000)
SEED = int(os.environ.get("RISER_HOSTILE_SEED") or random.randrange(10**9))
# So many at a time from one socket; then the good sensor reports, and memory is read.
TURN = 500
SOURCES = [f"127.0.0.{number}" for number in range(2, 10)]
ONE = "the key of one, 24 bytes"
# Small, so that all that may fill up is full soon: what grows after that is a leak.
BOUNDS = "max_peers = 20\nmax_observers = 20\n"
PARTS = {"gateway": "max_devices = 50", "aggregate": 'window = "1s"\nlateness = "300ms"\ncorrect_for = "2s"'}


@dataclass
class Sample:
    """The gateway's own memory at one moment."""

    seconds: float
    memory_mib: float


class Siege:
    """A gateway under attack, and sensors that go on reporting."""

    def __init__(self, setup, started, folder, capsys):
        self.port = free_port()
        psk = f'listen_dtls = "{HOST}:{self.port}"\npsk = {{ one = {{ key = "{ONE}", devices = ["one"] }} }}'
        self.setup = setup(coap=BOUNDS + psk, **PARTS)
        self.setup.gateway.wait_log(f"coap: listens on {HOST}:{self.port}")
        self.sensor = self.setup.datagrams()
        self.secured = CoapClient(self.port, folder, "openssl", "one", ONE)
        self.reports = {"good": 0, "one": 0}
        self._started = started
        self._capsys = capsys

    def attackers(self, kind, port):
        """One at each address."""
        return [self._started.keep(kind(port, address)) for address in SOURCES]

    def turn(self, attacker, datagrams):
        """Sends them, checks that a good sensor is served, and returns the gateway's memory."""
        attacker.send(datagrams)
        self.reports["good"] += 1
        mid = self.reports["good"] & 0xFFFF
        answer = self.sensor.exchange(report(mid, "sensors", "good", "co2", payload=b"400"))
        assert answer == (hostile.ACK, (2, 4), mid)
        return Sample(time.monotonic(), own_mib(status_of(self.setup.gateway.process.pid)))

    def report_secured(self):
        self.reports["one"] += 1
        answer = self.secured.post("/sensors/one/co2", "400")
        assert answer.code == "2.04", answer.output

    def finish(self, attackers, samples):
        """Prints the results and checks that every report of the good sensors has arrived."""
        answers = sum((attacker.answers for attacker in attackers), collections.Counter())
        grown = growth(settled(samples))
        with self._capsys.disabled():
            print(
                f"\nhostile: RISER_HOSTILE_SEED={SEED} RISER_HOSTILE_DATAGRAMS={SPOILED},"
                f" {sum(attacker.sent for attacker in attackers):,} sent in all;"
                f" {samples[-1].seconds - samples[0].seconds:.0f} s from {samples[0].memory_mib:.1f} to"
                f" {samples[-1].memory_mib:.1f} MiB, {grown:+.1f} once settled; {dict(sorted(answers.items()))}"
            )
        assert grown <= MAX_GROWTH_MIB
        for device, count in self.reports.items():
            if count:
                self.setup.cloud.wait_count(device, "co2", count, timeout=30)
        self.setup.gateway.audit()
        return answers


@pytest.fixture
def siege(setup, started, tmp_path, capsys):
    return Siege(setup, started, tmp_path, capsys)


def turns(attackers, datagrams):
    """Who sends what, attacker by attacker."""
    datagrams, sender = iter(datagrams), itertools.cycle(attackers)
    while some := list(itertools.islice(datagrams, TURN)):
        yield next(sender), some


def short_ones(chance):
    """Every string of up to two bytes, and some of three."""
    return itertools.chain(hostile.strings(range(3)), (chance.randbytes(3) for _ in range(4_000)))


@pytest.mark.timeout(120 + SPOILED // 1_000)
def test_a_port_in_the_clear_answers_what_fits_or_nothing_and_does_not_grow(siege):
    chance = random.Random(SEED)
    attackers = siege.attackers(hostile.Attacker, siege.setup.port)
    for attacker, some in turns(attackers, short_ones(chance)):
        siege.turn(attacker, some)
    seeds = hostile.seeds()
    spoiled = (hostile.spoil(chance, seeds) for _ in range(SPOILED))
    samples = [siege.turn(attacker, some) for attacker, some in turns(attackers, spoiled)]
    for attacker in attackers:
        attacker.finish()
    answers = siege.finish(attackers, samples)
    # Spoiled, but not too much: all that there is to answer was asked for.
    assert {"RST", "2.04", "2.05", "2.31", "4.00", "4.02", "4.04", "4.05", "4.08", "4.15", "5.05"} <= set(answers)


@pytest.mark.timeout(120 + SPOILED // 500)
def test_a_dtls_port_answers_with_dtls_or_nothing_and_does_not_grow(siege):
    chance = random.Random(SEED)
    attackers = siege.attackers(hostile_dtls.Attacker, siege.port)
    siege.report_secured()
    for attacker, some in turns(attackers, short_ones(chance)):
        siege.turn(attacker, some)
    siege.report_secured()
    samples = []
    for attacker in itertools.islice(itertools.cycle(attackers), SPOILED // TURN):
        seeds = attacker.seeds(chance)
        samples.append(siege.turn(attacker, [hostile.spoil(chance, seeds) for _ in range(TURN)]))
    siege.report_secured()
    answers = siege.finish(attackers, samples)
    # Some got as far as the server's own hello.
    assert answers[f"handshake {hostile_dtls.SERVER_HELLO}"] > 0

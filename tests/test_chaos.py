"""A gateway under random faults: sent = delivered + accounted. First that the oracle and its witnesses can be trusted.

RISER_CHAOS_KILLS (default 20) is how often the gateway is killed, RISER_CHAOS_SEED which faults come when. A failed run
prints both, the plan, what happened, and the folder with all logs. `scripts/chaos` is the long run for people.
"""

import copy
import json
import os
import random

import paho.mqtt.client as mqtt
import pytest

from chaos.oracle import GATEWAY, Evidence, Verdict
from chaos.packets import Publish, Splitter
from chaos.proxy import Network, Proxy
from chaos.reading import BASE, METRIC, SLOTS, WINDOW_MS, Reading, Undecodable, decode, parse
from chaos.records import Deliveries, Upload
from chaos.run import Failed, Run
from chaos.schedule import Schedule
from chaos.sender import Sender
from peers import wait_until
from readings import rfc3339

KILLS = int(os.environ.get("RISER_CHAOS_KILLS") or 20)
START = 1_795_132_800_000
DEVICES = ("floor5-0", "local-v5-0")


# Several times what a run takes, with the longest wait for everything to drain.
@pytest.mark.timeout(600 + 20 * KILLS)
def test_every_reading_is_accounted_for(tmp_path, capsys):
    seed = int(os.environ.get("RISER_CHAOS_SEED") or random.randrange(10**9))
    schedule = Schedule(seed, KILLS)
    with capsys.disabled():
        print(f"\nchaos: RISER_CHAOS_SEED={seed} RISER_CHAOS_KILLS={KILLS}, about {schedule.length:.0f} s", flush=True)
    numbers = Run(tmp_path, schedule).go()
    with capsys.disabled():
        print(f"chaos: {numbers}")


@pytest.mark.timeout(300)
def test_the_chaos_notices_a_gateway_that_acknowledges_what_it_has_not_stored(tmp_path):
    schedule = Schedule(seed=1, kills=3)
    schedule.journal = "enabled = false"
    with pytest.raises(Failed, match="lost: |acknowledged, but the ledger says"):
        Run(tmp_path, schedule).go()


# The oracle against stories with a known flaw.


def summary(values):
    return {"avg": sum(values) / len(values), "min": min(values), "max": max(values), "count": len(values)}


def aggregate(seq, device, window, readings, revision=0):
    return {
        "id": f"{GATEWAY}/{device}/{window}/{WINDOW_MS}",
        "gateway": GATEWAY,
        "seq": seq,
        "device": device,
        "window": {"start": rfc3339(window), "end": rfc3339(window + WINDOW_MS)},
        "metrics": {METRIC: summary([reading.value for reading in readings])},
        "revision": revision,
    }


def delivered(reading, packet_id, **fate):
    way = Deliveries("test", marks_repetition=False)
    way.publish("link", Publish(packet_id, False, reading.topic, reading.payload), forwarded=True)
    way.puback("link", packet_id, forwarded=True)
    (delivery,) = way.of[reading]
    for name, value in fate.items():
        setattr(delivery, name, value)
    return delivery


class Story:
    """Two devices, three windows, one of them corrected: nothing wrong. Tests then spoil a part of it."""

    def __init__(self):
        self.windows = [(device, START + i * WINDOW_MS) for device in DEVICES for i in range(3)]
        self.readings = {key: [Reading(*key, slot) for slot in range(SLOTS)] for key in self.windows}
        everything = [reading for readings in self.readings.values() for reading in readings]
        self.sent = set(everything)
        self.deliveries = {reading: [delivered(reading, i + 1)] for i, reading in enumerate(everything)}
        self.bodies = [aggregate(1, *self.windows[0], everything[:3])]
        self.bodies += [aggregate(i + 2, *key, readings) for i, (key, readings) in enumerate(self.readings.items())]
        self.bodies[1]["revision"] = 1
        self.unacked = set()
        count = len(everything)
        self.ledger = {"in": count, "published": count, "queued": 0, "open": 0, "dropped": {}, "balanced": True}

    def put(self, place, readings, **more):
        """Other readings into the window of `bodies[place]`."""
        self.bodies[place] = self.bodies[place] | {"metrics": {METRIC: summary([r.value for r in readings])}} | more

    def window(self, place):
        """The readings that belong into `bodies[place]`."""
        return list(self.readings[self.windows[place - 1]])

    def findings(self):
        uploads = [
            Upload(
                0.0, f"building/sensors/{body['device']}/aggregated", json.dumps(body).encode(), i not in self.unacked
            )
            for i, body in enumerate(self.bodies)
        ]
        return Verdict(Evidence(self.sent, set(), self.deliveries, uploads, [], self.ledger)).findings


def test_the_oracle_finds_nothing_in_an_honest_run():
    assert Story().findings() == []


def lose_a_reading(story):
    story.put(2, story.window(2)[1:])
    story.ledger |= {"in": 47, "published": 47}


def count_a_reading_twice(story):
    story.put(2, [*story.window(2), story.window(2)[3]])
    story.ledger |= {"in": 49, "published": 49}


def count_one_twice_in_place_of_another(story):
    story.put(2, [*story.window(2)[:-1], story.window(2)[0]])


def count_a_reading_in_the_next_window(story):
    story.put(2, story.window(2)[:-1])
    story.put(3, [*story.window(3), story.window(2)[-1]])


def count_a_reading_for_the_other_device(story):
    story.put(2, story.window(2)[:-1])
    story.put(5, [*story.window(5), story.window(2)[-1]])


def invent_a_window(story):
    story.bodies.append(
        aggregate(8, "floor5-0", START + 9 * WINDOW_MS, [Reading("floor5-0", START + WINDOW_MS * 9, 0)])
    )
    story.ledger |= {"in": 49, "published": 49}


def invent_a_device(story):
    story.bodies.append(aggregate(8, "floor5-9", START, [Reading("floor5-9", START, 0)]))
    story.ledger |= {"in": 49, "published": 49}


def send_a_correction_that_lacks_a_reading(story):
    story.bodies.append(aggregate(8, *story.windows[1], story.window(2)[1:], revision=1))


def send_a_reading_that_the_correction_lacks(story):
    story.put(0, story.window(1)[:3] + story.window(1)[:1])


def begin_an_id_again(story):
    story.bodies.append(aggregate(8, *story.windows[1], story.window(2)))


def leave_out_a_seq(story):
    story.bodies[-1]["seq"] += 1


def use_a_seq_for_two_messages(story):
    story.bodies.append(copy.deepcopy(story.bodies[3]) | {"late": 1})


def never_get_the_clouds_acknowledgement(story):
    story.unacked.add(4)


def say_another_average(story):
    story.bodies[2]["metrics"][METRIC]["avg"] *= 1 + 1e-6


def say_another_maximum(story):
    story.bodies[2]["metrics"][METRIC]["max"] += 1


def drop_what_is_late(story):
    story.ledger |= {"in": 49, "dropped": {"late": 1}}


def keep_something_queued(story):
    story.ledger |= {"in": 49, "queued": 1}


def publish_more_in_the_ledger_than_in_the_windows(story):
    story.ledger |= {"in": 49, "published": 49}


SPOILED = {
    lose_a_reading: "lost: ",
    count_a_reading_twice: "counted too often: ",
    count_one_twice_in_place_of_another: "counted too often: ",
    count_a_reading_in_the_next_window: "wrong window: ",
    count_a_reading_for_the_other_device: "counted too often: ",
    invent_a_window: "unknown id: ",
    invent_a_device: "invented: ",
    send_a_correction_that_lacks_a_reading: "lost: ",
    send_a_reading_that_the_correction_lacks: "a correction lost readings: ",
    begin_an_id_again: "sent under several seqs",
    leave_out_a_seq: "holes in seq: ",
    use_a_seq_for_two_messages: "has two payloads",
    never_get_the_clouds_acknowledgement: "holes in seq: ",
    say_another_average: "wrong window: ",
    say_another_maximum: "wrong window: ",
    drop_what_is_late: "dropped only duplicates",
    keep_something_queued: "nothing queued or open",
    publish_more_in_the_ledger_than_in_the_windows: "in the windows",
}


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda spoil: spoil.__name__)
def test_the_oracle_notices(spoil):
    story = Story()
    spoil(story)
    assert any(SPOILED[spoil] in finding for finding in story.findings()), story.findings()


def test_what_was_not_acknowledged_may_be_missing_and_may_be_there():
    story = Story()
    unsure = story.window(2)[0]
    story.deliveries[unsure] = [delivered(unsure, 1, acked=False)]
    assert story.findings() == []
    lose_a_reading(story)
    assert story.findings() == []


def test_what_was_sent_again_may_be_counted_as_often_as_it_was_delivered():
    story = Story()
    count_a_reading_twice(story)
    again = story.window(2)[3]
    story.deliveries[again].append(delivered(again, 2, forwarded=False))
    assert any("counted too often" in finding for finding in story.findings())
    story.deliveries[again].append(delivered(again, 3, acked=False))
    assert story.findings() == []


def test_a_window_reports_its_readings_at_the_precision_that_is_promised():
    chance = random.Random(3)
    for _ in range(2000):
        window = START + chance.randrange(2) * WINDOW_MS
        times = {Reading("d", window, slot): chance.randrange(BASE) for slot in range(SLOTS)}
        held = {reading: n for reading, n in times.items() if n} or {Reading("d", window, 0): 1}
        reported = summary([reading.value for reading, n in held.items() for _ in range(n)])
        reported["avg"] *= 1 + chance.choice((-1e-9, 0, 1e-9))
        assert decode("d", window, reported) == held
    with pytest.raises(Undecodable):
        decode("d", START + WINDOW_MS, summary([1.0]))


def test_a_reading_is_read_back_from_its_message():
    for slot in range(SLOTS):
        reading = Reading("local-v5-1", START + WINDOW_MS, slot)
        assert parse(reading.topic, reading.payload) == reading


# The witnesses.


def test_a_repetition_that_says_so_is_the_same_delivery():
    reading = Reading("floor5-0", START, 0)

    def send(way, link, packet_id, dup):
        way.publish(link, Publish(packet_id, dup, reading.topic, reading.payload), forwarded=True)

    way = Deliveries("floor5", marks_repetition=True)
    send(way, "a", 7, dup=False)
    send(way, "b", 7, dup=True)
    assert len(way.of[reading]) == 1 and not way.acked()
    way.puback("b", 7, forwarded=True)
    assert way.acked() == {reading}
    send(way, "b", 8, dup=True)
    send(way, "b", 7, dup=False)
    assert len(way.of[reading]) == 3
    way.puback("a", 9, forwarded=True)
    assert "was not sent" in way.problems[0]


def test_packets_are_found_however_the_bytes_arrive():
    stream = b"\xc0\x00" + b"\x32\x85\x01\x00\x01t\x00\x07" + bytes(128) + b"\x40\x02\x00\x07"
    for size in (1, 2, 3, len(stream)):
        splitter, found = Splitter(), []
        for at in range(0, len(stream), size):
            found += splitter.feed(stream[at : at + size])
        assert [packet.kind for packet in found] == [12, 3, 4]
        assert b"".join(packet.raw for packet in found) == stream


@pytest.fixture
def wire(started, mosquitto):
    """A proxy before a real broker, and its record."""
    record = Deliveries("local", marks_repetition=True)
    network = started.keep(Network())
    return started.keep(Proxy(network, "local", mosquitto().port, "up", record)), record


@pytest.mark.parametrize("version", [mqtt.MQTTv311, mqtt.MQTTv5], ids=["v3.1.1", "v5"])
@pytest.mark.parametrize(
    ("fault", "events"),
    {
        "before-puback": ["PUBLISH", "PUBACK lost", "DUP PUBLISH", "PUBACK"],
        "after-publish": ["PUBLISH", "DUP PUBLISH", "PUBACK"],
        "in-publish": ["PUBLISH lost", "DUP PUBLISH", "PUBACK"],
    }.items(),
)
def test_a_connection_is_cut_where_the_plan_says(started, wire, version, fault, events):
    proxy, record = wire
    sensor = started.keep(Sender("local-x", proxy.port, version, devices=1))
    wait_until(sensor.client.is_connected, what="the sensor's connection")
    proxy.cut(fault)
    reading = Reading("local-x-0", START, 0)
    sensor.send(reading)
    wait_until(lambda: sensor.collect() == 0, what="the PUBACK of the second try")
    (delivery,) = record.of[reading]
    events_seen = lambda: [event for _, _, event in delivery.history]
    # The proxy records a packet after it has passed it on.
    wait_until(lambda: events_seen()[-1:] == ["PUBACK"], what="a record of that PUBACK")
    seen = events_seen()
    # A PUBACK may have been on its way already when the connection was cut behind its PUBLISH.
    assert seen == events or fault == "after-publish" and seen == [events[0], "PUBACK lost", *events[1:]]


def test_a_half_open_connection_is_noticed_only_by_its_ends(started, wire):
    proxy, record = wire
    sensor = started.keep(Sender("local-x", proxy.port, mqtt.MQTTv5, devices=1))
    wait_until(sensor.client.is_connected, what="the sensor's connection")
    proxy.silence({"down"})
    reading = Reading("local-x-0", START, 0)
    sensor.send(reading)
    wait_until(lambda: record.acked() == {reading}, what="the broker's PUBACK")
    assert sensor.collect() == 1 and sensor.client.is_connected()
    wait_until(lambda: sensor.collect() == 0, 30, "the sensor to give up and come back")


def test_a_seed_is_a_plan():
    assert str(Schedule(5, 20)) == str(Schedule(5, 20)) != str(Schedule(6, 20))
    plan = Schedule(5, 20).faults
    assert sum("kill" in fault.what for fault in plan if fault.target == "gateway") == 20

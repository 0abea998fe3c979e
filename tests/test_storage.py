"""A disk that is full, fails, is read-only or slow: the gateway stays up, says so, loses nothing and recovers alone."""

import re
import time
from itertools import product

import pytest

from faults.site import HEALTH, REFUSALS
from peers import HOST, free_port, stands_still, wait_until

# Everything that was acknowledged is on the disk: a power cut may take the rest.
SYNC_FIRST = 'sync_every = "0s"'


def on(cases):
    """Parametrizes by what the disk does, and to which part of the store."""
    ids = [f"{trouble}-{part or 'everything'}" for trouble, part in cases]
    return pytest.mark.parametrize(("trouble", "part"), cases, ids=ids)


@on([*product(REFUSALS, ["journal", "outbox", ""])])
def test_a_disk_that_refuses_stops_nothing_but_deliveries(site, trouble, part):
    house = site(journal=SYNC_FIRST)
    house.send_and_wait()
    process, before = house.gateway.process.pid, house.sent.total
    getattr(house.disk, trouble)(part)
    house.send()
    house.fire()
    house.is_hit()
    house.tells(part, REFUSALS[trouble])
    ledger = house.audit()
    if part != "outbox":
        assert house.unacknowledged() == house.sent.total - before, "acknowledged what is not in the journal"
    assert ledger["published"] < house.sent.total
    house.disk.heal()
    house.everything_arrives()
    house.is_well()
    assert house.gateway.process.poll() is None and house.gateway.process.pid == process
    house.all_acknowledged()


@on([*product(REFUSALS, ["journal", ""]), ("fail_syncs", "outbox")])
def test_a_power_cut_in_the_trouble_and_one_after_it_take_nothing_acknowledged(site, trouble, part):
    house = site(journal=SYNC_FIRST)
    house.send_and_wait()
    getattr(house.disk, trouble)(part)
    house.send()
    house.fire()
    house.is_hit()
    house.loses_power()
    house.start()
    house.send()
    getattr(house.disk, trouble)(part)
    house.send()
    house.is_hit(times=2)
    house.disk.heal()
    # A sync that succeeds after one that failed says nothing of what that one should have written.
    house.all_acknowledged()
    house.loses_power()
    house.start()
    house.send()
    house.everything_arrives()


@on([("full", "journal"), ("fail_syncs", "journal"), ("fail_writes", "")])
def test_a_kill_in_the_trouble_takes_nothing_acknowledged_although_no_sync_covers_it(site, trouble, part):
    house = site(journal='sync_every = "1s"')
    house.send_and_wait()
    getattr(house.disk, trouble)(part)
    house.send()
    house.is_hit()
    house.send()
    house.gateway.kill()
    house.disk.heal()
    house.start()
    house.send()
    house.everything_arrives()


@on([("full", ""), ("fail_syncs", ""), ("read_only", ""), ("full", "checkpoint"), ("fail_syncs", "outbox")])
def test_a_stop_while_the_disk_refuses_ends_in_time_and_loses_nothing(site, trouble, part):
    house = site(journal=SYNC_FIRST)
    house.send_and_wait()
    getattr(house.disk, trouble)(part)
    house.send()
    if part != "checkpoint":
        house.is_hit()
    house.gateway.stop(timeout=15)
    assert house.disk.hits > 0
    house.disk.heal()
    house.start()
    house.send()
    house.everything_arrives()


@pytest.fixture
def with_broker(site, publisher):
    """A factory: a gateway with an embedded broker, and a sensor of that, which waits for the gateway's own PUBACK."""

    def run(sync_every):
        port = free_port()
        broker = f'[broker]\nlisten = "{HOST}:{port}"\nanonymous = true\n'
        local = '[adapters.mqtt.local]\ntopics = [ { filter = "sensors/{device}/telemetry", format = "json" } ]'
        return site(journal=f'sync_every = "{sync_every}"', tables=broker + local), publisher(port)

    return run


def seconds_to_puback(sensor, messages):
    for topic, payload in messages:
        began = time.monotonic()
        sensor.send(topic, payload)
        yield time.monotonic() - began


def test_a_slow_sync_holds_up_no_acknowledgement_and_all_arrives(with_broker):
    house, sensor = with_broker("1s")
    house.send_and_wait()
    process = house.gateway.process.pid
    house.disk.slow(5)
    house.send()
    wait_until(lambda: house.disk.waiting > 0, what="a sync under way")
    assert max(seconds_to_puback(sensor, house.sent.more(5, ["porch"]))) < 2
    house.fire()
    house.audit()
    house.everything_arrives(40)
    assert house.gateway.process.poll() is None and house.gateway.process.pid == process


def test_with_sync_every_0_an_acknowledgement_waits_for_the_slow_sync(with_broker):
    house, sensor = with_broker("0s")
    house.send_and_wait()
    house.disk.slow(5, "journal")
    first, second = house.sent.more(1, ["porch"])
    assert max(seconds_to_puback(sensor, [first])) > 4
    house.disk.heal()
    sensor.send(*second)
    house.everything_arrives()


def test_what_is_held_in_memory_is_bounded_and_a_late_checkpoint_is_made_up_for(site):
    house = site()
    house.send_and_wait()
    before = house.gateway.memory_mib()
    house.disk.full("journal")
    house.sensor.send_all(house.sent.packs(300))
    # A reading of these takes about 47 bytes of a step, so all 300,000 are 13 MiB.
    held = lambda: house.audit()["in"] * 47 / (1 << 20)
    wait_until(lambda: held() > 4, 60, lambda: f"4 MiB of readings, not {held()}")
    stands_still(held)
    assert house.gateway.memory_mib() < before + 48
    assert held() < 12, "more is held than may be"
    house.disk.full("checkpoint")
    house.is_hit()
    house.tells("checkpoint", REFUSALS["full"])
    house.everything_arrives(60)
    house.disk.heal()
    house.is_well()
    wait_until((house.gateway.data_dir / "state.checkpoint").exists, what="a checkpoint")


@pytest.mark.parametrize("trouble", ["full", "read_only"])
def test_a_start_on_a_disk_that_refuses_names_the_file_the_cause_and_the_remedy(site, trouble):
    house = site(start=False)
    getattr(house.disk, trouble)()
    gateway = house.gateway.start()
    assert gateway.process.wait(10) == 73
    message = gateway.log()
    assert str(gateway.data_dir) in message and re.search(REFUSALS[trouble], message), message
    assert re.search("free|space on|may write|mount|look at the disk", message), f"no remedy in: {message}"
    house.disk.heal()
    house.start()
    house.send_and_wait()


def test_health_tells_the_problems_too(site, mosquitto):
    late = mosquitto()
    late.stop()
    adapter = f"""[adapters.mqtt.late]
url = "mqtt://{HOST}:{late.port}"
topics = [ {{ filter = "late/{{device}}", format = "json" }} ]
"""
    house = site(start=False, tables=adapter)
    house.gateway.start()
    # The first health message follows `online`, which waits for the late adapter.
    house.gateway.wait_log("connected and subscribed")
    house.disk.full("journal")
    house.send()
    house.is_hit()
    late.start()
    house.tells("journal", REFUSALS["full"])
    house.heard.wait_for(lambda: house.heard.on(HEALTH), 5, "health")
    assert any(re.search(REFUSALS["full"], problem) for problem in house.heard.on(HEALTH)[0]["problems"])
    house.disk.heal()
    house.everything_arrives()

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
    setup = site(journal=SYNC_FIRST)
    setup.send_and_wait()
    process, before = setup.gateway.process.pid, setup.sent.total
    getattr(setup.disk, trouble)(part)
    setup.send()
    setup.fire()
    setup.is_hit()
    setup.reports(part, REFUSALS[trouble])
    ledger = setup.audit()
    if part != "outbox":
        assert setup.unacknowledged() == setup.sent.total - before, "acknowledged what is not in the journal"
    assert ledger["published"] < setup.sent.total
    setup.disk.heal()
    setup.everything_arrives()
    setup.is_well()
    assert setup.gateway.process.poll() is None and setup.gateway.process.pid == process
    setup.all_acknowledged()


@on([*product(REFUSALS, ["journal", ""]), ("fail_syncs", "outbox")])
def test_a_power_cut_in_the_trouble_and_one_after_it_take_nothing_acknowledged(site, trouble, part):
    setup = site(journal=SYNC_FIRST)
    setup.send_and_wait()
    getattr(setup.disk, trouble)(part)
    setup.send()
    setup.fire()
    setup.is_hit()
    setup.loses_power()
    setup.start()
    setup.send()
    getattr(setup.disk, trouble)(part)
    setup.send()
    setup.is_hit(times=2)
    setup.disk.heal()
    # A sync that succeeds after one that failed says nothing of what that one should have written.
    setup.all_acknowledged()
    setup.loses_power()
    setup.start()
    setup.send()
    setup.everything_arrives()


@on([("full", "journal"), ("fail_syncs", "journal"), ("fail_writes", "")])
def test_a_kill_in_the_trouble_takes_nothing_acknowledged_although_no_sync_covers_it(site, trouble, part):
    setup = site(journal='sync_every = "1s"')
    setup.send_and_wait()
    getattr(setup.disk, trouble)(part)
    setup.send()
    setup.is_hit()
    setup.send()
    setup.gateway.kill()
    setup.disk.heal()
    setup.start()
    setup.send()
    setup.everything_arrives()


@on([("full", ""), ("fail_syncs", ""), ("read_only", ""), ("full", "checkpoint"), ("fail_syncs", "outbox")])
def test_a_stop_while_the_disk_refuses_ends_in_time_and_loses_nothing(site, trouble, part):
    setup = site(journal=SYNC_FIRST)
    setup.send_and_wait()
    getattr(setup.disk, trouble)(part)
    setup.send()
    if part != "checkpoint":
        setup.is_hit()
    setup.gateway.stop(timeout=15)
    assert setup.disk.hits > 0
    setup.disk.heal()
    setup.start()
    setup.send()
    setup.everything_arrives()


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
    setup, sensor = with_broker("1s")
    setup.send_and_wait()
    process = setup.gateway.process.pid
    setup.disk.slow(5)
    setup.send()
    wait_until(lambda: setup.disk.waiting > 0, what="a sync under way")
    assert max(seconds_to_puback(sensor, setup.sent.more(5, ["porch"]))) < 2
    setup.fire()
    setup.audit()
    setup.everything_arrives(40)
    assert setup.gateway.process.poll() is None and setup.gateway.process.pid == process


def test_with_sync_every_0_an_acknowledgement_waits_for_the_slow_sync(with_broker):
    setup, sensor = with_broker("0s")
    setup.send_and_wait()
    setup.disk.slow(5, "journal")
    first, second = setup.sent.more(1, ["porch"])
    assert max(seconds_to_puback(sensor, [first])) > 4
    setup.disk.heal()
    sensor.send(*second)
    setup.everything_arrives()


@pytest.mark.timeout(240)
def test_what_is_held_in_memory_is_bounded_and_a_late_checkpoint_is_made_up_for(site):
    setup = site()
    setup.send_and_wait()
    before = setup.gateway.memory_mib()
    setup.disk.full("journal")
    setup.sensor.send_all(setup.sent.packs(300))
    # A reading of these takes about 47 bytes of a step, so all 300,000 are 13 MiB.
    held = lambda: setup.audit()["in"] * 47 / (1 << 20)
    wait_until(lambda: held() > 4, 60, lambda: f"4 MiB of readings, not {held()}")
    stands_still(held)
    assert setup.gateway.memory_mib() < before + 48
    assert held() < 12, "more is held than may be"
    setup.disk.full("checkpoint")
    # When all that was held is in the journal, a checkpoint is due.
    setup.everything_arrives(60)
    setup.is_hit()
    setup.reports("checkpoint", REFUSALS["full"])
    setup.disk.heal()
    setup.is_well()
    wait_until((setup.gateway.data_dir / "state.checkpoint").exists, what="a checkpoint")


@pytest.mark.parametrize("trouble", ["full", "read_only"])
def test_a_start_on_a_disk_that_refuses_names_the_file_the_cause_and_the_remedy(site, trouble):
    setup = site(start=False)
    getattr(setup.disk, trouble)()
    gateway = setup.gateway.start()
    assert gateway.process.wait(10) == 73
    message = gateway.log()
    assert str(gateway.data_dir) in message and re.search(REFUSALS[trouble], message), message
    assert re.search("free|space on|may write|mount|look at the disk", message), f"no remedy in: {message}"
    setup.disk.heal()
    setup.start()
    setup.send_and_wait()


def test_health_reports_the_problems_too(site, mosquitto):
    late = mosquitto()
    late.stop()
    adapter = f"""[adapters.mqtt.late]
url = "mqtt://{HOST}:{late.port}"
topics = [ {{ filter = "late/{{device}}", format = "json" }} ]
"""
    setup = site(start=False, tables=adapter)
    setup.gateway.start()
    # The first health message follows `online`, which waits for the late adapter.
    setup.gateway.wait_log("connected and subscribed")
    setup.disk.full("journal")
    setup.send()
    setup.is_hit()
    late.start()
    setup.reports("journal", REFUSALS["full"])
    setup.received.wait_for(lambda: setup.received.on(HEALTH), 5, "health")
    assert any(re.search(REFUSALS["full"], problem) for problem in setup.received.on(HEALTH)[0]["problems"])
    setup.disk.heal()
    setup.everything_arrives()

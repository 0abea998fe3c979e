"""Brokers that are away, stall or die, a gateway that is killed, a full outbox: nothing lost that is not counted."""

import fcntl
import os
import random
import threading

import pytest

from gateway import ID, config
from peers import wait_until
from readings import assert_gap_free, now_millis, rfc3339

DEVICES = [f"dev{i}" for i in range(10)]


def seconds_of_readings(begin, seconds, devices=DEVICES):
    """One reading per device and second, from the past: each second is a window of its own."""
    return [
        (f"sensors/{d}/telemetry", {"temperature": 20.0 + s % 7, "ts": begin + s * 1000 + 500})
        for s in range(seconds)
        for d in devices
    ]


@pytest.fixture
def batch_start():
    return now_millis() // 1000 * 1000 - 600_000


def total(received):
    return sum(received.count(device, "temperature") for device in {a["device"] for a in received.aggregates()})


def test_a_cloud_that_is_down_at_boot_gets_everything_in_order(cloud, floor, sensor, received, riser, batch_start):
    cloud.stop()
    gateway = riser(config(cloud=cloud.port, floor=floor.port)).start()
    floor.wait_log("Received SUBSCRIBE", timeout=20)
    floor.wait_log("Sending SUBACK")
    sensor.send_all(seconds_of_readings(batch_start, 60))
    wait_until(lambda: gateway.audit()["queued"] >= 580, what="the windows in the outbox")
    assert gateway.audit()["in"] == 600 and gateway.audit()["published"] == 0
    cloud.start()
    received.wait_for(lambda: total(received) == 600, 40, "all readings")
    seqs = [b["seq"] for b in received.numbered()]
    assert_gap_free(received.numbered())
    assert seqs == sorted(seqs)
    gateway.wait_ledger(published=600)


def test_a_cloud_that_stalls_and_dies_midway_loses_nothing(cloud, floor, sensor, received, riser, batch_start):
    gateway = riser(config(cloud=cloud.port, floor=floor.port)).start()
    received.wait_online()
    cloud.save()
    messages = seconds_of_readings(batch_start, 120)
    for part in range(4):
        chunk = messages[part * 300 : (part + 1) * 300]
        sensor.send_all(chunk[:150])
        cloud.freeze()
        # What the broker has passed on must be read before it dies: its end resets the connection. The last message
        # may have been logged and not written, but then it is not acknowledged either.
        passed_on = cloud.log().count("Sending PUBLISH to cloud-application")
        received.wait_for(lambda n=passed_on: len(received.messages) >= n - 1, what="what the broker passed on")
        sensor.send_all(chunk[150:])
        wait_until(lambda: gateway.audit()["queued"] > 50, what="unacknowledged messages")
        cloud.kill()
        cloud.start()
        wait_until(received.client.is_connected, what="the cloud's application")
        cloud.wait_log(f"as riser-{ID} ", times=part + 2)
    received.wait_for(lambda: total(received) == 1200, 40, "all readings")
    assert_gap_free(received.numbered())
    gateway.wait_ledger(published=1200)


def test_every_seq_arrives_when_the_cloud_only_stalls(cloud, floor, sensor, riser, received, batch_start):
    gateway = riser(config(cloud=cloud.port, floor=floor.port, upstream='keep_alive = "5s"')).start()
    received.wait_online()
    sensor.send_all(seconds_of_readings(batch_start, 30))
    cloud.freeze()
    sensor.send_all(seconds_of_readings(batch_start + 30_000, 30))
    wait_until(lambda: gateway.audit()["queued"] > 100, what="unacknowledged messages")
    cloud.thaw()
    received.wait_for(lambda: total(received) == 600, 40, "all readings")
    assert_gap_free(received.numbered())


def test_a_killed_gateway_counts_every_acknowledged_reading_once(cloud, floor, sensor, riser, received):
    gateway = riser(config(cloud=cloud.port, floor=floor.port, journal='sync_every = "0s"')).start()
    received.wait_online()
    sent, stop = [], threading.Event()

    def send():
        chance = random.Random(7)
        while not stop.is_set():
            sensor.send(
                f"sensors/{chance.choice(DEVICES)}/telemetry", {"temperature": 21.0, "ts": now_millis(), "n": len(sent)}
            )
            sent.append(1)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        for target in (300, 900, 1500):
            wait_until(lambda target=target: len(sent) > target, 40, "messages under way")
            gateway.kill()
            gateway.start()
            boots = target // 600 + 2
            received.wait_for(lambda boots=boots: received.statuses().count("online") >= boots, 20, "online again")
    finally:
        stop.set()
        thread.join(20)
    received.wait_for(lambda: total(received) >= len(sent), 20, f"{len(sent)} readings")
    # Past the last window's end nothing may be added: exactly once, not at least once.
    wait_until(lambda: gateway.audit()["open"] == 0 and gateway.audit()["queued"] == 0, what="nothing left under way")
    assert total(received) == len(sent)
    assert_gap_free(received.numbered())


def test_a_full_outbox_drops_the_oldest_and_counts_it(cloud, floor, sensor, riser, received, batch_start):
    cloud_config = config(
        cloud=cloud.port,
        floor=floor.port,
        outbox='max_size = "1MiB"\nwhen_full = "drop_oldest"',
        more='[alerts.hot]\nmetric = "temperature"\nabove = 40.0',
    )
    gateway = riser(cloud_config).start()
    received.wait_online()
    cloud.stop()
    begin = batch_start - 500_000
    sensor.send("sensors/alarm/telemetry", {"temperature": 50.0, "ts": begin - 1000})
    sensor.send_all(seconds_of_readings(begin, 1000))
    gateway.wait_ledger(taken=10_001)
    wait_until(lambda: gateway.audit()["dropped"].get("outbox_full", 0) > 0, what="drops")
    cloud.start()
    wait_until(lambda: gateway.audit()["queued"] == 0, 30, "an empty outbox")
    ledger = gateway.audit()
    lost = ledger["dropped"].get("outbox_full", 0)
    assert 0 < lost < 10_000
    received.wait_for(lambda: total(received) >= ledger["published"], 20, "what was not dropped")
    assert total(received) == ledger["published"]
    assert ledger["in"] == 10_001
    gave_up = [r for r in ledger["dropped_ranges"] if r["reason"] == "outbox_full"]
    assert sum(r["readings"] for r in gave_up) == lost
    missing = set(range(1, max(b["seq"] for b in received.numbered()) + 1)) - {b["seq"] for b in received.numbered()}
    assert missing == {seq for r in gave_up for seq in range(r["from"], r["to"] + 1)}
    # Alerts go last, and what is left is the newest.
    assert [a["device"] for a in received.alerts()] == ["alarm"]
    assert received.latest("dev0")[-1]["window"]["start"] >= rfc3339(begin + 995_000)


def test_the_audit_balances_on_a_running_a_stopped_and_a_killed_gateway(main_job, sensor, received, batch_start):
    gateway = main_job()
    sensor.send_all(seconds_of_readings(batch_start, 20))
    sensor.send("sensors/dev0/telemetry", b"\xff\xfe not json")
    received.wait_for(lambda: total(received) == 200, what="all readings")
    gateway.wait_ledger(published=200)
    running = gateway.audit()
    assert running["in"] == 201 and running["dropped"].get("bad_payload") == 1
    assert gateway.stop() == 0
    # A gateway that does not run writes nothing.
    assert running.pop("disk")["bytes"] > 0
    assert gateway.audit() == running
    text = gateway.cli("audit", "--config", gateway.config, check=0).stdout
    assert "201" in text and "200" in text
    gateway.start()
    received.wait_for(lambda: received.statuses()[-2:] == ["offline", "online"], what="online again")
    sensor.send_all(seconds_of_readings(batch_start + 100_000, 20))
    gateway.wait_ledger(taken=401)
    gateway.kill()
    gateway.audit()


def test_a_start_waits_for_an_audit_that_still_reads_the_outbox(main_job, received):
    gateway = main_job()
    received.wait_for(lambda: "online" in received.statuses(), what="online")
    assert gateway.stop() == 0
    outbox = os.open(gateway.data_dir / "outbox", os.O_RDONLY)
    try:
        # As `riser audit` has it while it reads.
        fcntl.flock(outbox, fcntl.LOCK_EX)
        gateway.start()
        gateway.wait_log("perhaps `riser audit`")
    finally:
        os.close(outbox)
    received.wait_for(lambda: received.statuses()[-2:] == ["offline", "online"], what="online again")


def test_a_floor_broker_that_restarts_is_subscribed_again(main_job, floor, publisher, received):
    main_job()
    floor.kill()
    floor.start()
    floor.wait_log("Sending SUBACK to riser", times=2, timeout=30)
    publisher(floor.port).send("sensors/lounge/telemetry", {"temperature": 21.0})
    received.wait_count("lounge", "temperature", 1)


def test_without_an_upstream_readings_are_counted_as_having_nowhere_to_go(floor, sensor, riser):
    gateway = riser(config(floor=floor.port)).start()
    floor.wait_log("Sending SUBACK", timeout=20)
    sensor.send("sensors/lounge/telemetry", {"temperature": 21.0})
    wait_until(lambda: gateway.audit()["dropped"].get("no_upstream") == 1, what="the window's end")


def test_with_the_journal_off_a_kill_sends_no_window_twice(cloud, floor, sensor, received, riser, batch_start):
    text = config(cloud=cloud.port, floor=floor.port, journal="enabled = false", aggregate='window = "2s"')
    gateway = riser(text).start()
    received.wait_online()
    sensor.send("sensors/open/telemetry", {"temperature": 20.0})
    gateway.wait_ledger(open=1)
    assert gateway.stop() == 0
    gateway.start()
    received.wait_count("open", "temperature", 1, timeout=30)
    gateway.wait_ledger(published=1)
    gateway.kill()
    gateway.start()
    sensor.send("sensors/after/telemetry", {"temperature": 21.0})
    received.wait_count("after", "temperature", 1, timeout=30)
    assert len({(a["id"], a["seq"]) for a in received.aggregates("open")}) == 1
    gateway.wait_ledger(published=2)


def test_messages_kept_in_memory_are_made_again_after_a_kill_with_the_same_numbers(
    cloud, floor, sensor, received, riser, batch_start
):
    gateway = riser(config(cloud=cloud.port, floor=floor.port, outbox='spill_after = "1m"')).start()
    received.wait_online()
    sensor.send_all(seconds_of_readings(batch_start, 30))
    received.wait_for(lambda: total(received) == 300, 20, "all readings")
    log = sum(file.stat().st_size for file in (gateway.data_dir / "outbox").glob("*/*.journal"))
    assert log < 1000, "acknowledged in time, nothing was written"
    gateway.kill()
    gateway.start()
    received.wait_for(lambda: received.statuses().count("online") == 2, 20, "online again")
    sensor.send_all(seconds_of_readings(batch_start + 100_000, 30))
    received.wait_for(lambda: total(received) == 600, 20, "all readings")
    assert_gap_free(received.numbered())
    contents = {}
    for body in received.numbered():
        assert contents.setdefault(body["seq"], body) == body, "the same number is the same message"
    assert len(received.numbered()) > len(contents), "what was not written was sent again"
    assert gateway.stop() == 0
    assert gateway.audit()["published"] == 600

"""Clocks that are wrong and are put right, and hours in which the machine sleeps. Nothing lost, nothing twice.

The gateway runs with clocks of the test's own (clocks.Machine): its wall clock is what the test says, its monotonic
clock goes on by itself.
"""

import time

import pytest

from clocks import HOUR, Line, Machine
from gateway import config
from peers import wait_until
from readings import assert_gap_free

# Of 4 s, so that a test sees several; aligned to the epoch, as all are.
WINDOWS = 'window = "4s"\nlateness = "500ms"'


@pytest.fixture
def clock(tmp_path):
    return Machine(tmp_path / "clock")


@pytest.fixture
def running(cloud, floor, received, riser, clock):
    def run(cloud_port=None, **parts):
        text = config(cloud=cloud_port or cloud.port, floor=floor.port, **{"aggregate": WINDOWS, **parts})
        gateway = riser(text, env=clock.environment()).start()
        received.wait_online()
        return gateway

    return run


def send_for(sensor, seconds, start):
    """Ten readings a second, numbered; returns the next number."""
    number = start
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sensor.send("sensors/d/telemetry", {"n": number})
        number += 1
        time.sleep(0.1)
    return number


def newest_revisions(received):
    newest = {}
    for aggregate in received.aggregates("d"):
        known = newest.get(aggregate["id"])
        if known is None or aggregate["revision"] > known["revision"]:
            newest[aggregate["id"]] = aggregate
    return list(newest.values())


def check_whole(received, gateway, sent, others=0):
    """Every reading is in exactly one window, and no revision of a window comes twice with other contents.

    `others`: readings of other devices than d.
    """
    wait_until(
        lambda: sum(a["metrics"]["n"]["count"] for a in newest_revisions(received)) == sent,
        30,
        lambda: f"{sent} readings in {newest_revisions(received)}",
    )
    seen = {}
    for aggregate in received.aggregates("d"):
        key = (aggregate["id"], aggregate["revision"])
        assert seen.setdefault(key, aggregate) == aggregate
    ledger = gateway.wait_ledger(published=sent + others)
    assert ledger["in"] == sent + others and not ledger["dropped"], ledger


ALERTS = """
[alerts.too-hot]
metric = "temperature"
above = 40.0
[alerts.hot-for-long]
metric = "temperature"
above = 30.0
for = "5s"
[alerts.silent]
silent_for = "7s"
"""


def reported(received, alert):
    """(moment, device, state) of each, once: what comes again has the same `seq`."""
    first = {}
    for message in received.messages:
        if message.body and message.body.get("alert") == alert:
            first.setdefault(message.body["seq"], (message.at, message.body["device"], message.body["state"]))
    return list(first.values())


def test_1970_at_boot_loses_nothing_and_says_so(clock, sensor, received, running):
    clock.show(100)
    gateway = running()
    sent = send_for(sensor, 5, 0)
    clock.set(0)
    sent = send_for(sensor, 5, sent)
    check_whole(received, gateway, sent)
    qualities = {a["window"]["start"][:4]: a["time_quality"] for a in received.aggregates("d")}
    assert qualities["1970"] != "synced"
    latest = max(received.aggregates("d"), key=lambda a: a["window"]["start"])
    assert latest["time_quality"] == "synced" and latest["window"]["start"] > "2026"


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["an hour forward", "an hour back"])
def test_windows_survive_a_clock_set_in_mid_window(clock, sensor, received, running, step):
    gateway = running()
    sent = send_for(sensor, 5, 0)
    clock.set(step)
    sent = send_for(sensor, 6, sent)
    check_whole(received, gateway, sent)
    assert "stepped" in {a["time_quality"] for a in received.aggregates("d")}


def test_a_device_that_knows_the_time_is_heard_while_the_gateway_does_not(clock, sensor, received, running):
    clock.show(100)
    gateway = running()
    begin = int(time.time()) // 4 * 4 - 40
    for second in range(12):
        sensor.send("sensors/d/telemetry", {"n": second, "ts": begin + second})
    received.wait_for(lambda: len(newest_revisions(received)) >= 3, 20, "three windows of the device's own time")
    clock.set(0)
    check_whole(received, gateway, 12)
    assert {a["window"]["start"][:4] for a in received.aggregates("d")} == {time.strftime("%Y", time.gmtime())}


NIGHT = 8 * HOUR


def newest(received):
    return max(received.aggregates("d"), key=lambda a: a["window"]["start"])


def test_a_night_of_sleep_is_time_that_went_by(clock, sensor, received, running):
    gateway = running()
    sent = send_for(sensor, 5, 0)
    asleep = clock.now_rfc3339()
    clock.sleep(NIGHT)
    awake = clock.now_rfc3339()
    sent = send_for(sensor, 6, sent)
    check_whole(received, gateway, sent)
    assert {a["time_quality"] for a in received.aggregates("d")} == {"synced"}
    starts = sorted(a["window"]["start"] for a in received.aggregates("d"))
    before = [start for start in starts if start <= asleep]
    assert before and all(start[:17] >= awake[:17] for start in starts[len(before) :]), (asleep, awake, starts)
    assert "the clock was set" not in gateway.log()


def test_a_clock_that_is_set_on_waking_loses_nothing(clock, sensor, received, running):
    gateway = running()
    sent = send_for(sensor, 5, 0)
    clock.sleep(NIGHT)
    clock.set(-HOUR)
    sent = send_for(sensor, 6, sent)
    check_whole(received, gateway, sent)
    assert newest(received)["time_quality"] in ("stepped", "synced")


@pytest.fixture(params=["sleeps", "is killed", "is stopped"])
def night(request, clock):
    """How the gateway spends the night."""

    def pass_it(gateway):
        if request.param == "is killed":
            gateway.kill()
        elif request.param == "is stopped":
            assert gateway.stop() == 0
        clock.sleep(NIGHT)
        if request.param != "sleeps":
            gateway.start()

    return pass_it


def test_a_night_raises_no_alert_and_clears_none(clock, night, sensor, received, running):
    gateway = running(more=ALERTS)
    pending_since = time.time()
    sensor.send("sensors/boiler/telemetry", {"temperature": 50})
    received.wait_for(lambda: reported(received, "too-hot"), what="the alert")
    sensor.send("sensors/warm/telemetry", {"temperature": 35})
    sensor.send("sensors/quiet/telemetry", {"temperature": 20})
    wait_until(lambda: time.time() > pending_since + 2, what="a part of the time that the rules want")
    night(gateway)
    awake = time.time()
    received.wait_for(lambda: len(reported(received, "silent")) == 3, 30, "three silent devices")
    # Listened to for 7 s since, all three; the 5 s of heat go on where they were.
    assert all(at - awake > 6.5 for at, *_ in reported(received, "silent")), (awake, reported(received, "silent"))
    received.wait_for(lambda: len(reported(received, "hot-for-long")) == 2, 10, "the devices that stayed hot")
    for at, device, state in reported(received, "hot-for-long"):
        assert device in ("boiler", "warm") and state == "raised" and at - pending_since > 4.5
    assert [(device, state) for _, device, state in reported(received, "too-hot")] == [("boiler", "raised")]
    sensor.send("sensors/boiler/telemetry", {"temperature": 20})
    received.wait_for(lambda: len(reported(received, "too-hot")) == 2, what="the alert cleared")


def test_a_dead_connection_is_made_anew_within_seconds_of_waking(cloud, started, clock, sensor, received, running):
    line = started.keep(Line(cloud.port))
    gateway = running(cloud_port=line.port)
    before = line.connections
    line.die()
    clock.sleep(NIGHT)
    wait_until(lambda: line.connections > before, 10, "a new connection, although the keep-alive is 30 s")
    sent = send_for(sensor, 3, 0)
    check_whole(received, gateway, sent)


@pytest.mark.parametrize("step", [3 * HOUR, -3 * HOUR], ids=["three hours forward", "three hours back"])
def test_a_step_while_windows_alerts_and_the_outbox_have_work(clock, cloud, sensor, received, running, step):
    gateway = running(more=ALERTS)
    sensor.send("sensors/boiler/telemetry", {"temperature": 50})
    received.wait_for(lambda: reported(received, "too-hot"), what="the alert")
    cloud.stop()
    sensor.send("sensors/warm/telemetry", {"temperature": 35})
    pending_since = time.time()
    sent = send_for(sensor, 5, 0)
    clock.set(step)
    sent = send_for(sensor, 2, sent)
    cloud.start()
    sent = send_for(sensor, 2, sent)
    received.wait_for(lambda: len(reported(received, "silent")) == 3, 30, "three silent devices, which is all")
    assert all(at - pending_since > 6.5 for at, *_ in reported(received, "silent"))
    assert {device for _, device, _ in reported(received, "hot-for-long")} == {"boiler", "warm"}
    assert all(at - pending_since > 4.5 for at, device, _ in reported(received, "hot-for-long") if device == "warm")
    assert [(device, state) for _, device, state in reported(received, "too-hot")] == [("boiler", "raised")]
    check_whole(received, gateway, sent, others=2)
    assert_gap_free(received.numbered())


@pytest.mark.parametrize("cloud_is_there", [True, False], ids=["online", "offline"])
def test_1970_until_somebody_sets_the_clock(clock, cloud, floor, sensor, received, riser, cloud_is_there):
    """Devices that know the time and devices that do not, before and after."""
    clock.show(100)
    if not cloud_is_there:
        cloud.stop()
    text = config(cloud=cloud.port, floor=floor.port, aggregate=WINDOWS)
    gateway = riser(text, env=clock.environment()).start()
    floor.wait_log("Sending SUBACK to riser")
    sent = send_for(sensor, 5, 0)
    begin = int(time.time()) // 4 * 4 - 40
    for second in range(12):
        sensor.send("sensors/knows/telemetry", {"n": second, "ts": begin + second})
    clock.set(0)
    sent = send_for(sensor, 5, sent)
    for second in range(12, 30):
        sensor.send("sensors/knows/telemetry", {"n": second, "ts": begin + second})
    if not cloud_is_there:
        cloud.start()
    check_whole(received, gateway, sent, others=30)
    received.wait_count("knows", "n", 30)
    windows = [(a["window"]["start"], a["metrics"]["n"]["count"]) for a in received.latest("knows")]
    assert [count for _, count in windows] == [4] * 7 + [2] and windows[0][0] > "2026", windows
    qualities = {a["window"]["start"][:4]: a["time_quality"] for a in received.latest("d")}
    assert qualities.pop("1970") == "unsynced" and set(qualities.values()) <= {"synced", "stepped"}
    assert_gap_free(received.numbered())


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_restart_with_a_clock_behind_the_stored_time(clock, sensor, received, running, end):
    """A power cut on a board without a battery: the clock begins at 1970 again, and is set a little later."""
    gateway = running(more=ALERTS)
    sensor.send("sensors/boiler/telemetry", {"temperature": 50})
    received.wait_for(lambda: reported(received, "too-hot"), what="the alert")
    sent = send_for(sensor, 5, 0)
    getattr(gateway, end)()
    clock.show(100)
    gateway.start()
    restarted = time.time()
    sent = send_for(sensor, 5, sent)
    clock.set(0)
    sent = send_for(sensor, 5, sent)
    check_whole(received, gateway, sent, others=1)
    received.wait_for(lambda: len(reported(received, "silent")) == 2, 30, "two silent devices")
    assert all(at - restarted > 6.5 for at, *_ in reported(received, "silent")), (restarted, reported(received, "silent"))
    sensor.send("sensors/boiler/telemetry", {"temperature": 20})
    received.wait_for(lambda: len(reported(received, "too-hot")) == 2, what="the alert cleared")
    assert [state for *_, state in reported(received, "too-hot")] == ["raised", "cleared"]
    assert_gap_free(received.numbered())


def test_windows_open_at_a_stop_come_out_though_the_clock_stays_behind(clock, sensor, received, running):
    gateway = running()
    sent = send_for(sensor, 3, 0)
    gateway.kill()
    clock.set(-3 * HOUR)
    gateway.start()
    sent = send_for(sensor, 3, sent)
    check_whole(received, gateway, sent)

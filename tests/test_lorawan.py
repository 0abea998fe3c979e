"""LoRaWAN, from a forwarder's datagrams to the cloud and back: Riser is the network server."""

import json

import pytest

from gateway import HEALTH_EVERY_SECOND, ID, Riser, config
from lorawan import ABP, APP_KEY, PUSH_DATA, Forwarder, Node, abp_table, adapter_table, otaa_table
from peers import free_port, wait_until

ROOM, HALL = "a84041ffff000001", "a84041ffff000002"
# A `node` frame of fields: 21.47 Cel, 45 %RH.
FRAME = bytes.fromhex("01010863021194")
SLOW_WINDOWS = 'window = "5m"\nlateness = "10s"'


class LorawanSetup:
    """A gateway with a forwarder, and the cloud behind it."""

    def __init__(self, started, folder, cloud, received, devices, more="", adapter="", files=None, **parts):
        self.port = free_port()
        self.started, self.received = started, received
        text = config(cloud=cloud.port, floor=cloud.port, more=adapter_table(self.port, adapter) + devices + more, **parts)
        self.gateway = started.keep(Riser(folder / "gateway", text))
        for name, text in (files or {}).items():
            (self.gateway.folder / name).parent.mkdir(exist_ok=True)
            (self.gateway.folder / name).write_text(text)
        self.starts = 0

    def start(self):
        self.starts += 1
        self.gateway.start()
        line = f"lorawan: listens on 127.0.0.1:{self.port}"
        wait_until(lambda: self.gateway.log().count(line) == self.starts, what=lambda: f"{line!r} in {self.gateway.log()}")
        self.received.wait_online()
        return self

    def forwarder(self, **options):
        return self.started.keep(Forwarder(self.port, **options))


@pytest.fixture
def roof(started, tmp_path, cloud, received):
    """A factory: `roof(devices)` starts a gateway with these tables of devices."""
    return lambda devices, **parts: LorawanSetup(started, tmp_path, cloud, received, devices, **parts).start()


def readings(received, device, metric, count):
    """The values of a series, one a window or none: the last of each."""
    received.wait_for(lambda: received.count(device, metric) >= count, 30, f"{count} readings of {device} {metric}")
    assert received.count(device, metric) == count
    return [body["metrics"][metric] for body in received.latest(device) if metric in body["metrics"]]


def test_an_uplink_of_an_abp_device_becomes_readings_with_how_it_was_heard(roof, received):
    setup = roof(abp_table("lounge", ROOM, extra='zone = "floor-1/lounge"'))
    node, forwarder = Node(ROOM, **ABP), setup.forwarder()
    forwarder.push(node.uplink(FRAME), rssi=-97, lsnr=-3.2, datr="SF9BW125")
    [temperature] = readings(received, "lounge", "temperature", 1)
    [body] = received.aggregates("lounge")
    assert (body["protocol"], body["zone"]) == ("lorawan", "floor-1/lounge")
    assert (temperature["avg"], temperature["unit"]) == (21.47, "Cel")
    reported = {name: (metric["avg"], metric.get("unit")) for name, metric in body["metrics"].items()}
    airtime = reported.pop("airtime")
    assert reported == {
        "temperature": (21.47, "Cel"),
        "humidity": (45, "%RH"),
        "rssi": (-97, "dBm"),
        "snr": (-3.2, "dB"),
        "spreading_factor": (9, None),
        "frames_lost": (0, None),
    }
    # 16 bytes at SF9 (Semtech AN1200.13).
    assert airtime == (pytest.approx(0.185344), "s")
    # Frames 1 to 3 are not received; 4 is without a payload.
    node.fcnt = 4
    forwarder.push(node.uplink(None))
    assert [summary["avg"] for summary in readings(received, "lounge", "frames_lost", 2)] == [0, 3]
    assert received.count("lounge", "temperature") == 1
    assert setup.gateway.wait_ledger(taken=12)["dropped"] == {}


def test_a_device_without_a_codec_reports_only_how_it_was_heard_and_a_bad_payload_is_counted(roof, received):
    codecless = abp_table("lounge", ROOM).replace('codec = "node"\n', "")
    hall = abp_table("hall", HALL).replace(ABP["address"], "26011bdb")
    setup = roof(codecless + hall)
    forwarder = setup.forwarder()
    forwarder.push(Node(ROOM, **ABP).uplink(FRAME))
    forwarder.push(Node(HALL, **ABP | {"address": "26011bdb"}).uplink(b"\x07nonsense"))
    readings(received, "lounge", "rssi", 1)
    readings(received, "hall", "rssi", 1)
    assert not any("temperature" in body["metrics"] for body in received.aggregates())
    setup.gateway.wait_ledger(taken=12, bad_payload=1, no_codec=1)
    assert "no codec that reads its payload: write `codec = " in setup.gateway.log()
    assert "[devices.lounge]" in setup.gateway.log()


def test_a_device_is_read_by_a_codec_in_javascript(roof, received):
    table = abp_table("lounge", ROOM).replace('codec = "node"', 'codec = "codecs/room.js"')
    script = "function decodeUplink(input) { return { data: { TempC_SHT: input.bytes[0], port: input.fPort } }; }"
    setup = roof(table, files={"codecs/room.js": script})
    setup.forwarder().push(Node(ROOM, **ABP).uplink(b"\x15", port=7))
    [temperature] = readings(received, "lounge", "temperature", 1)
    assert (temperature["avg"], temperature["unit"]) == (21, "Cel")
    assert [summary["avg"] for summary in readings(received, "lounge", "port", 1)] == [7]
    setup.gateway.wait_ledger(taken=7)


def test_a_device_joins_and_is_heard_and_goes_on_after_a_kill_where_a_replay_is_refused(roof, received):
    setup = roof(otaa_table("lounge", ROOM), aggregate=SLOW_WINDOWS)
    node, forwarder = Node(ROOM, app_key=APP_KEY), setup.forwarder()
    forwarder.pull()
    request = node.join_request()
    forwarder.push(request)
    frame, txpk = forwarder.downlink()
    assert (txpk["freq"], txpk["datr"], txpk["tmst"]) == (868.1, "SF7BW125", forwarder.tmst + 5_000_000)
    accept = node.open_accept(frame)
    assert accept["net_id"] == "000000"
    # It was stored before it left.
    setup.gateway.kill()
    setup.start()
    forwarder.pull()
    first = node.uplink(FRAME)
    forwarder.push(first)
    setup.gateway.wait_log("has joined as " + accept["address"])
    setup.gateway.wait_ledger(taken=7)
    setup.gateway.kill()
    setup.start()
    forwarder.push(first)
    forwarder.push(request)
    setup.gateway.wait_log("lorawan: refused: the frame's counter was in use before")
    forwarder.push(node.uplink(FRAME))
    ledger = setup.gateway.wait_ledger(taken=16)
    assert ledger["dropped"] == {"replay": 1, "dev_nonce": 1}


def test_what_a_kill_kept_from_the_sessions_file_the_journal_knows(roof):
    setup = roof(abp_table("lounge", ROOM), aggregate=SLOW_WINDOWS)
    node, forwarder = Node(ROOM, **ABP), setup.forwarder()
    frame = node.uplink(FRAME)
    forwarder.push(frame)
    setup.gateway.wait_ledger(taken=7)
    setup.gateway.kill()
    # As if the machine had lost its power before the counter was written.
    for file in setup.gateway.data_dir.glob("lorawan.db*"):
        file.unlink()
    setup.start()
    forwarder.push(frame)
    setup.gateway.wait_ledger(taken=8, duplicate=1)


def test_a_frame_that_two_forwarders_hear_counts_once_with_the_best_reception(roof, received):
    setup = roof(abp_table("lounge", ROOM))
    near, far = setup.forwarder(), setup.forwarder(eui="aa555a0000000102")
    frame = Node(ROOM, **ABP).uplink(FRAME)
    far.push(frame, rssi=-110, lsnr=-9.5)
    near.push(frame, rssi=-60, lsnr=8.0)
    far.push(frame, rssi=-110, lsnr=-9.5)
    [rssi] = readings(received, "lounge", "rssi", 1)
    assert rssi["avg"] == -60
    setup.gateway.wait_ledger(taken=7)


def test_a_confirmed_uplink_is_acknowledged_once_it_is_in_the_journal(roof):
    setup = roof(abp_table("lounge", ROOM), aggregate=SLOW_WINDOWS, journal='sync_every = "0s"')
    node, forwarder = Node(ROOM, **ABP), setup.forwarder()
    forwarder.pull()
    frame = node.uplink(FRAME, confirmed=True)
    forwarder.push(frame)
    answer, txpk = forwarder.answer(node)
    setup.gateway.kill()
    assert answer["ack"]
    assert txpk["tmst"] == forwarder.tmst + 5_000_000
    setup.start()
    forwarder.pull()
    # The acknowledgement was lost, so the node sends again: answered again under another counter, and counted once.
    forwarder.push(frame)
    again, _ = forwarder.answer(node)
    assert again["ack"] and again["fcnt"] > answer["fcnt"]
    setup.gateway.wait_ledger(taken=7)


def alert(more=""):
    return (
        '[alerts.too-hot]\nmetric = "temperature"\nabove = 40.0\n'
        f'actions = [ {{ adapter = "lorawan.roof", device = "hall", port = 10, payload = "hex:0aff"{more} }} ]\n'
    )


def test_an_alerts_action_reaches_a_device_after_its_next_uplink(roof, received):
    hall = otaa_table("hall", HALL)
    setup = roof(abp_table("lounge", ROOM) + hall, more=alert(", confirmed = true"))
    lounge, hall, forwarder = Node(ROOM, **ABP), Node(HALL, app_key=APP_KEY), setup.forwarder()
    forwarder.pull()
    forwarder.push(hall.join_request())
    hall.open_accept(forwarder.downlink()[0])
    forwarder.push(hall.uplink(FRAME))
    readings(received, "hall", "rssi", 1)
    # 45 Cel.
    forwarder.push(lounge.uplink(bytes.fromhex("01011194021194")))
    received.wait_for(lambda: received.alerts("lounge"), 20, "the alert")
    assert forwarder.hears_nothing_for(hall, 0.5)
    forwarder.push(hall.uplink(FRAME))
    command, _ = forwarder.answer(hall)
    assert (command["port"], command["payload"], command["confirmed"]) == (10, b"\x0a\xff", True)
    assert "action taken" not in setup.gateway.log()
    forwarder.push(hall.uplink(None, acknowledges=True))
    setup.gateway.wait_log("action taken")


def test_a_device_of_class_c_is_commanded_at_once(roof, received):
    hall = abp_table("hall", HALL, more=', class = "C"').replace(ABP["address"], "26011bdb")
    setup = roof(abp_table("lounge", ROOM) + hall, more=alert())
    hall, forwarder = Node(HALL, **ABP | {"address": "26011bdb"}), setup.forwarder()
    forwarder.pull()
    forwarder.push(Node(ROOM, **ABP).uplink(bytes.fromhex("01011194021194")))
    command, txpk = forwarder.answer(hall)
    assert (txpk["imme"], txpk["freq"], txpk["datr"]) == (True, 869.525, "SF12BW125")
    assert command["payload"] == b"\x0a\xff"
    setup.gateway.wait_log("action taken")


def wait_figures(received, expected):
    """Waits until `health` shows these numbers; all of them."""

    def figures():
        messages = received.on(f"building/gateways/{ID}/health")
        return messages[-1]["adapters"]["lorawan.roof"]["figures"] if messages else {}

    wait_until(lambda: expected.items() <= figures().items(), 90, figures)
    return figures()


def test_refused_frames_of_known_devices_are_dropped_readings_by_reason_and_foreign_ones_are_none(roof):
    setup = roof(abp_table("lounge", ROOM) + otaa_table("hall", HALL), aggregate=SLOW_WINDOWS)
    node, joins, forwarder = Node(ROOM, **ABP), Node(HALL, app_key=APP_KEY), setup.forwarder()
    frames = [node.uplink(FRAME) for _ in range(2)]
    for frame in frames:
        forwarder.push(frame)
    setup.gateway.wait_ledger(taken=14)
    forwarder.push(frames[0])
    node.fcnt = 30_000
    forwarder.push(node.uplink(FRAME))
    forwarder.push(frames[1][:-1] + bytes([frames[1][-1] ^ 1]))
    request = joins.join_request()
    forwarder.push(request)
    setup.gateway.wait_log("lorawan: refused")
    # Beyond the time in which copies of a frame are one frame.
    setup.gateway.wait_ledger(taken=17, replay=1, counter_gap=1, bad_mic=1)
    forwarder.push(request)
    foreign = Node("a84041ffff0000ff", **ABP | {"address": "26000001"})
    forwarder.push(foreign.uplink(FRAME))
    setup.gateway.wait_ledger(taken=18, dev_nonce=1)
    assert setup.gateway.stop() == 0
    assert setup.gateway.audit()["dropped"] == {"replay": 1, "counter_gap": 1, "bad_mic": 1, "dev_nonce": 1}


def test_a_first_frame_with_the_counter_0_is_taken_behind_fcnt_up_0(roof):
    setup = roof(abp_table("lounge", ROOM, more=", fcnt_up = 0"))
    forwarder = setup.forwarder()
    forwarder.push(Node(ROOM, **ABP).uplink(FRAME))
    assert setup.gateway.wait_ledger(taken=7)["dropped"] == {}


def test_a_reload_lets_a_device_start_again_whose_batteries_were_changed(roof):
    setup = roof(abp_table("lounge", ROOM), aggregate=SLOW_WINDOWS)
    node, forwarder = Node(ROOM, **ABP), setup.forwarder()
    node.fcnt = 100
    forwarder.push(node.uplink(FRAME))
    setup.gateway.wait_ledger(taken=7)
    node.fcnt = 0
    forwarder.push(node.uplink(FRAME))
    setup.gateway.wait_ledger(taken=8, replay=1)
    setup.gateway.rewrite("rx_delay = 5", "rx_delay = 5, resets = true")
    setup.gateway.reload()
    line = f"lorawan: listens on 127.0.0.1:{setup.port}"
    wait_until(lambda: setup.gateway.log().count(line) == 2, what=setup.gateway.log)
    forwarder.push(node.uplink(FRAME))
    setup.gateway.wait_ledger(taken=15, replay=1)
    # From there on its counter counts.
    node.fcnt = 100
    forwarder.push(node.uplink(FRAME))
    setup.gateway.wait_ledger(taken=22, replay=1)


def test_of_several_forwarders_those_on_the_lists_are_heard(roof):
    setup = roof(
        abp_table("lounge", ROOM),
        adapter='gateways = ["aa555a0000000101", "aa555a0000000102"]\nnetworks = ["127.0.0.1/32", "127.0.0.2/32"]',
        aggregate=SLOW_WINDOWS,
    )
    node = Node(ROOM, **ABP)
    first = setup.forwarder()
    second = setup.forwarder(eui="aa555a0000000102", host="127.0.0.2")
    unlisted = setup.forwarder(eui="aa555a0000000103", host="127.0.0.2")
    elsewhere = setup.forwarder(eui="aa555a0000000102", host="127.0.0.3")
    for forwarder in (unlisted, elsewhere):
        forwarder.send(PUSH_DATA, json.dumps({"rxpk": [forwarder.rxpk(node.uplink(FRAME))]}).encode())
    setup.gateway.wait_log("the forwarder's EUI is not among those allowed")
    second.push(node.uplink(FRAME), rssi=-60)
    setup.gateway.wait_ledger(taken=7)
    first.push(node.uplink(FRAME), rssi=-70)
    assert setup.gateway.wait_ledger(taken=14)["dropped"] == {}


def test_a_forwarder_that_has_used_up_its_air_time_is_reported_in_health_and_sends_no_more(roof, received):
    setup = roof(
        abp_table("lounge", ROOM), gateway=HEALTH_EVERY_SECOND, aggregate=SLOW_WINDOWS, journal='sync_every = "0s"'
    )
    node, forwarder = Node(ROOM, **ABP), setup.forwarder()
    forwarder.pull()
    band = "gateway_aa555a0000000101_band_h1.5"
    # 868.8 MHz: one in a thousand, 3.6 s an hour; an answer at SF12 takes more than a second. Then the second window.
    answers = []
    for _ in range(5):
        forwarder.push(node.uplink(FRAME, confirmed=True), freq=868.8, datr="SF12BW125")
        answers.append(forwarder.answer(node)[1]["freq"])
    assert answers == [868.8, 868.8, 868.8, 869.525, 869.525]
    figures = wait_figures(received, {f"{band}_allowed_ms": 3_600})
    assert 2_400 < figures[f"{band}_used_ms"] <= 3_600


def test_what_is_refused_is_counted_by_its_reason(roof, received):
    setup = roof(
        abp_table("lounge", ROOM) + otaa_table("hall", HALL),
        adapter='gateways = ["aa555a0000000101"]\nnetworks = ["127.0.0.0/30"]',
        gateway=HEALTH_EVERY_SECOND,
    )
    node, forwarder = Node(ROOM, **ABP), setup.forwarder()
    good = node.uplink(FRAME)
    forwarder.push(good, stat=-1)
    forwarder.push(good, stat=0)
    forwarder.push(good[:-1] + bytes([good[-1] ^ 1]))
    forwarder.push(good[:1] + b"\0\0\0\0" + good[5:])
    forwarder.push(Node("a84041ffff0000ff", app_key=APP_KEY).join_request())
    forwarder.push(Node(HALL, app_key="44" * 16).join_request())
    forwarder.send(PUSH_DATA, b"{")
    forwarder.send(9)
    setup.forwarder(eui="aa555a0000000109").send(PUSH_DATA, b"{}")
    setup.started.keep(Forwarder(setup.port, host="127.0.0.9")).send(PUSH_DATA, b"{}")
    forwarder.push(good)
    readings(received, "lounge", "temperature", 1)
    wrong = {
        "crc_failed": 1,
        "crc_missing": 1,
        "mic": 2,
        "address_unknown": 1,
        "device_unknown": 1,
        "json": 1,
        "datagram_kind": 1,
        "gateway_unknown": 1,
        "network": 1,
    }
    expected = {f"refused_{reason}": count for reason, count in wrong.items()} | {"uplinks": 1, "devices": 2, "gateways": 1}
    assert "gateway_aa555a0000000101_silent_s" in wait_figures(received, expected)
    # Those of devices that are known here are in the ledger too: one with a forged MIC, one that joins with a wrong key.
    assert setup.gateway.wait_ledger(taken=9)["dropped"] == {"bad_mic": 2}


def test_keys_lie_in_files_and_are_nowhere_to_be_seen(roof, received, tmp_path):
    keys = tmp_path / "lounge.key"
    keys.write_text(APP_KEY + "\n")
    keys.chmod(0o600)
    table = otaa_table("lounge", ROOM).replace(f'app_key = "{APP_KEY}"', f'app_key_file = "{keys}"')
    setup = roof(table)
    node, forwarder = Node(ROOM, app_key=APP_KEY), setup.forwarder()
    forwarder.pull()
    forwarder.push(node.join_request())
    node.open_accept(forwarder.downlink()[0])
    forwarder.push(node.uplink(FRAME))
    readings(received, "lounge", "temperature", 1)
    reported = setup.gateway.log() + json.dumps([message.raw.decode() for message in received.messages])
    for key in (APP_KEY, node.nwk.hex(), node.app.hex()):
        assert key not in reported
    for file in setup.gateway.data_dir.glob("lorawan.db*"):
        assert file.stat().st_mode & 0o077 == 0, file

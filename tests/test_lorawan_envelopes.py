"""Devices behind a LoRaWAN network server: what The Things Stack and ChirpStack publish, and codecs in files."""

import base64

import pytest

from gateway import Riser, config
from peers import Collector, Mosquitto, Publisher
from readings import assert_summary, now_millis, rfc3339, window_ahead

TOPICS = [
    ("v3/+/devices/{device}/up", "ttn"),
    ("v3/+/devices/{device}/join", "ttn"),
    ("application/+/device/{device}/event/+", "chirpstack"),
    ("relay/ttn", "ttn"),
]

RAW_JS = """
function decodeUplink(input) {
  if (input.bytes[0] === 255) while (true) {}
  return { data: { TempC_SHT: (input.bytes[0] << 8 | input.bytes[1]) / 10, port: input.fPort } };
}
"""

TABLE = 'fields = [{ name = "temperature", type = "i16be", scale = 0.1 }]\n'

DEVICES = """
[devices.js]
address = "70B3D57ED0000001"
codec = "codecs/raw.js"
[devices.table]
address = "table-by-topic"
codec = "codecs/raw.toml"
[devices.lpp]
address = "70b3d57ed0000003"
codec = "cayenne-lpp"
[devices.steady]
codec = "codecs/raw.js"
[devices.changing]
codec = "codecs/changing.js"
"""


def changing(factor):
    return f"function Decoder(bytes, port) {{ return {{ level: bytes[0] * {factor} }}; }}"


class Building:
    def __init__(self, folder):
        self.floor, self.cloud = Mosquitto(folder / "floor"), Mosquitto(folder / "cloud")
        self.floor.start()
        self.cloud.start()
        self.received = Collector(self.cloud.port)
        self.server = Publisher(self.floor.port)
        text = config(cloud=self.cloud.port, floor=self.floor.port, topics=TOPICS, more=DEVICES)
        self.gateway = Riser(folder / "riser", text)
        self.codecs = self.gateway.folder / "codecs"
        self.codecs.mkdir()
        (self.codecs / "raw.js").write_text(RAW_JS)
        (self.codecs / "raw.toml").write_text(TABLE)
        (self.codecs / "changing.js").write_text(changing(1))
        self.gateway.start()
        self.received.wait_online()

    def ttn(self, device, event="up", topic=None, at=None, dev_eui=None, **uplink):
        """What The Things Stack publishes; `uplink` is part of its `uplink_message`."""
        ids = {"device_id": device, "application_ids": {"application_id": "floors"}}
        message = {"end_device_ids": ids | ({"dev_eui": dev_eui} if dev_eui else {})}
        if event == "up":
            message["uplink_message"] = uplink | ({"received_at": at} if at else {})
        else:
            message["join_accept"] = {"session_key_id": "AA==", "received_at": rfc3339(now_millis())}
        self.server.send(topic or f"v3/floors@ttn/devices/{device}/{event}", message)

    def chirpstack(self, event, dev_eui, **members):
        info = {"deviceName": "Room 7", "devEui": dev_eui, "tags": {}}
        message = {"deduplicationId": "3c1f", "time": rfc3339(now_millis()), "deviceInfo": info} | members
        self.server.send(f"application/1/device/{dev_eui}/event/{event}", message)

    def metrics(self, device, **counts):
        """Waits until each metric has so many readings; their summaries, of the last window."""
        for metric, count in counts.items():
            self.received.wait_count(device, metric, count)
        merged = {}
        for body in self.received.latest(device):
            merged.update(body["metrics"])
        return merged

    def dropped(self, reason="bad_payload"):
        return self.gateway.audit()["dropped"].get(reason, 0)

    def close(self):
        for thing in (self.gateway, self.server, self.received, self.floor, self.cloud):
            thing.close()


@pytest.fixture(scope="module")
def building(tmp_path_factory):
    setup = Building(tmp_path_factory.mktemp("lorawan"))
    yield setup
    setup.close()


def b64(*octets):
    return base64.b64encode(bytes(octets)).decode()


RECEIVERS = [{"rssi": -101, "snr": -3.5}, {"gateway_ids": {"gateway_id": "roof"}, "rssi": -97, "snr": 4.25}]
LORA = {"data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 9}}, "frequency": "868100000"}


def test_an_uplink_that_the_server_decoded_becomes_aggregates_with_its_radio(building):
    at = window_ahead() - 20_000 + 250
    building.ttn(
        "decoded",
        at=rfc3339(at),
        f_port=2,
        frm_payload="AQI=",
        decoded_payload={"TempC_SHT": 21.5, "door": {"open": True}, "model": "x"},
        rx_metadata=RECEIVERS,
        settings=LORA,
    )
    metrics = building.metrics("decoded", temperature=1, rssi=1, snr=1, spreading_factor=1)
    assert set(metrics) == {"temperature", "door.open", "rssi", "snr", "spreading_factor"}
    assert_summary(metrics["temperature"], [21.5])
    assert [metrics[name]["avg"] for name in ("rssi", "snr", "spreading_factor")] == [-97, 4.25, 9]
    assert [metrics[name]["unit"] for name in ("temperature", "rssi", "snr")] == ["Cel", "dBm", "dB"]
    assert building.received.latest("decoded")[0]["window"]["start"] == rfc3339(at - 250), "the time of the server"


def test_a_device_with_a_codec_in_a_file_is_read_by_it_and_found_by_its_dev_eui(building):
    uplink = {"f_port": 7, "frm_payload": b64(0, 215), "decoded_payload": {"temperature": -99}}
    building.ttn("any-name", dev_eui="70B3D57ED0000001", **uplink)
    metrics = building.metrics("js", temperature=1, port=1)
    assert_summary(metrics["temperature"], [21.5])
    assert metrics["port"]["avg"] == 7
    building.ttn("table-by-topic", f_port=1, frm_payload=b64(255, 231))
    assert_summary(building.metrics("table", temperature=1)["temperature"], [-2.5])
    building.ttn("lpp", topic="relay/ttn", dev_eui="70B3D57ED0000003", frm_payload=b64(3, 0x67, 1, 16))
    assert_summary(building.metrics("lpp", temperature_3=1)["temperature_3"], [27.2])


def test_chirpstacks_uplink_join_and_status(building):
    eui, before = "70b3d57ed00000aa", building.dropped()
    building.chirpstack("join", eui, devAddr="00189440", relayRxInfo=None, joinServerContext=None)
    building.chirpstack(
        "up",
        eui.upper(),
        fPort=2,
        data="AQI=",
        object={"temperature": 21.5, "fault": None},
        rxInfo=[{"rssi": -101, "snr": -3.5, "location": None}, {"rssi": -97, "snr": 4.25}],
        txInfo={"modulation": {"lora": {"spreadingFactor": 9}}},
    )
    building.chirpstack("status", eui, margin=10, externalPowerSource=False, batteryLevel=88.5)
    for event, members in (
        ("ack", {"acknowledged": True}),
        ("txack", {"downlinkId": 1, "txInfo": {}}),
        ("log", {"level": "ERROR", "code": "UPLINK_MIC"}),
        ("location", {"location": {"latitude": 1.5, "longitude": 2.5}}),
        ("integration", {"integrationName": "loracloud", "object": {"temp": 25.0}}),
    ):
        building.chirpstack(event, eui, **members)
    names = ("temperature", "rssi", "snr", "spreading_factor", "battery", "margin", "external_power_source")
    metrics = building.metrics(eui, **dict.fromkeys(names, 1))
    assert set(metrics) == set(names)
    assert [metrics[name]["avg"] for name in names] == [21.5, -97, 4.25, 9, 88.5, 10, 0]
    assert metrics["battery"]["unit"] == "%EL"
    assert building.dropped() == before


def test_bytes_that_no_one_can_read_are_counted_and_reported_and_the_radio_is_kept(building):
    before = building.dropped("no_codec")
    building.ttn("unreadable", event="join")
    building.ttn("unreadable", f_port=1, frm_payload="AQI=", rx_metadata=RECEIVERS)
    assert set(building.metrics("unreadable", rssi=1, snr=1)) == {"rssi", "snr"}
    assert building.dropped("no_codec") == before + 1
    building.gateway.wait_log("the device has no codec")


def test_a_codec_that_loops_harms_only_its_device(building):
    before = building.dropped()
    for _ in range(6):
        building.ttn("looping", dev_eui="70B3D57ED0000001", frm_payload=b64(255))
        building.ttn("steady", frm_payload=b64(0, 215))
    building.received.wait_count("steady", "temperature", 6)
    building.gateway.wait_ledger(bad_payload=before + 6)


def test_a_reload_takes_a_changed_codec_and_keeps_the_old_one_where_the_new_one_is_broken(building):
    gateway, file = building.gateway, building.codecs / "changing.js"
    building.ttn("changing", frm_payload=b64(3))
    assert_summary(building.metrics("changing", level=1)["level"], [3])

    file.write_text("function Decoder(bytes, port) {\n  return {;\n}\n")
    gateway.reload()
    gateway.wait_log("the old one stays in force")
    assert "changing.js:2:" in gateway.log()
    building.ttn("changing", frm_payload=b64(4))
    building.received.wait_count("changing", "level", 2)

    file.write_text(changing(10))
    gateway.reload()
    gateway.wait_log("the new configuration is in force")
    building.ttn("changing", frm_payload=b64(5))
    building.received.wait_count("changing", "level", 3)
    maxima = [body["metrics"]["level"]["max"] for body in building.received.latest("changing")]
    assert maxima[-1] == 50 and max(maxima[:-1], default=4) <= 4, "none but the last by the new codec"


def test_check_reports_where_a_codec_is_broken(riser):
    text = config(floor=1, topics=TOPICS, more='[devices.a]\ncodec = "codecs/a.js"\n[devices.b]\ncodec = "codecs/b.toml"\n')
    gateway = riser(text)
    (gateway.folder / "codecs").mkdir()
    (gateway.folder / "codecs" / "a.js").write_text("function decodeUplink(input) {\n  return {;\n}\n")
    (gateway.folder / "codecs" / "b.toml").write_text('fields = [\n  { name = "t", type = "u9" },\n]\n')
    said = gateway.cli("check", "--no-environment", "--config", "gateway.toml", check=78).stdout
    assert "error: devices.a.codec: codecs/a.js:2:" in said
    assert "error: devices.b.codec: codecs/b.toml:2:" in said


def test_frames_that_never_came_are_reported_by_the_counter(building):
    before = building.dropped()
    for counter in (5, 6, 9, 9, 2, 3):
        building.ttn("gaps", f_port=1, f_cnt=counter, decoded_payload={"level": counter}, consumed_airtime="0.061696s")
    metrics = building.metrics("gaps", level=6, airtime=6, frames_lost=3)
    assert (metrics["airtime"]["avg"], metrics["airtime"]["unit"]) == (0.061696, "s")
    lost = [body["metrics"]["frames_lost"] for body in building.received.latest("gaps") if "frames_lost" in body["metrics"]]
    assert sum(one["avg"] * one["count"] for one in lost) == 2 and max(one["max"] for one in lost) == 2
    eui = "70b3d57ed00000bb"
    for counter in (0, 4):
        building.chirpstack("up", eui, fPort=1, fCnt=counter, object={"level": counter})
    assert building.metrics(eui, level=2, frames_lost=1)["frames_lost"]["max"] == 3
    assert building.dropped() == before

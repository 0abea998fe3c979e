"""Each payload format of the MQTT adapter, as the devices send it; one gateway for all of them."""

import json
from datetime import datetime, timedelta

import pytest

from gateway import ID, Riser, config
from peers import Collector, Mosquitto, Publisher
from readings import assert_summary, rfc3339, window_ahead

TOPICS = [
    ("sensors/{device}/telemetry", "json"),
    ("values/{device}/{metric}", "value"),
    ("senml/{device}", "senml"),
    ("zigbee2mqtt/{device}", "zigbee2mqtt"),
    ("tele/{device}/SENSOR", "tasmota"),
    ("shelly/{device}/#", "shelly"),
    ("nodes/{device}", "node"),
    '{ filter = "csv/{device}", format = "csv", columns = ["temperature", "", "humidity"] }',
    '{ filter = "lines", format = "csv", columns = ["time", "device", "temperature"] }',
]

DEVICES = """
[devices.attic]
codec = "node"
"""


class Building:
    def __init__(self, folder):
        self.floor, self.cloud = Mosquitto(folder / "floor"), Mosquitto(folder / "cloud")
        self.floor.start()
        self.cloud.start()
        self.received = Collector(self.cloud.port)
        self.sensor = Publisher(self.floor.port)
        self.gateway = Riser(
            folder / "riser", config(cloud=self.cloud.port, floor=self.floor.port, topics=TOPICS, more=DEVICES)
        ).start()
        self.received.wait_online()

    def send(self, topic, payload):
        self.sensor.send(topic, payload)

    def metrics(self, device, **counts):
        """Waits until each metric has so many readings; their summaries, of the last window."""
        for metric, count in counts.items():
            self.received.wait_count(device, metric, count)
        merged = {}
        for body in self.received.latest(device):
            merged.update(body["metrics"])
        return merged

    def dropped(self):
        return sum(self.gateway.audit()["dropped"].values())

    def close(self):
        for thing in (self.gateway, self.sensor, self.received, self.floor, self.cloud):
            thing.close()


@pytest.fixture(scope="module")
def building(tmp_path_factory):
    setup = Building(tmp_path_factory.mktemp("formats"))
    yield setup
    setup.close()


@pytest.mark.parametrize(
    "text, number", [("21.5", 21.5), (" -3\n", -3.0), ("1e3", 1000.0), ("true", 1.0), ("false", 0.0)]
)
def test_value_is_a_number_as_text(building, text, number):
    device = f"value-{number}"
    building.send(f"values/{device}/reading", text)
    assert_summary(building.metrics(device, reading=1)["reading"], [number])


@pytest.mark.parametrize("key", ["time", "timestamp", "ts"])
@pytest.mark.parametrize("form", ["rfc3339", "seconds", "milliseconds"])
def test_json_reports_the_event_time_in_three_keys_and_three_forms(building, key, form):
    at = window_ahead() - 20_000 + 250
    device = f"json-{key}-{form}"
    building.send(
        f"sensors/{device}/telemetry",
        {"temperature": 21.5, key: {"rfc3339": rfc3339(at), "seconds": at / 1000, "milliseconds": at}[form]},
    )
    assert set(building.metrics(device, temperature=1)) == {"temperature"}
    assert building.received.latest(device)[0]["window"]["start"] == rfc3339(at - 250)


def test_json_nests_with_dots_and_counts_booleans(building):
    building.send(
        "sensors/nested/telemetry",
        {"a": {"b": {"c": 1}, "on": True}, "x": None, "s": "text", "l": [1], "big": 12345678901},
    )
    metrics = building.metrics("nested", **{"a.b.c": 1, "a.on": 1, "big": 1})
    assert set(metrics) == {"a.b.c", "a.on", "big"}
    assert metrics["a.on"]["last"] == 1 and "duration" in metrics["a.on"], "a boolean is a state"


def test_senml_resolves_bases_units_and_times(building):
    at = (window_ahead() - 20_000) / 1000
    building.send(
        "senml/pack",
        [
            {"bn": "urn:dev:ow:10e2073a01080063:", "bt": at, "bu": "Cel", "n": "temperature", "v": 20.0},
            {"n": "temperature", "t": 0.5, "v": 22.0},
            {"n": "humidity", "u": "%RH", "v": 45.5},
            {"n": "open", "vb": True},
            {"n": "label", "vs": "text"},
        ],
    )
    metrics = building.metrics("pack", temperature=2, humidity=1, open=1)
    assert_summary(metrics["temperature"], [20.0, 22.0])
    assert metrics["temperature"]["unit"] == "Cel" and metrics["humidity"]["unit"] == "%RH"
    assert building.received.latest("pack")[0]["window"]["start"] == rfc3339(round(at * 1000))


def test_zigbee2mqtt_names_may_have_slashes_and_its_own_topics_are_no_devices(building):
    before = building.dropped()
    topic = "zigbee2mqtt/floor 1/kitchen/lamp"
    building.send(
        topic, {"temperature": 21.5, "occupancy": True, "battery": 97, "linkquality": 120, "update": {"state": "idle"}}
    )
    for other, payload in (
        ("zigbee2mqtt/bridge/state", {"state": "online"}),
        ("zigbee2mqtt/bridge/logging", {"level": "info", "x": 1}),
        (f"{topic}/set", {"state": "ON", "brightness": 3}),
        (f"{topic}/get", {"state": ""}),
        (f"{topic}/availability", "online"),
        (f"{topic}/availability", {"state": "offline"}),
        ("zigbee2mqtt/plug/availability", {"state": "online"}),
    ):
        building.send(other, payload)
    metrics = building.metrics("floor 1/kitchen/lamp", temperature=1, occupancy=1, battery=1)
    assert metrics["temperature"]["unit"] == "Cel" and metrics["occupancy"]["last"] == 1
    assert "brightness" not in metrics
    building.send("zigbee2mqtt/plug", {"power": 12.5})
    building.metrics("plug", power=1)
    names = {a["device"] for a in building.received.aggregates()}
    assert not [n for n in names if n.startswith("bridge") or n.endswith(("/availability", "/set", "/get"))]
    assert building.dropped() == before, "availability in both of its forms is understood, the rest is none of ours"


def test_tasmota_sensors_give_their_quantities(building):
    at = window_ahead() - 20_000
    building.send(
        "tele/tasmota_1A2B/SENSOR",
        {
            "Time": rfc3339(at)[:19],
            "BME280": {"Temperature": 21.5, "Humidity": 40.5, "Pressure": 1013.2},
            "PressureUnit": "hPa",
            "TempUnit": "C",
        },
    )
    metrics = building.metrics("tasmota_1A2B", temperature=1, humidity=1, pressure=1)
    assert_summary(metrics["pressure"], [1013.2])
    assert building.received.latest("tasmota_1A2B")[0]["window"]["start"] == rfc3339(at)
    building.send(
        "tele/sonoff/SENSOR",
        {"Time": rfc3339(at)[:19], "ENERGY": {"Total": 3.185, "Power": 12, "Voltage": 230, "Current": 0.05}},
    )
    metrics = building.metrics("sonoff", power=1, energy=1, voltage=1, current=1)
    assert_summary(metrics["energy"], [3.185])


def test_shelly_statuses_and_notifications_give_their_quantities(building):
    building.send("shelly/plus-ht/status/temperature:0", {"id": 0, "tC": 22.5, "tF": 72.5})
    building.send("shelly/plus-ht/status/humidity:0", {"id": 0, "rh": 45.2})
    metrics = building.metrics("plus-ht", temperature=1, humidity=1)
    assert_summary(metrics["temperature"], [22.5])
    at = window_ahead() - 20_000
    building.send(
        "shelly/pm/events/rpc",
        {
            "src": "shellyplus1pm-a8032abe54dc",
            "dst": "shelly/pm/events",
            "method": "NotifyStatus",
            "params": {
                "ts": at / 1000,
                "switch:0": {"id": 0, "output": True, "apower": 60.5, "voltage": 230.1, "current": 0.26},
            },
        },
    )
    metrics = building.metrics("pm", power=1, voltage=1, current=1)
    assert_summary(metrics["power"], [60.5])
    assert building.received.latest("pm")[0]["window"]["start"] == rfc3339(at)


def test_csv_columns_name_metrics_devices_and_times(building):
    building.send("csv/espnow", "21.5,ignored,40.25\n")
    metrics = building.metrics("espnow", temperature=1, humidity=1)
    assert_summary(metrics["humidity"], [40.25])
    at = window_ahead() - 20_000
    building.send("lines", f"{rfc3339(at)},hall,19.5\r\n{rfc3339(at + 100)},hall,20.5\r\n")
    assert_summary(building.metrics("hall", temperature=2)["temperature"], [19.5, 20.5])
    assert building.received.latest("hall")[0]["window"]["start"] == rfc3339(at)


def test_node_frames_give_their_quantities(building):
    building.send("nodes/three", bytes.fromhex("535190"))
    metrics = building.metrics("three", temperature=1, humidity=1, battery=1)
    assert_summary(metrics["temperature"], [21.5])
    assert metrics["temperature"]["unit"] == "Cel" and metrics["humidity"]["unit"] == "%RH"
    building.send("nodes/five", bytes.fromhex("ffc93d014a"))
    assert_summary(building.metrics("five", temperature=1, humidity=1, voltage=1)["voltage"], [3.3])
    # Its temperature sensor failed: CO2 two hours ago and now, a second contact that is closed, energy.
    building.send("nodes/fields", bytes.fromhex("012000001c200401f42000000000040258018000290110000004d2"))
    metrics = building.metrics("fields", co2=2, contact_1=1, energy=1)
    assert set(metrics) == {"co2", "contact_1", "energy"}
    assert metrics["contact_1"]["last"] == 1 and metrics["energy"]["unit"] == "kWh"
    assert_summary(metrics["energy"], [1.234])
    first, last = (datetime.fromisoformat(a["window"]["start"]) for a in building.received.latest("fields"))
    assert abs(last - first - timedelta(hours=2)) <= timedelta(seconds=1)


def test_a_device_with_the_codec_node_sends_frames_on_any_topic(building):
    building.send("sensors/attic/telemetry", bytes.fromhex("0104026401086300"))
    assert_summary(building.metrics("attic", co2=1, temperature=1)["co2"], [612])


def test_every_message_of_this_page_is_accounted_for(building):
    building.send("sensors/end/telemetry", json.dumps({"temperature": 1}))
    building.metrics("end", temperature=1)
    ledger = building.gateway.audit()
    assert sum(ledger["dropped"].values()) == 0, ledger
    assert all(a["gateway"] == ID for a in building.received.aggregates())

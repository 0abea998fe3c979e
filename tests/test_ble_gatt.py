"""Devices that Riser connects to over Bluetooth: their values read and notified, characteristics written, in turn."""

import pytest

from bluez import both_backends
from gateway import HEALTH_EVERY_SECOND, ID, config
from peers import wait_until

LOUNGE, HALL, ATTIC, CELLAR = (f"A4:C1:38:00:00:0{number}" for number in range(1, 5))
SENSING, AUTOMATION = "181a", "1815"
OWN = "ef090080-11d6-42ba-93b8-9dd7ec090aa9"
VALUES = (("values/{device}/{metric}", "value"),)


def celsius(value):
    return round(value * 100).to_bytes(2, "little", signed=True)


def percent(value):
    return round(value * 100).to_bytes(2, "little")


def sensing(temperature, flags=("read",), **more):
    return {SENSING: {"2a6e": (celsius(temperature), [*flags]), **more}}


def connect(address, every="1s", more=""):
    return f'{{ address = "{address}", every = "{every}"{more} }}'


def table(*entries, more=""):
    return f"[adapters.ble.hall]\n{more}\nconnect = [ {', '.join(entries)} ]\n"


class Setup:
    def __init__(self, gateway, bluez, received):
        self.gateway, self.bluez, self.received = gateway, bluez, received

    def wait(self, condition, what, timeout=30):
        return wait_until(condition, timeout, lambda: f"{what}\n{self.gateway.log()}")

    def parts(self):
        messages = self.received.on(f"building/gateways/{ID}/health")
        return messages[-1]["adapters"]["ble.hall"].get("observed", {}) if messages else {}

    def values(self, device, metric="temperature"):
        bodies = self.received.latest(device)
        return [body["metrics"][metric] for body in bodies if metric in body["metrics"]]

    def count(self, device, metric="temperature"):
        return self.received.count(device, metric)

    def wait_written(self, device, characteristic, value):
        """What was written; nothing is known of a device before it is connected."""
        self.wait(lambda: self.bluez.called("WriteValue"), "a write")
        self.wait(lambda: self.bluez.written(device, characteristic) == [value], "what was written")

    def wait_values(self, device, metric="temperature", count=1):
        self.wait(lambda: self.count(device, metric) >= count, f"{count} of {device} {metric}")


@pytest.fixture
def setup(cloud, floor, received, riser):
    def run(bluez, tables, files=None):
        text = config(cloud=cloud.port, floor=floor.port, topics=VALUES, gateway=HEALTH_EVERY_SECOND, more=tables)
        gateway = riser(text, env=bluez.env)
        for name, content in (files or {}).items():
            (gateway.folder / name).write_text(content)
        gateway.start()
        building = Setup(gateway, bluez, received)
        building.wait(bluez.is_discovering, "a scan")
        return building

    return run


def is_in_the_air(bluez, *addresses):
    for address in addresses:
        bluez.advertise(address, name="sensor")


@both_backends
def test_a_device_that_only_answers_is_read_again_and_again_and_left_alone_between(setup, bluez, received):
    humidity = {"2a6f": (percent(45.67), ["read"])}
    bluez.add_gatt(LOUNGE, sensing(21.47, **humidity) | {"180f": {"2a19": (b"\x57", ["read"])}})
    building = setup(bluez, table(connect(LOUNGE)))
    is_in_the_air(bluez, LOUNGE)
    building.wait_values(LOUNGE, "temperature", 3)
    building.wait(lambda: not bluez.is_connected(LOUNGE), "the end of a connection")
    for metric, value, unit in [("temperature", 21.47, "Cel"), ("humidity", 45.67, "%RH"), ("battery", 87, "%EL")]:
        building.wait_values(LOUNGE, metric, 1)
        reported = building.values(LOUNGE, metric)[0]
        assert (reported["min"], reported["max"], reported["unit"]) == (value, value, unit)
    assert bluez.called("StartNotify") == 0
    # What was read is counted once, though bluetoothd also sends it as a signal.
    assert building.gateway.stop() == 0
    reads = sum(call.member == "ReadValue" for call in bluez.calls)
    assert building.count(LOUNGE) + building.count(LOUNGE, "humidity") + building.count(LOUNGE, "battery") <= reads


@both_backends
def test_a_device_that_notifies_stays_connected_and_each_value_counts_once(setup, bluez, received):
    bluez.add_gatt(LOUNGE, sensing(21.0, ["read", "notify"]))
    building = setup(bluez, table(connect(LOUNGE, every="1h")))
    is_in_the_air(bluez, LOUNGE)
    building.wait(lambda: bluez.is_notifying(LOUNGE, "2a6e"), "a subscription")
    building.wait_values(LOUNGE, "temperature", 1)
    for value in (22.0, 22.0, 23.5):
        assert bluez.set_value(LOUNGE, "2a6e", celsius(value))
    received.wait_count(LOUNGE, "temperature", 4)
    assert max(reported["max"] for reported in building.values(LOUNGE)) == 23.5
    assert (bluez.called("Connect"), bluez.called("ReadValue")) == (1, 1)
    assert building.gateway.stop() == 0
    building.wait(lambda: not bluez.is_connected(LOUNGE), "the end of the connection")


def test_a_connection_that_gives_values_is_not_cut_because_nothing_else_is_heard(setup, bluez):
    bluez.add_gatt(LOUNGE, sensing(21.0, ["read", "notify"]))
    building = setup(bluez, table(connect(LOUNGE, every="1h"), more='quiet_after = "2s"'))
    is_in_the_air(bluez, LOUNGE)
    building.wait(lambda: bluez.is_notifying(LOUNGE, "2a6e"), "a subscription")
    first = len(bluez.calls)

    def calls(member):
        return sum(call.member == member for call in bluez.calls[first:])

    def speaks_until_the_scan_began_anew(times):
        assert bluez.set_value(LOUNGE, "2a6e", celsius(21))
        return calls("StartDiscovery") >= times

    # The second time is long after the adapter would have been switched off.
    building.wait(lambda: speaks_until_the_scan_began_anew(2), "a scan that begins anew twice", 60)
    assert calls("Set") == 0 and bluez.called("Connect") == 1


@both_backends
def test_a_device_that_went_out_of_reach_is_connected_again(setup, bluez, received):
    bluez.add_gatt(LOUNGE, sensing(21.0, ["read", "notify"]))
    building = setup(bluez, table(connect(LOUNGE, every="1h")))
    is_in_the_air(bluez, LOUNGE)
    building.wait(lambda: bluez.is_notifying(LOUNGE, "2a6e"), "a subscription")
    # Before that it is a connection attempt that fails.
    building.wait(lambda: building.parts().get(LOUNGE, {}).get("state") == "connected", "connected")
    bluez.disconnect(LOUNGE)

    def is_connected_again():
        return "ble: connected" in building.gateway.log().partition("has disconnected")[2]

    building.wait(is_connected_again, "a disconnection and another connection")
    assert bluez.set_value(LOUNGE, "2a6e", celsius(25))
    building.wait(lambda: max((reported["max"] for reported in building.values(LOUNGE)), default=0) == 25, "the value")


@both_backends
def test_bluetoothd_may_be_started_anew(setup, bluez, received):
    bluez.add_gatt(LOUNGE, sensing(21.0))
    building = setup(bluez, table(connect(LOUNGE)))
    is_in_the_air(bluez, LOUNGE)
    building.wait_values(LOUNGE, "temperature", 1)
    bluez.restart()
    building.wait(bluez.is_discovering, "a scan")
    before = building.count(LOUNGE)
    building.wait(lambda: bluez.advertise(LOUNGE, name="sensor") is not None and building.count(LOUNGE) > before, "a value", 60)


@both_backends
def test_a_device_that_hangs_holds_up_no_one_else(setup, bluez, received):
    bluez.add_gatt(LOUNGE, sensing(21.0))
    building = setup(bluez, table(connect(LOUNGE), connect(HALL), connect(ATTIC), more="max_connections = 2"))
    is_in_the_air(bluez, LOUNGE)
    building.wait_values(LOUNGE, "temperature", 1)
    bluez.add_gatt(HALL, sensing(19.0))
    bluez.hang("Connect")
    is_in_the_air(bluez, HALL, ATTIC)
    building.wait(lambda: bluez.called("Connect") >= 2, "an attempt that hangs")
    # The scan, and everything else, goes on; the one that hangs is given up in time.
    assert bluez.advertise(CELLAR, service={"fcd2": bytes.fromhex("4002ca09")}) == 1
    building.wait_values(CELLAR, "temperature", 1)
    bluez.resume("Connect")
    building.wait_values(HALL, "temperature", 1)


@both_backends
def test_no_more_than_so_many_are_connected_at_once_and_each_gets_its_turn(setup, bluez, received):
    addresses = [f"A4:C1:38:00:01:{number:02X}" for number in range(8)]
    for number, address in enumerate(addresses):
        bluez.add_gatt(address, sensing(20 + number, ["notify", "read"] if number < 3 else ["read"]))
    building = setup(bluez, table(*map(connect, addresses), more="max_connections = 2"))
    is_in_the_air(bluez, *addresses)
    most = 0

    def all_were_read():
        nonlocal most
        most = max(most, bluez.connected())
        return all(building.count(address) >= 3 for address in addresses)

    building.wait(all_were_read, "three values of each", 90)
    assert most <= 2
    for number, address in enumerate(addresses):
        assert {reported["avg"] for reported in building.values(address)} == {20 + number}


@both_backends
def test_a_characteristic_of_ones_own_is_read_by_a_table_of_fields(setup, bluez, received):
    codec = '[[fields]]\nname = "co2"\ntype = "u16le"\n'
    bluez.add_gatt(LOUNGE, {"1234": {OWN: (b"\x2c\x01", ["read"]), "2a6e": (celsius(21), ["read"])}})
    entry = connect(LOUNGE, more=f', codecs = {{ "{OWN}" = "own.toml" }}')
    building = setup(bluez, table(entry), files={"own.toml": codec})
    is_in_the_air(bluez, LOUNGE)
    building.wait_values(LOUNGE, "co2", 1)
    building.wait_values(LOUNGE, "temperature", 1)
    assert building.values(LOUNGE, "co2")[0]["avg"] == 300


def test_two_characteristics_of_one_kind_are_reported_apart(setup, bluez, received):
    twice = [("2a6e", (celsius(21), ["read"])), ("2a6e", (celsius(60), ["read"]))]
    bluez.add_gatt(LOUNGE, [(SENSING, twice)])
    building = setup(bluez, table(connect(LOUNGE, more=', service = "181a"')))
    is_in_the_air(bluez, LOUNGE)
    building.wait_values(LOUNGE, "temperature_2", 1)
    assert building.values(LOUNGE, "temperature")[0]["max"] == 21
    assert building.values(LOUNGE, "temperature_2")[0]["min"] == 60


def test_health_says_of_each_device_what_is_wrong_and_what_to_do(setup, bluez):
    bluez.add_gatt(LOUNGE, sensing(21.0))
    bluez.add_gatt(HALL, {"1234": {"2a00": (b"x", ["read"])}})
    building = setup(bluez, table(connect(LOUNGE), connect(HALL), connect(ATTIC)))
    is_in_the_air(bluez, LOUNGE, HALL)
    bluez.refuse("ReadValue", "org.bluez.Error.NotPermitted", "Not paired")
    building.wait(lambda: f"bluetoothctl pair {LOUNGE}" in building.gateway.log(), "the hint to pair")
    building.wait(lambda: "none of its characteristics is read: it has 2a00" in building.gateway.log(), "what it has")
    building.wait(lambda: f"bluetoothd has not discovered {ATTIC} yet" in building.gateway.log(), "who was not received")
    said = {LOUNGE: "bluetoothctl pair", HALL: "it has 2a00", ATTIC: "has not discovered"}
    is_reported = lambda: all(text in building.parts().get(address, {}).get("last_error", "") for address, text in said.items())
    building.wait(is_reported, "what is wrong, in health", 80)
    assert {building.parts()[address]["state"] for address in said} <= {"down", "connecting", "waiting"}


def rule(action):
    return f'[alerts.hot]\nmetric = "temperature"\nabove = 40.0\nclear_by = 0.0\nactions = [ {{ adapter = "ble.hall", {action} }} ]\n'


@pytest.mark.parametrize("flags, connected", [(["write"], True), (["write-without-response"], False)])
@both_backends
def test_an_alert_writes_a_characteristic(setup, bluez, sensor, flags, connected):
    notifies = ["read", "notify"]
    bluez.add_gatt(LOUNGE, sensing(21.0, notifies) | {AUTOMATION: {"2a56": (b"\0", flags)}})
    action = 'device = "lounge", characteristic = "2a56", payload = "hex:01ff"'
    lounge = f'[devices.lounge]\naddress = "{LOUNGE}"\n'
    more = table(connect(LOUNGE, every="1h")) if connected else "[adapters.ble.hall]\n"
    building = setup(bluez, more + lounge + rule(action))
    is_in_the_air(bluez, LOUNGE)
    if connected:
        building.wait(lambda: bluez.is_notifying(LOUNGE, "2a6e"), "a subscription")
    sensor.send("values/plant/temperature", "41")
    building.wait_written(LOUNGE, "2a56", b"\x01\xff")
    assert bluez.called("Connect") == 1
    building.wait(lambda: bluez.is_connected(LOUNGE) is connected, "the connection as it was")


@both_backends
def test_a_command_goes_before_a_device_that_stays_where_there_is_one_connection(setup, bluez, sensor):
    bluez.add_gatt(LOUNGE, sensing(21.0, ["read", "notify"]))
    bluez.add_gatt(HALL, {AUTOMATION: {"2a56": (b"\0", ["write"])}})
    action = f'device = "{HALL}", characteristic = "2a56", payload = "on"'
    building = setup(bluez, table(connect(LOUNGE, every="1h"), more="max_connections = 1") + rule(action))
    is_in_the_air(bluez, LOUNGE, HALL)
    building.wait(lambda: bluez.is_notifying(LOUNGE, "2a6e"), "a subscription")
    sensor.send("values/plant/temperature", "41")
    building.wait_written(HALL, "2a56", b"on")
    building.wait(lambda: bluez.is_notifying(LOUNGE, "2a6e"), "its turn again")


@both_backends
def test_a_command_that_cannot_be_carried_out_says_why(setup, bluez, sensor):
    bluez.add_gatt(LOUNGE, {AUTOMATION: {"2a56": (b"\0", ["read"])}})
    action = f'device = "{LOUNGE}", characteristic = "2a56", payload = "on"'
    building = setup(bluez, "[adapters.ble.hall]\n" + rule(action))
    is_in_the_air(bluez, LOUNGE)
    sensor.send("values/plant/temperature", "41")
    building.wait(lambda: "no characteristic 2a56 that can be written" in building.gateway.log(), "the reason")


@pytest.mark.parametrize(
    "tables, said",
    [
        (table(connect("lounge")), 'connect[0].address: "lounge" is no Bluetooth address'),
        (table(connect(LOUNGE), connect(LOUNGE.lower())), "connect[1].address: "),
        (table(connect(LOUNGE, more=', service = "18"')), "connect[0].service: is not a UUID"),
        (table(connect(LOUNGE, every="0s")), "connect[0].every: is out of range"),
        (table(connect(LOUNGE, more=', codecs = { "2a" = "json" }')), "is not a UUID"),
        (table(connect(LOUNGE, more=', codecs = { "2a00" = "own.js" }')), "table of fields (.toml)"),
        (table(connect(LOUNGE, more=', codecs = { "2a00" = "gone.toml" }')), "gone.toml"),
        (table(connect(LOUNGE), more="max_connections = 0"), "max_connections: 0 is out of range; allowed: from 1 to 32"),
        (table(connect(LOUNGE, more=', evry = "1s"')), 'unknown key; did you mean "every"?'),
        ("[adapters.ble.hall]\n" + rule('device = "lounge", payload = "on"'), '"lounge" is no Bluetooth address'),
        ("[adapters.ble.hall]\n" + rule('device = "lounge", payload = "on"'), "characteristic"),
        ("[adapters.ble.hall]\n" + rule(f'device = "{LOUNGE}", characteristic = "2a56", payload = "hex:0"'), "hex digits"),
        ("[adapters.ble.hall]\n" + rule(f'device = "{LOUNGE}", characteristic = "2a56", payload = "", topic = "a"'), "topic: is not for Bluetooth"),
    ],
)
def test_check_says_what_is_wrong_with_what_is_connected(riser, tables, said):
    gateway = riser(config(cloud=1, floor=2, topics=VALUES, more=tables))
    done = gateway.cli("check", "--no-environment", "--config", "gateway.toml", check=78)
    assert said in done.stdout, done.stdout

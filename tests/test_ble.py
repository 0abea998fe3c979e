"""Bluetooth Low Energy, from what is in the air to the cloud, through a stand-in for bluetoothd on a real bus (bluez/)."""

import threading

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from bluez import Bluez, both_backends
from bluez.device import uuid128
from gateway import HEALTH_EVERY_SECOND, ID, config
from peers import wait_until

LOUNGE, HALL, ATTIC = "A4:C1:38:8D:18:B2", "54:48:E6:8F:80:A5", "C0:98:E5:00:00:01"
LOUNGE_TABLE = f'[devices.lounge]\naddress = "{LOUNGE}"\nzone = "floor-1/lounge"\n'
BEACON = "00112233-4455-6677-8899-aabbccddeeff/100/7"
VALUES = (("values/{device}/{metric}", "value"),)


def bthome(celsius):
    """Service data of BTHome 2: a temperature (bthome.io/format)."""
    return {"fcd2": b"\x40\x02" + round(celsius * 100).to_bytes(2, "little", signed=True)}


def encrypted(celsius, key, counter, address=LOUNGE):
    """The same, encrypted (bthome.io/encryption)."""
    number = counter.to_bytes(4, "little")
    nonce = bytes.fromhex(address.replace(":", "")) + b"\xd2\xfc\x41" + number
    sealed = AESCCM(key, tag_length=4).encrypt(nonce, bthome(celsius)["fcd2"][1:], None)
    return {"fcd2": b"\x41" + sealed[:-4] + number + sealed[-4:]}


def ibeacon():
    identity, major, minor = BEACON.split("/")
    numbers = int(major).to_bytes(2, "big") + int(minor).to_bytes(2, "big")
    return {0x004C: b"\x02\x15" + bytes.fromhex(identity.replace("-", "")) + numbers + b"\xc5"}


def ble(name="hall", more=""):
    return f"[adapters.ble.{name}]\n{more}\n"


class Setup:
    """A gateway with Bluetooth and an MQTT floor, and the cloud behind it."""

    def __init__(self, gateway, bluez, sensor, received):
        self.gateway, self.bluez, self.sensor, self.received = gateway, bluez, sensor, received
        self._floor = 0

    def listens(self, name="hci0"):
        wait_until(lambda: self.bluez.is_discovering(name), 40, lambda: f"a scan\n{self.gateway.log()}")
        return self

    def health(self, name="ble.hall"):
        messages = self.received.on(f"building/gateways/{ID}/health")
        return messages[-1]["adapters"][name] if messages else {}

    def wait_health(self, says, name="ble.hall", timeout=80):
        wait_until(lambda: says(self.health(name)), timeout, lambda: f"{self.health(name)}\n{self.gateway.log()}")
        return self.health(name)

    def wait_down(self, text):
        """Waits until the adapter is down for a reason that has `text` in it; other reasons may come before."""
        return self.wait_health(lambda reported: reported.get("state") == "down" and text in reported["last_error"])

    def wait_up(self):
        return self.wait_health(lambda reported: reported.get("state") == "up")

    def is_heard(self, address=LOUNGE, celsius=21.47, device="lounge"):
        """Says something until it is received, and waits for it in the cloud."""
        before = self.count(device)
        said = {"service": bthome(celsius)}
        wait_until(lambda: self.bluez.advertise(address, **said), 60, lambda: f"a scan\n{self.gateway.log()}")
        wait_until(lambda: self.count(device) > before, 15, lambda: f"{device} after {before}\n{self.gateway.log()}")

    def count(self, device, metric="temperature"):
        return self.received.count(device, metric)

    def floor_goes_on(self):
        self._floor += 1
        self.sensor.send("values/plant/temperature", "20")
        self.received.wait_count("plant", "temperature", self._floor)


@pytest.fixture
def setup(cloud, floor, sensor, received, riser):
    """A factory: a running gateway with these tables, on this bus."""

    def run(bluez, tables=ble() + LOUNGE_TABLE, files=None, **parts):
        parts.setdefault("gateway", HEALTH_EVERY_SECOND)
        text = config(cloud=cloud.port, floor=floor.port, topics=VALUES, more=tables, **parts)
        gateway = riser(text, env=bluez.env)
        for name, content in (files or {}).items():
            (gateway.folder / name).write_text(content)
            (gateway.folder / name).chmod(0o600)
        gateway.start()
        return Setup(gateway, bluez, sensor, received)

    return run


def summaries(received, device, metric):
    return [body["metrics"][metric] for body in received.latest(device) if metric in body["metrics"]]


@both_backends
def test_each_advertisement_is_a_reading_of_its_device_by_its_name_or_its_address(setup, bluez, received):
    building = setup(bluez).listens()
    # The first of a device comes with its discovery alone, and one that repeats the last is one more.
    for celsius in (21.47, 21.47, 21.53):
        assert bluez.advertise(LOUNGE, rssi=-71, name="ATC_8D18B2", service=bthome(celsius)) == 1
    assert bluez.advertise(HALL, service=bthome(-3.5)) == 1
    received.wait_count("lounge", "temperature", 3)
    received.wait_count(HALL, "temperature", 1)
    [body, *_] = received.aggregates("lounge")
    assert (body["protocol"], body["zone"]) == ("ble", "floor-1/lounge")
    temperature, rssi = body["metrics"]["temperature"], body["metrics"]["rssi"]
    assert (temperature["min"], temperature["unit"]) == (21.47, "Cel")
    assert (rssi["avg"], rssi["unit"]) == (-71, "dBm")
    assert [summary["avg"] for summary in summaries(received, HALL, "temperature")] == [-3.5]
    building.gateway.wait_ledger(taken=8)
    building.floor_goes_on()


def test_it_asks_for_low_energy_alone_and_for_everything_that_is_said(setup, bluez):
    building = setup(bluez).listens()
    [filter] = bluez.filters()
    assert (filter["Transport"], filter["DuplicateData"]) == ("le", True)
    # Sensors of the kind that does not call itself discoverable, and cannot be connected.
    assert bluez.advertise(LOUNGE, flags=0x04, connectable=False, service=bthome(20)) == 1
    building.received.wait_count("lounge", "temperature", 1)
    bluez_calls = bluez.called("GetAll") + bluez.called("Get")
    for celsius in range(50):
        bluez.advertise(LOUNGE, service=bthome(celsius))
    building.received.wait_count("lounge", "temperature", 51)
    assert bluez.called("GetAll") + bluez.called("Get") == bluez_calls, "bluetoothd is not asked about what it reports"
    assert building.gateway.stop() == 0
    wait_until(lambda: not bluez.is_discovering(), what="the end of the scan")


@pytest.mark.parametrize("bluez", ["btleplug"], indirect=True)
def test_btleplug_is_used_if_the_environment_asks_for_it(setup, bluez):
    setup(bluez).listens().is_heard()
    # It asks for classic devices too, as Riser itself never does.
    assert [filter["Transport"] for filter in bluez.filters()] == ["auto"]


def test_check_refuses_what_btleplug_cannot_do(riser):
    gateway = riser(config(cloud=1, floor=2, topics=VALUES, more=ble(more='scan = "passive"')))
    gateway.cli("check", "--no-environment", "--config", "gateway.toml", check=0)
    gateway.env["RISER_BLE_BACKEND"] = "btleplug"
    done = gateway.cli("check", "--no-environment", "--config", "gateway.toml", check=78)
    assert 'scan: is not possible with btleplug; write "active"' in done.stdout, done.stdout


@both_backends
def test_a_device_that_bluetoothd_knows_already_is_heard_from_the_first_word_on(setup, bluez, received):
    building = setup(bluez).listens()
    bluez.advertise(LOUNGE, name="ATC_8D18B2", service=bthome(20))
    received.wait_count("lounge", "temperature", 1)
    building.gateway.kill()
    assert bluez.devices() == [LOUNGE], "BlueZ keeps it for half a minute"
    building.gateway.start()
    building.listens()
    # It was said before the start, and is no news.
    bluez.advertise(LOUNGE, service=bthome(22))
    received.wait_for(lambda: 22 in [summary["max"] for summary in summaries(received, "lounge", "temperature")], 15, "22")
    assert received.count("lounge", "temperature") == 2


@both_backends
def test_an_encrypted_device_is_read_with_its_key_and_a_replay_is_refused(setup, bluez, received):
    key = bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")
    table = LOUNGE_TABLE + 'bindkey_file = "lounge.bindkey"\n'
    building = setup(bluez, ble() + table, files={"lounge.bindkey": key.hex() + "\n"}).listens()
    assert bluez.advertise(LOUNGE, service=encrypted(21.47, key, 1000)) == 1
    received.wait_count("lounge", "temperature", 1)
    for celsius, counter in ((22.5, 1001), (40, 900)):
        assert bluez.advertise(LOUNGE, service=encrypted(celsius, key, counter)) == 1
    received.wait_count("lounge", "temperature", 2)
    building.gateway.wait_ledger(replay=1)
    assert bluez.advertise(LOUNGE, service=encrypted(5, bytes(16), 1002)) == 1
    ledger = building.gateway.wait_ledger(replay=1, bad_mic=1)
    assert set(ledger["dropped"]) == {"replay", "bad_mic"}
    assert {summary["max"] for summary in summaries(received, "lounge", "temperature")} <= {21.47, 22.5}


@both_backends
def test_a_beacon_is_here_and_has_left_whatever_its_address(setup, bluez, received):
    setup(bluez, ble(more='left_after = "5s"')).listens()
    for address in (LOUNGE, HALL):
        assert bluez.advertise(address, manufacturer=ibeacon(), address_type="random") == 1

    def presence():
        return [summary["last"] for summary in summaries(received, BEACON, "presence")]

    wait_until(lambda: presence()[-1:] == [0], 30, presence)
    assert presence()[0] == 1 and received.count(BEACON, "presence") == 3
    assert bluez.advertise(LOUNGE, manufacturer=ibeacon(), address_type="random") == 1
    wait_until(lambda: presence()[-1:] == [1], 30, presence)


def stays_here(bluez, received):
    """The beacon repeats itself, and is never reported as gone."""
    stop = threading.Event()

    def speak():
        while not stop.wait(0.3):
            bluez.advertise(LOUNGE, manufacturer=ibeacon())

    speaker = threading.Thread(target=speak)
    speaker.start()
    try:
        received.wait_for(lambda: received.count(BEACON, "presence") >= 25, 30, "25 times presence")
    finally:
        stop.set()
        speaker.join()
    assert {summary["min"] for summary in summaries(received, BEACON, "presence")[:-1]} == {1}


def test_a_beacon_that_goes_on_does_not_leave(setup, bluez, received):
    setup(bluez, ble(more='left_after = "5s"')).listens()
    stays_here(bluez, received)


@both_backends
def test_only_the_devices_of_the_list_are_heard_and_strange_formats_are_none(setup, bluez, received):
    building = setup(bluez, ble(more='devices = "known"') + LOUNGE_TABLE).listens()
    assert bluez.advertise(HALL, service=bthome(5)) == 1
    assert bluez.advertise(ATTIC, manufacturer={0x0075: bytes(24)}) == 1
    building.is_heard()
    building.gateway.wait_ledger(taken=2)
    assert not received.aggregates(HALL)
    figures = building.wait_health(lambda reported: reported.get("figures", {}).get("advertisements") == 1)["figures"]
    assert (figures["unknown_device"], figures["unknown_format"]) == (1, 1)


@both_backends
def test_what_two_adapters_hear_counts_once(setup, bluez, received):
    bluez.add_adapter("hci1")
    tables = ble("hall", 'adapter = "hci0"') + ble("attic", 'adapter = "00:1a:7d:da:71:01"') + LOUNGE_TABLE
    building = setup(bluez, tables).listens("hci0").listens("hci1")
    for celsius in range(10):
        assert bluez.advertise(LOUNGE, service=bthome(celsius)) == 2
        received.wait_for(lambda: received.count("lounge", "temperature") > celsius, 15, f"{celsius} degrees")
    received.wait_count("lounge", "temperature", 10)
    # Out of reach of the first.
    assert bluez.advertise(LOUNGE, adapter="hci1", service=bthome(30)) == 1
    received.wait_count("lounge", "temperature", 11)
    building.gateway.wait_ledger(taken=22)
    # One is unplugged, and the other goes on.
    bluez.remove_adapter("hci0")
    building.wait_down("hci0")
    building.is_heard()
    assert building.health("ble.attic")["state"] == "up"


@both_backends
def test_a_bluetoothd_that_restarts_is_found_again(setup, bluez):
    building = setup(bluez).listens()
    building.is_heard()
    bluez.restart()
    building.is_heard()
    bluez.stop()
    building.wait_down("bluetoothd")
    building.floor_goes_on()
    bluez.start()
    building.is_heard()
    reported = building.wait_up()
    assert reported["last_error_at"] < reported["since"]

    # A backend may only notice that the scan has stopped, if bluetoothd is back at once.
    def is_counted(reported):
        figures = reported["figures"]
        restarts = sum(figures.get(name, 0) for name in ("sessions_rebuilt", "scan_restarts"))
        return restarts >= 2 and figures["advertisements"] >= 3

    assert building.wait_health(is_counted)["figures"]["advertisements"] == 3


@both_backends
def test_an_adapter_that_is_unplugged_is_used_again_when_it_is_back(setup, bluez):
    building = setup(bluez).listens()
    building.is_heard()
    bluez.remove_adapter("hci0")
    building.wait_down("hci0")
    building.floor_goes_on()
    bluez.add_adapter("hci0")
    building.is_heard()
    building.wait_up()


@both_backends
def test_an_adapter_that_rfkill_blocks_is_reported_and_used_again(setup, bluez):
    building = setup(bluez).listens()
    building.is_heard()
    bluez.power(False)
    building.wait_down("rfkill unblock")
    building.floor_goes_on()
    bluez.power(True)
    building.is_heard()
    building.wait_up()


@both_backends
def test_an_adapter_that_somebody_switched_off_is_switched_on(setup, bluez):
    building = setup(bluez).listens()
    building.is_heard()
    bluez.power(False, blocked=False)
    wait_until(bluez.is_on, 30, "power")
    building.listens().is_heard()


@both_backends
def test_a_scan_that_somebody_ended_begins_again(setup, bluez):
    building = setup(bluez).listens()
    building.is_heard()
    bluez.stop_discovery()
    building.is_heard()
    figures = building.wait_health(lambda reported: reported.get("figures", {}).get("scan_restarts"))["figures"]
    assert figures["scan_restarts"] == 1 and "power_cycles" not in figures


def test_a_scan_that_has_gone_quiet_is_started_again_then_the_adapter_switched_off_and_on_then_the_session_rebuilt(
    setup, bluez
):
    building = setup(bluez, ble(more='quiet_after = "5s"') + LOUNGE_TABLE).listens()
    building.is_heard()
    # The next thing is not received: bluetoothd says that it scans, and reports nothing.
    first = len(bluez.calls)
    building.gateway.wait_log("rebuilding session", timeout=40)
    building.floor_goes_on()
    calls = [(call.member, *call.body[1:2], *(v.value for v in call.body[2:3])) for call in bluez.calls[first:]]
    steps = [call for call in calls if call[0] in ("StopDiscovery", "StartDiscovery", "Set")]
    begun = [("StopDiscovery",), ("StartDiscovery",), ("StopDiscovery",), ("Set", "Powered", False), ("Set", "Powered", True)]
    assert steps[:6] == [*begun, ("StartDiscovery",)], steps
    figures = building.wait_health(lambda reported: reported.get("figures", {}).get("sessions_rebuilt"))["figures"]
    assert figures["scan_restarts"] >= 1 and figures["power_cycles"] >= 1
    building.is_heard()
    log = building.gateway.log()
    assert log.index("restarting scan") < log.index("power-cycling") < log.index("rebuilding session")


@pytest.mark.parametrize("method", ["StartDiscovery", "GetManagedObjects", "*"])
def test_a_bluetoothd_that_does_not_answer_holds_up_no_one(setup, bluez, method):
    bluez.hang(method)
    building = setup(bluez)
    building.wait_down("does not answer")
    building.floor_goes_on()
    bluez.resume(method)
    building.is_heard()
    building.wait_up()


@both_backends
def test_a_bluetoothd_that_refuses_to_scan_is_asked_again(setup, bluez):
    bluez.refuse("StartDiscovery", "org.bluez.Error.InProgress", "Operation already in progress")
    bluez.refuse("SetDiscoveryFilter", "org.bluez.Error.NotReady", "Resource Not Ready")
    building = setup(bluez)
    building.wait_down("Resource Not Ready")
    bluez.allow("SetDiscoveryFilter")
    bluez.allow("StartDiscovery")
    building.is_heard()
    building.wait_up()


def test_without_bluetoothd_or_a_bus_the_gateway_runs_and_waits_for_them(setup, started):
    bluez = started.keep(Bluez(bus=False))
    building = setup(bluez)
    building.wait_down("no D-Bus system bus")
    building.floor_goes_on()
    bluez.start_bus()
    wait_until(lambda: "no bluetoothd" in building.gateway.log(), 60, building.gateway.log)
    bluez.add_adapter("hci0")
    bluez.start()
    building.is_heard()
    building.wait_up()
    # The bus itself ends and comes back.
    bluez.stop_bus()
    building.wait_down("D-Bus")
    building.floor_goes_on()
    bluez.start_bus()
    bluez.start()
    building.is_heard()
    assert building.gateway.stop() == 0


def test_a_user_whom_the_bus_does_not_let_through_is_reported_which_group(setup, started):
    bluez = started.keep(Bluez(bus=False))
    bluez.start_bus('<deny send_destination="org.bluez"/>')
    bluez.add_adapter("hci0")
    bluez.start()
    building = setup(bluez)
    building.wait_down("usermod -aG bluetooth")


def test_a_passive_scan_sends_nothing_and_hears_everything(setup, started, received):
    bluez = started.keep(Bluez())
    bluez.add_adapter("hci0", monitors=True)
    building = setup(bluez, ble(more='scan = "passive"') + LOUNGE_TABLE)
    wait_until(lambda: bluez.advertise(LOUNGE, service=bthome(20)), 20, lambda: f"a monitor\n{building.gateway.log()}")
    for celsius in (21, 22, 23):
        assert bluez.advertise(LOUNGE, service=bthome(celsius)) == 1
    received.wait_count("lounge", "temperature", 4)
    assert bluez.called("StartDiscovery") == 0
    # The kernel takes it back: it then scans actively rather than not at all.
    bluez.monitors_work(False)
    building.listens().is_heard()


def test_a_passive_scan_hears_a_beacon_that_says_the_same_for_ever(setup, started, received):
    bluez = started.keep(Bluez())
    bluez.add_adapter("hci0", monitors=True)
    building = setup(bluez, ble(more='scan = "passive"\nleft_after = "5s"'))
    said = {"manufacturer": ibeacon()}
    wait_until(lambda: bluez.advertise(LOUNGE, **said), 20, lambda: f"a monitor\n{building.gateway.log()}")
    stays_here(bluez, received)
    assert bluez.called("StartDiscovery") == 0


def test_a_passive_scan_that_bluetoothd_has_taken_without_an_answer_is_tried_again(setup, started):
    bluez = started.keep(Bluez())
    bluez.add_adapter("hci0", monitors=True)
    bluez.leave_registrations_unanswered(1)
    building = setup(bluez, ble(more='scan = "passive"') + LOUNGE_TABLE)
    wait_until(lambda: bluez.advertise(LOUNGE, service=bthome(20)), 60, lambda: f"a monitor\n{building.gateway.log()}")
    assert bluez.called("StartDiscovery") == 0


def test_a_passive_scan_is_active_where_bluetoothd_offers_none(setup, bluez):
    setup(bluez, ble(more='scan = "passive"') + LOUNGE_TABLE).listens().is_heard()


@both_backends
def test_what_bluetoothd_should_not_say_harms_no_one(setup, bluez):
    building = setup(bluez).listens()
    bluez.advertise(LOUNGE, service={}, manufacturer={0xFFFF: b"", 0x004C: bytes(250)})
    bluez.advertise(LOUNGE, service={"fcd2": b""}, name="x" * 240)
    bluez.advertise(LOUNGE, service={uuid128("fcd2"): b"\x40" + bytes(230)}, rssi=127)
    bluez.advertise(HALL, services=["fcd2"] * 50, manufacturer=dict.fromkeys(range(60), b"\x01"))
    building.is_heard()
    building.floor_goes_on()

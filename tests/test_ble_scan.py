"""`riser ble scan`: lists the Bluetooth devices in range."""

import json
import threading

import pytest

from bluez import Bluez, both_backends
from gateway import config
from peers import free_port, wait_until
from test_ble import BEACON, HALL, LOUNGE, LOUNGE_TABLE, ble, bthome, encrypted, ibeacon

KEY = bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")
PHONES = ["C0:98:E5:00:00:01", "C0:98:E5:00:00:02"]


@pytest.fixture
def scan(riser, bluez):
    """A factory: runs the command while these are in the air, and returns what it printed."""

    def run(said, *arguments, tables="", files=None):
        gateway = riser(config(floor=free_port(), more=tables), env=bluez.env)
        for name, content in (files or {}).items():
            (gateway.folder / name).write_text(content)
            (gateway.folder / name).chmod(0o600)
        stop = threading.Event()

        def speak():
            wait_until(bluez.is_discovering, 20, "a scan")
            while not stop.wait(0.2):
                for one in said:
                    bluez.advertise(**one)

        speaker = threading.Thread(target=speak)
        speaker.start()
        try:
            return gateway.cli("ble", "scan", "--for", "2s", *arguments, check=0)
        finally:
            stop.set()
            speaker.join()

    return run


@both_backends
def test_it_lists_devices_with_their_newest_values_the_nearest_first_and_counts_the_others(scan):
    said = [
        {"address": HALL, "rssi": -80, "name": "ATC_8F80A5", "service": bthome(-3.5)},
        {"address": LOUNGE, "rssi": -51, "service": bthome(21.47)},
        {"address": "F0:98:E5:00:00:09", "rssi": -70, "manufacturer": ibeacon()},
        *({"address": address, "manufacturer": {0x004C: b"\x10\x05\x01"}} for address in PHONES),
    ]
    done = scan(said)
    head, first, second, third, rest = done.stdout.splitlines()
    assert head.split() == ["RSSI", "ADDRESS", "NAME", "FORMAT", "HEARD", "VALUES"]
    assert first.split()[:4] == ["-51", LOUNGE, "-", "bthome"] and "temperature 21.47 Cel" in first
    assert second.split()[:4] == ["-70", BEACON, "-", "ibeacon"] and "presence 1" in second
    assert third.split()[:4] == ["-80", HALL, "ATC_8F80A5", "bthome"] and "temperature -3.5 Cel" in third
    assert rest == "Devices of known formats: 3. Others, such as phones and headphones: 2."
    assert done.stderr == ""


def test_names_and_bind_keys_are_those_of_the_configuration(scan):
    # Said again and again: what is in the air is shown, whether it is new or not.
    said = [
        {"address": LOUNGE, "service": encrypted(21.47, KEY, 1000)},
        {"address": HALL, "rssi": -90, "service": encrypted(5, KEY, 7, HALL)},
    ]
    tables = ble(more='adapter = "00:1A:7D:DA:71:00"') + LOUNGE_TABLE + 'bindkey_file = "lounge.bindkey"\n'
    files = {"lounge.bindkey": KEY.hex()}
    done = scan(said, "--json", "--config", "gateway.toml", tables=tables, files=files)
    lounge, hall, rest = map(json.loads, done.stdout.splitlines())
    assert lounge.pop("heard") > 1
    assert lounge == {
        "address": LOUNGE,
        "device": "lounge",
        "format": "bthome",
        "rssi": -60,
        "metrics": {"temperature": 21.47},
    }
    assert hall["metrics"] == {} and "bindkey_file" in hall["error"] and "device" not in hall
    assert rest == {"other_devices": 0}


def test_names_from_the_air_cannot_command_a_terminal(scan):
    done = scan([{"address": LOUNGE, "name": "\x1b[2J evil\nname", "service": bthome(20)}])
    assert "\x1b" not in done.stdout and len(done.stdout.splitlines()) == 3


@both_backends
def test_silence_is_reported(scan):
    assert scan([]).stdout.startswith("Nothing was heard.")


def test_what_is_missing_is_said_with_what_to_do(riser, started):
    bluez = started.keep(Bluez(bus=False))
    gateway = riser(config(floor=free_port()), env=bluez.env)

    def refused(*arguments):
        return gateway.cli("ble", "scan", *arguments, check=69).stderr

    assert "no D-Bus system bus" in refused()
    bluez.start_bus()
    assert "apt install bluez" in refused()
    bluez.start()
    assert "no Bluetooth adapter `hci0`; there is: none" in refused()
    bluez.add_adapter("hci1")
    assert "there is: hci1 (00:1A:7D:DA:71:00)" in refused()
    bluez.power(False, "hci1")
    assert "rfkill unblock" in refused("--adapter", "hci1")
    bluez.power(True, "hci1")
    assert gateway.cli("ble", "scan", "--adapter", "hci1", "--for", "1s", check=0).stdout
    bluez.stop_bus()
    bluez.start_bus('<deny send_destination="org.bluez"/>')
    bluez.start()
    assert "usermod -aG bluetooth" in refused("--adapter", "hci1")


def test_it_runs_beside_a_gateway(scan, bluez, cloud, received, riser):
    gateway = riser(config(cloud=cloud.port, floor=free_port(), more=ble() + LOUNGE_TABLE), env=bluez.env).start()
    wait_until(bluez.is_discovering, 20, gateway.log)
    assert LOUNGE in scan([{"address": LOUNGE, "service": bthome(20)}]).stdout
    count = received.count("lounge", "temperature")
    assert bluez.is_discovering() and bluez.advertise(LOUNGE, service=bthome(22)) == 1
    received.wait_for(lambda: received.count("lounge", "temperature") > count, 15, "a reading after the scan")


def test_a_wrong_configuration_is_an_error_only_where_it_was_asked_for(scan, riser, bluez):
    gateway = riser("[gateway\n", env=bluez.env)
    gateway.cli("ble", "scan", "--for", "1s", "--config", gateway.config, check=78)
    done = gateway.cli("ble", "scan", "--for", "1s", check=0)
    assert "without names and bind keys" in done.stderr

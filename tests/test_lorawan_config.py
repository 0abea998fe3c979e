"""`riser check` on LoRaWAN: each finding with its key, and no key of a device in any of them."""

import pytest

from lorawan import APP_KEY, abp_table, adapter_table, otaa_table
from peers import free_port

ROOM, HALL = "a84041ffff000001", "a84041ffff000002"


@pytest.fixture
def findings(riser):
    """A factory: what `riser check` says of these tables, the file's name and place left out."""

    def check(text, exit=78):
        done = riser(text).cli("check", "--no-environment", "--config", "gateway.toml", check=exit)
        assert APP_KEY not in done.stdout + done.stderr and "55" * 15 not in done.stdout + done.stderr
        return [line.split(": ", 1)[1] for line in done.stdout.splitlines()]

    return check


def test_a_whole_configuration_has_no_findings(findings):
    assert findings(adapter_table(free_port()) + abp_table("lounge", ROOM) + otaa_table("hall", HALL), exit=0) == []


@pytest.mark.parametrize(
    ("adapter", "expected"),
    [
        ('net_id = "13"', "error: adapters.lorawan.roof.net_id: `13` is not a valid NetID: write 6 hex digits"),
        ('gateways = ["roof"]', "error: adapters.lorawan.roof.gateways[0]: `roof` is not a valid EUI: write 16 hex digits"),
        (
            'networks = ["10.0.0.0/40"]',
            "error: adapters.lorawan.roof.networks[0]: `10.0.0.0/40` is no network; "
            'write an address and the length of its prefix, such as "10.0.0.0/8"',
        ),
        ('dedup = "2s"', 'error: adapters.lorawan.roof.dedup: is out of range; allowed: up to "500ms"'),
        ("sub_band = 2", "error: adapters.lorawan.roof.sub_band: is for US915 and AU915"),
        ("gatways = []", 'error: adapters.lorawan.roof.gatways: unknown key; did you mean "gateways"?'),
    ],
)
def test_a_wrong_adapter_is_reported(findings, adapter, expected):
    assert findings(adapter_table(free_port(), adapter) + otaa_table("hall", HALL)) == [expected]


def test_a_region_is_needed_and_an_open_port_is_reported(findings):
    text = '[adapters.lorawan.roof]\nlisten = "0.0.0.0:1700"\n' + otaa_table("hall", HALL)
    region, port = sorted(findings(text), key=lambda line: "listen" in line)
    assert region == "error: adapters.lorawan.roof.region: missing; write EU868, US915, AU915, AS923 or IN865"
    assert port.startswith("warning: adapters.lorawan.roof.listen: any host that reaches 0.0.0.0:1700 may pass for")


@pytest.mark.parametrize(
    ("lorawan", "expected"),
    [
        ('dev_eui = "12", join_eui = "70b3d57ed0000001", app_key = "' + "5" * 32 + '"', "dev_eui: `12` is not a valid EUI: write 16 hex digits"),
        (f'dev_eui = "{ROOM}"', "lorawan: has no keys; write join_eui and app_key (OTAA), or dev_addr, nwk_skey and app_skey (ABP)"),
        (f'dev_eui = "{ROOM}", app_key = "{"5" * 31}", join_eui = "70b3d57ed0000001"', "app_key: a LoRaWAN key has 31 characters; write its 16 bytes as 32 hex digits"),
        (f'dev_eui = "{ROOM}", join_eui = "70b3d57ed0000001"', "app_key: missing; write app_key_file, or app_key"),
        (f'dev_eui = "{ROOM}", app_key = "{"5" * 32}", dev_addr = "26011bda"', "lorawan: has keys of both kinds; write join_eui and app_key (OTAA), or dev_addr, nwk_skey and app_skey (ABP)"),
        (f'dev_eui = "{ROOM}", app_key_file = "no.key", join_eui = "70b3d57ed0000001"', "app_key_file: cannot read"),
    ],
)
def test_a_wrong_device_is_reported(findings, lorawan, expected):
    [found] = findings(adapter_table(free_port()) + f'[devices.lounge]\ncodec = "node"\nlorawan = {{ {lorawan} }}\n')
    assert found.startswith("error: devices.lounge.lorawan") and expected in found


def test_devices_that_clash_or_cannot_be_read_are_reported(findings):
    twice = abp_table("lounge", ROOM) + otaa_table("hall", ROOM)
    assert findings(adapter_table(free_port()) + twice) == [
        f"error: devices.lounge.lorawan.dev_eui: {ROOM} is the DevEUI of devices.hall too"
    ]
    codecless = otaa_table("hall", HALL).replace('codec = "node"\n', "")
    [found] = findings(adapter_table(free_port()) + codecless, exit=0)
    assert found.startswith("warning: devices.hall: has no `codec`")
    [found] = findings(otaa_table("hall", HALL), exit=0)
    assert found == "warning: devices.hall.lorawan: is not used: there is no [adapters.lorawan.*]"


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ('device = "hal", port = 10, payload = "hex:00"', '.device: "hal" is no device with `lorawan`; did you mean "hall"?'),
        ('device = "hall", payload = "hex:00"', ".port: missing; write the device's port for commands, 1 to 223"),
        ('device = "hall", port = 10, payload = "on"', ".payload: write hex: and an even number of hex digits, or a JSON object for the device's encoder"),
        ('topic = "x", payload = "hex:00"', ".device: missing; write the name of a device that has `lorawan`"),
    ],
)
def test_a_wrong_action_is_reported(findings, action, expected):
    rule = f'[alerts.hot]\nmetric = "temperature"\nabove = 40.0\nactions = [ {{ adapter = "lorawan.roof", {action} }} ]\n'
    found = findings(adapter_table(free_port()) + otaa_table("hall", HALL) + rule)
    assert any(line == "error: alerts.hot.actions[0]" + expected for line in found), found

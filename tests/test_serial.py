"""[adapters.serial.*]: lines on a serial port, from pseudo-terminals."""

import re

import pytest

from gateway import ID, config
from serial_port import SerialPort

COLUMNS = '["device", "temperature", "humidity"]'


@pytest.fixture
def port(started, tmp_path):
    return started.keep(SerialPort(tmp_path / "ttyUSB0"))


def table(port, format="csv", columns=COLUMNS, more=""):
    columns = f"columns = {columns}" if columns else ""
    return f'[adapters.serial.hall]\nport = "{port.path}"\nbaud = 9600\nformat = "{format}"\n{columns}\n{more}\n'


def missing(received):
    """What the last status says is not there."""
    return received.on(f"building/gateways/{ID}/status")[-1].get("missing", [])


def test_lines_become_readings_whatever_the_pieces_and_what_cannot_be_read_is_counted(main_job, received, port):
    port.plug_in()
    gateway = main_job(more=table(port, more='max_line = "64B"'))
    gateway.wait_log("is open at 9600 baud")
    for piece in ("lounge,21.", "5,40\r", "\nkitchen,19,5", "5\n\n\r\n", "lounge,22.5,42\n"):
        port.send(piece)
    received.wait_count("lounge", "temperature", 2)
    received.wait_count("kitchen", "humidity", 1)
    port.send(b"lounge,\xff\xfe,40\nlou\x00nge,1,2\nlounge,21\n" + b"x" * 10_000 + b"\nlounge,23.5,43\n")
    received.wait_count("lounge", "temperature", 3)
    ledger = gateway.wait_ledger(bad_payload=3, too_large=1)
    assert ledger["in"] == 2 * 4 + 4
    assert {body["device"] for body in received.aggregates()} == {"lounge", "kitchen"}
    assert gateway.stop() == 0


@pytest.mark.parametrize(
    ("format", "line", "device", "metric"),
    [
        ("value", "21.5", "hall", "value"),
        ("json", '{"temperature":21.5}', "hall", "temperature"),
        ("json", '{"device":"lounge","temperature":21.5}', "lounge", "temperature"),
        ("node", "01010863021194", "hall", "humidity"),
        ("node", "a4:c1:38:8d:18:b2 01010863021194", "A4:C1:38:8D:18:B2", "temperature"),
    ],
)
def test_each_format_gives_its_readings_to_the_device_that_the_line_names(
    main_job, received, port, format, line, device, metric
):
    port.plug_in()
    gateway = main_job(more=table(port, format, columns=None))
    gateway.wait_log("is open at 9600 baud")
    port.send(line + "\n")
    received.wait_count(device, metric, 1)


def test_nothing_of_a_burst_is_lost(main_job, received, port):
    port.plug_in()
    gateway = main_job(more=table(port))
    gateway.wait_log("is open at 9600 baud")
    port.send("".join(f"meter-{n % 7},{n},{n / 2}\n" for n in range(5_000)))
    ledger = gateway.wait_ledger(taken=10_000, timeout=40)
    assert ledger["dropped"] == {}


def test_a_cable_that_is_pulled_is_told_and_works_again_once_it_is_put_back(main_job, received, port):
    gateway = main_job(more=table(port))
    gateway.wait_log(f"{port.path} is not there: plug the device in")
    received.wait_for(lambda: missing(received) == ["serial.hall"], what="the missing port in the status")
    port.plug_in()
    gateway.wait_log("is open at 9600 baud")
    received.wait_for(lambda: missing(received) == [], what="a status with nothing missing")
    port.send("lounge,21.5,40\nlounge,2")
    received.wait_count("lounge", "temperature", 1)
    port.pull()
    gateway.wait_log("the device was unplugged")
    received.wait_for(lambda: missing(received) == ["serial.hall"], what="the pulled cable in the status")
    port.plug_in()
    port.send("2.5,41\nlounge,22.5,42\n")
    received.wait_count("lounge", "temperature", 2)
    # The half line before and the half line after the pull: neither is joined to the other.
    ledger = gateway.wait_ledger(bad_payload=2)
    assert ledger["in"] == 2 * 2 + 2
    received.wait_for(lambda: missing(received) == [], what="a status with nothing missing")


def test_a_link_that_leads_to_another_device_is_followed(main_job, received, port, started, tmp_path):
    port.plug_in()
    gateway = main_job(more=table(port))
    gateway.wait_log("is open at 9600 baud")
    other = started.keep(SerialPort(tmp_path / "other")).plug_in()
    port.path.unlink()
    port.path.symlink_to(other.path.readlink())
    gateway.wait_log("the device was unplugged")
    other.send("lounge,21.5,40\n")
    received.wait_count("lounge", "temperature", 1)


def test_garbage_of_a_wrong_baud_rate_is_named_until_a_line_can_be_read(main_job, received, port):
    port.plug_in()
    gateway = main_job(more=table(port))
    gateway.wait_log("is open at 9600 baud")
    port.send(b"\xf8\x00\x80\xfe\x9c\n" * 20)
    gateway.wait_log("check `baud`, which is 9600")
    received.wait_for(lambda: missing(received) == ["serial.hall"], what="the garbage in the status")
    gateway.wait_ledger(bad_payload=20)
    port.send("lounge,21.5,40\n")
    received.wait_count("lounge", "temperature", 1)
    received.wait_for(lambda: missing(received) == [], what="a status with nothing missing")


def test_an_action_writes_a_line_to_the_port(main_job, received, port):
    port.plug_in()
    alert = (
        '[alerts.hot]\nmetric = "temperature"\nabove = 30.0\n'
        'actions = [ { adapter = "serial.hall", payload = "fan 1" } ]\n'
    )
    gateway = main_job(more=table(port) + alert)
    gateway.wait_log("is open at 9600 baud")
    port.send("lounge,35,40\n")
    assert port.read_line() == b"fan 1\n"


def test_check_names_a_port_that_is_missing_and_what_is_wrong_with_the_table(riser, port):
    good = riser(config(floor=1, more=table(port)))
    done = good.cli("check", "--config", "gateway.toml", check=0)
    assert f"warning: adapters.serial.hall.port: {port.path} is not there" in done.stdout
    port.plug_in()
    done = good.cli("check", "--config", "gateway.toml", check=0)
    assert "adapters.serial" not in done.stdout, "and the port is not opened, which would restart some boards"

    second = table(port).replace("serial.hall", "serial.again")
    alert = '[alerts.hot]\nmetric = "t"\nabove = 1.0\nactions = [ { adapter = "serial.hall", %s } ]\n'
    actions = [alert % 'payload = "a\\nb"', (alert % 'topic = "t", payload = "a"').replace("hot", "warm")]
    text = config(floor=1, more=table(port, columns=None) + second + "".join(actions))
    done = riser(text).cli("check", "--config", "gateway.toml", "--no-environment", check=78)
    errors = set(re.findall(r"error: (\S+):", done.stdout))
    assert errors == {
        "adapters.serial.hall.columns",
        "adapters.serial.hall.port",
        "alerts.hot.actions[0].payload",
        "alerts.warm.actions[0].topic",
    }, done.stdout

"""The ESP-NOW clients and the broker of firmware/micropython, run by MicroPython: from the radio to the gateway's serial
port."""

import pytest

from micropython_board import Board, columns, extremes
from peers import free_port, wait_until
from serial_port import SerialPort


def mac():
    """An address of the radio that is not there: its last two bytes are a free port (tests/micropython/espnow.py)."""
    port = free_port()
    return f"A4:C1:38:8D:{port >> 8:02X}:{port & 255:02X}"


class Cable(SerialPort):
    """The board's USB cable: what it prints goes into the gateway's serial port."""

    def boards_end(self):
        return self._end


@pytest.fixture
def field(started, tmp_path, main_job):
    return Field(started, tmp_path, main_job)


class Field:
    """A gateway with a broker at its serial port, and clients around it."""

    def __init__(self, started, folder, main_job):
        self._started, self._folder = started, folder
        self._cable = started.keep(Cable(folder / "ttyUSB0")).plug_in()
        table = (
            f'[adapters.serial.espnow]\nport = "{self._cable.path}"\nbaud = 115200\nformat = "csv"\n'
            f"columns = {columns('espnow_broker')}\n"
        )
        self.gateway = main_job(more=table)
        self.gateway.wait_log("is open at 115200 baud")
        self.broker_mac = mac()

    def broker(self, **settings):
        board = Board(
            self._folder / "broker",
            "espnow_broker",
            {"STATUS_S": 1, "WATCHDOG_S": 8} | settings,
            {"mac": self.broker_mac},
            self._cable.boards_end(),
        )
        return self._started.keep(board)

    def client(self, address, world=None, **settings):
        settings = {"BROKER": self.broker_mac, "EVERY_S": 0.2, "LONGEST_BACKOFF": 2, "WATCHDOG_S": 8} | settings
        name = f"client-{address.replace(':', '')}"
        return self._started.keep(Board(self._folder / name, "espnow_client", settings, {"mac": address} | (world or {})))


def test_readings_of_two_clients_arrive_under_their_addresses(field, received):
    field.broker().start()
    one, two = mac(), mac()
    nodes = [field.client(one, BATTERY_PIN=34).start(), field.client(two, world={"bme280": [19.5, 990.0, 55.5]}).start()]
    for address in (one, two):
        received.wait_for(lambda a=address: received.count(a, "illuminance") >= 4, what=f"readings of {address}")
    wanted = {"temperature": 21.5, "pressure": 1013.25, "humidity": 40.25, "illuminance": 120, "voltage": 3.8, "rssi": -55}
    for metric, value in wanted.items():
        assert extremes(received, one, metric) == pytest.approx((value, value)), metric
    assert extremes(received, two, "temperature") == (19.5, 19.5)
    assert received.count(two, "voltage") == 0
    assert all(node.sleeps("deep") >= 4 for node in nodes)
    # The broker reports itself.
    received.wait_for(lambda: received.count(field.broker_mac, "dropped") >= 2, what="the broker's own counters")
    assert field.gateway.audit()["dropped"] == {}


def test_readings_survive_deep_sleep_while_the_broker_is_away(field, received):
    address = mac()
    node = field.client(address).start()
    node.wait_waiting(4)
    field.broker().start()
    received.wait_for(lambda: received.count(address, "temperature") >= 6, what="the readings that waited")
    assert extremes(received, address, "age")[1] >= 1, "the oldest says its age"
    assert extremes(received, address, "dropped") == (0, 0)


def test_a_full_memory_drops_the_oldest_and_says_how_many(field, received):
    address = mac()
    node = field.client(address, KEEP=3).start()
    node.wait_log("3 readings wait", times=3)
    field.broker().start()
    received.wait_for(lambda: received.count(address, "temperature") >= 5, what="readings")
    assert extremes(received, address, "dropped")[1] >= 1


def test_what_is_sent_twice_is_written_once(field, received):
    broker = field.broker().start()
    address = mac()
    node = field.client(address, world={"acknowledgements_lost": True}, LONGEST_BACKOFF=0).start()
    node.wait_waiting(3)
    node.change(acknowledgements_lost=False)
    received.wait_for(lambda: received.count(address, "temperature") >= 6, what="readings")
    for board in (node, broker):
        board.cut_power()
    wait_until(lambda: field.gateway.audit()["open"] == 0 and field.gateway.audit()["queued"] == 0, what="nothing open")
    # One that was sent, but whose round was cut off, may be there too.
    made = node.sleeps("deep")
    received.wait_for(lambda: received.count(address, "temperature") >= made, what=f"{made} readings")
    assert received.count(address, "temperature") <= made + 1


def test_sensors_that_fail_and_a_damaged_memory_harm_nothing(field, received):
    field.broker().start()
    address = mac()
    node = field.client(address, world={"bme280": "absent"})
    (node.folder / "rtc.memory").write_bytes(b"[1, 2, \xff garbage")
    node.start()
    received.wait_for(lambda: received.count(address, "illuminance") >= 3, what="readings of the sensor that works")
    assert received.count(address, "temperature") == 0
    node.change(bme280="nonsense", bh1750="absent")
    received.wait_for(lambda: extremes(received, address, "errors")[1] >= 6, what="errors of both")
    node.change(bme280=[22.5, 1000.0, 50.0], bh1750=60)
    received.wait_for(lambda: received.count(address, "temperature") >= 3, what="readings of the mended sensor")
    assert extremes(received, address, "temperature") == (22.5, 22.5)
    assert field.gateway.audit()["dropped"] == {}


def test_strange_messages_and_strange_clients_are_not_passed_on(field, received):
    known, strange = mac(), mac()
    field.broker(CLIENTS=[known.lower()]).start()
    field.client(strange).start()
    received.wait_for(lambda: extremes(received, field.broker_mac, "errors")[1] >= 3, what="refusals in the status")
    forger = field.client(known)
    # What any radio can send: another client's line behind a line feed, other lengths, other bytes.
    (forger.folder / "main.py").write_text(FORGER)
    forger.start()
    received.wait_for(lambda: received.count(known, "temperature") >= 1, what="the one good message")
    assert {body["device"] for body in received.aggregates()} == {known, field.broker_mac}
    assert extremes(received, known, "temperature") == (20.5, 20.5)
    assert field.gateway.audit()["dropped"] == {}


FORGER = r"""
import config, espnow, machine, network
network.WLAN().active(True)
radio = espnow.ESPNow()
radio.active(True)
broker = bytes(int(part, 16) for part in config.BROKER.split(":"))
radio.add_peer(broker)
for message in (
    b"1,0,99,,,,,,\nff:ff:ff:ff:ff:ff,0,99,,,,,,,", b"1,0,nan,,,,,,", b"1,0, 99,,,,,,", b"1,0,9_9,,,,,,", b"1,0,,", b"",
    b"\xff\x00\x01", b"x" * 250, b"," * 8, b"1,0,99,,,,,0,0,0", b"-,0,99,,,,,,", b"1,0,--9,,,,,,",
    b"2,0,20.5,,,,,,",
):
    radio.send(broker, message)
radio.active(False)
network.WLAN().active(False)
machine.deepsleep(200)
"""

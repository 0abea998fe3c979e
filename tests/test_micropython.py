"""The programs of firmware/micropython, run by MicroPython, against a gateway: over TCP and over MQTT."""

import select
import socket
import threading
import time

import pytest

from gateway import config
from micropython_board import Board, columns, extremes
from peers import HOST, free_port, wait_until

# As fast as the tests need it; the times between stay a board's own.
FAST = {"EVERY_S": 0.2, "SEND_EVERY": 1, "LONGEST_BACKOFF": 2, "WATCHDOG_S": 8, "HOST": HOST, "NTP_HOST": None}


@pytest.fixture
def board(started, tmp_path):
    """A factory: `board("tcp_csv", PORT=8080)` is a board with this program and these settings."""

    def make(program, world=None, stdout=None, **settings):
        return started.keep(Board(tmp_path / f"board-{program}", program, FAST | settings, world, stdout))

    return make


class TcpGateway:
    """A gateway with a port for lines, which can go and come back."""

    def __init__(self, riser, cloud, floor):
        self.port = free_port()
        table = f'[adapters.tcp.esp32]\nlisten = "{HOST}:{self.port}"\nformat = "csv"\ncolumns = {columns("tcp_csv")}\n'
        self.running = riser(config(cloud=cloud.port, floor=floor.port, more=table))

    def start(self):
        self.running.start()
        self.running.wait_log(f"listens on {HOST}:{self.port}")
        return self


class MqttGateway:
    """A gateway that is the building's MQTT broker too."""

    def __init__(self, riser, cloud):
        self.port = free_port()
        users = (
            f'[broker]\nlisten = "{HOST}:{self.port}"\n\n'
            '[broker.users]\npico = { password = "hush", publish = ["sensors/pico/#"] }\n'
        )
        self.running = riser(config(cloud=cloud.port, more=users))

    def start(self):
        self.running.start()
        wait_until(self._listens, what="the embedded broker")
        return self

    def _listens(self):
        with socket.socket() as stream:
            return stream.connect_ex((HOST, self.port)) == 0


@pytest.fixture
def tcp(riser, cloud, floor):
    return TcpGateway(riser, cloud, floor)


@pytest.fixture
def mqtt(riser, cloud):
    return MqttGateway(riser, cloud)


def test_csv_over_tcp_is_aggregated_and_the_board_sleeps_between(tcp, board, received):
    tcp.start()
    node = board("tcp_csv", PORT=tcp.port).start()
    received.wait_for(lambda: received.count("esp32-8d18b2", "gas") >= 5, what="five readings")
    for metric, value in {"temperature": 21.5, "pressure": 1013.25, "humidity": 40.25, "gas": 52000}.items():
        assert extremes(received, "esp32-8d18b2", metric) == (value, value)
    assert node.sleeps("light") >= 5
    assert tcp.running.audit()["dropped"] == {}


def test_tcp_readings_wait_while_the_gateway_is_away_and_keep_their_time(tcp, board, received):
    node = board("tcp_csv", PORT=tcp.port, EVERY_S=0.05).start()
    # More than are sent at once.
    node.wait_waiting(25)
    tcp.start()
    received.wait_for(lambda: received.count("esp32-8d18b2", "temperature") >= 25, what="the readings that waited")
    starts = [body["window"]["start"] for body in received.latest("esp32-8d18b2")]
    assert len(set(starts)) >= 2, "they are not all of the moment of their arrival"
    node.cut_power()
    # Each round makes a reading, sends, and sleeps in one part. One whose round was cut off may be there too.
    made = node.sleeps("light")
    received.wait_for(lambda: received.count("esp32-8d18b2", "temperature") >= made, what=f"{made} readings")
    assert received.count("esp32-8d18b2", "temperature") <= made + 1


def test_a_board_goes_on_after_a_gateway_that_was_killed(tcp, board, received):
    tcp.start()
    node = board("tcp_csv", PORT=tcp.port).start()
    received.wait_for(lambda: received.count("esp32-8d18b2", "temperature") >= 2, what="readings")
    tcp.running.kill()
    waiting = node.log().count("readings wait")
    node.wait_log("readings wait", times=waiting + 2)
    before = received.count("esp32-8d18b2", "temperature")
    tcp.start()
    received.wait_for(lambda: received.count("esp32-8d18b2", "temperature") >= before + 8, what="what waited again")
    assert extremes(received, "esp32-8d18b2", "dropped") == (0, 0)


def test_a_full_buffer_drops_the_oldest_and_says_how_many(tcp, board, received):
    node = board("tcp_csv", PORT=tcp.port, KEEP=5).start()
    node.wait_log("5 readings wait", times=3)
    tcp.start()
    received.wait_for(lambda: received.count("esp32-8d18b2", "temperature") >= 8, what="readings")
    assert extremes(received, "esp32-8d18b2", "dropped")[1] >= 4


def test_no_wifi_and_a_sensor_that_fails_in_any_way_harm_nothing(tcp, board, received):
    tcp.start()
    node = board("tcp_csv", PORT=tcp.port, world={"wifi": False, "bme680": "absent"})
    # Shorter than a person would wait: each attempt takes that long.
    wifi = node.folder / "wifi.py"
    wifi.write_text(wifi.read_text().replace("seconds=20", "seconds=1"))
    node.start()
    node.wait_log("no Wi-Fi network")
    node.change(wifi=True)
    received.wait_for(lambda: extremes(received, "esp32-8d18b2", "errors")[1], what="errors of the absent sensor")
    assert received.count("esp32-8d18b2", "temperature") == 0
    for kind in ("nonsense", ["nan", 1013.25, 40.25, 52000], [1e9, 1013.25, 40.25, -5], [21.5], None):
        failures = extremes(received, "esp32-8d18b2", "errors")[1]
        node.change(bme680=kind)
        received.wait_for(lambda n=failures: extremes(received, "esp32-8d18b2", "errors")[1] > n + 3, what=f"errors by {kind}")
    assert received.count("esp32-8d18b2", "temperature") == 0
    node.change(bme680=[22.5, 1000.0, 50.0, 40000])
    received.wait_for(lambda: received.count("esp32-8d18b2", "temperature") >= 3, what="readings of the mended sensor")
    assert extremes(received, "esp32-8d18b2", "temperature") == (22.5, 22.5)
    assert tcp.running.audit()["dropped"] == {}


def test_json_over_mqtt_is_aggregated_and_the_board_sleeps_between(mqtt, board, received):
    mqtt.start()
    node = board("mqtt_json", PORT=mqtt.port, NAME="pico", USER="pico", USER_PASSWORD="hush").start()
    received.wait_for(lambda: received.count("pico", "temperature") >= 5, what="five readings")
    for metric, value in {"temperature": 21.5, "pressure": 1013.25, "humidity": 40.25, "errors": 0}.items():
        assert extremes(received, "pico", metric) == (value, value)
    assert extremes(received, "pico", "device_temperature") == pytest.approx((27, 27), abs=0.1)
    assert node.sleeps("light") >= 5


def test_every_mqtt_reading_arrives_once_over_a_kill_of_the_gateway(mqtt, board, received):
    node = board("mqtt_json", PORT=mqtt.port, NAME="pico", USER="pico", USER_PASSWORD="hush").start()
    node.wait_waiting(4)
    mqtt.start()
    received.wait_for(lambda: received.count("pico", "temperature") >= 6, what="the readings that waited")
    mqtt.running.kill()
    waiting = node.log().count("readings wait")
    node.wait_log("readings wait", times=waiting + 2)
    made = node.sleeps("light")
    mqtt.start()
    received.wait_for(lambda: received.count("pico", "temperature") >= made + 2, what="what waited again, and more")
    node.cut_power()
    wait_until(lambda: mqtt.running.audit()["open"] == 0 and mqtt.running.audit()["queued"] == 0, what="nothing open")
    # Each round makes a reading, sends, and sleeps in one part. One whose round was cut off may be there too, and one that was
    # under way when the gateway was killed may be there twice.
    made = node.sleeps("light")
    received.wait_for(lambda: received.count("pico", "temperature") >= made, what=f"{made} readings")
    assert received.count("pico", "temperature") <= made + 2


def test_a_broker_that_hangs_costs_no_reading_and_no_restart(mqtt, board, received):
    mqtt.start()
    node = board("mqtt_json", PORT=mqtt.port, NAME="pico", USER="pico", USER_PASSWORD="hush").start()
    received.wait_for(lambda: received.count("pico", "temperature") >= 2, what="readings")
    mqtt.running.freeze()
    node.wait_log("readings wait")
    before = received.count("pico", "temperature")
    mqtt.running.thaw()
    received.wait_for(lambda: received.count("pico", "temperature") >= before + 3, what="readings after the pause")


def test_a_broker_that_refuses_and_one_that_is_none_are_survived(board, mqtt, received):
    node = board("mqtt_json", PORT=mqtt.port, NAME="pico", USER="pico", USER_PASSWORD="wrong")
    with socket.create_server((HOST, mqtt.port)) as web:
        web.settimeout(15)
        node.start()
        for answer in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\xff\xff\xff\xff\xff", b"\x20\x02", b""):
            peer = web.accept()[0]
            peer.sendall(answer)
            peer.close()
    mqtt.start()
    node.wait_log("refused the connection")
    assert received.count("pico", "temperature") == 0


def test_a_slow_broker_is_waited_for_without_a_restart_by_the_watchdog(board):
    port = free_port()

    def answer():
        with listener.accept()[0] as peer:
            # Each answer within the board's timeout, both together not within its watchdog's.
            assert peer.recv(1024)
            time.sleep(1.5)
            peer.sendall(b"\x20\x02\x00\x00")
            assert peer.recv(1024)
            # The acknowledgement of another message, then its own.
            peer.sendall(b"\x40\x02\x00\x07")
            time.sleep(1.5)
            assert not select.select([peer], [], [], 0)[0], "it goes on before its message was acknowledged"
            peer.sendall(b"\x40\x02\x00\x01")
            assert peer.recv(1024) == b"\xe0\x00"
            said_goodbye.set()

    said_goodbye = threading.Event()
    with socket.create_server((HOST, port)) as listener:
        listener.settimeout(15)
        thread = threading.Thread(target=answer)
        thread.start()
        board("mqtt_json", PORT=port, NAME="pico", WATCHDOG_S=2.5).start()
        thread.join()
    assert said_goodbye.is_set()


def test_two_numbers_of_a_broken_sensor_are_left_out_and_the_rest_is_sent(mqtt, board, received):
    mqtt.start()
    world = {"bme280": "absent", "longest_watchdog_ms": 8388}
    board("mqtt_json", world, PORT=mqtt.port, NAME="pico", USER="pico", USER_PASSWORD="hush").start()
    received.wait_for(lambda: received.count("pico", "device_temperature") >= 3, what="readings of the board itself")
    assert received.count("pico", "temperature") == 0
    assert extremes(received, "pico", "errors")[1] >= 3

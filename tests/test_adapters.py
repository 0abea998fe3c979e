"""Adapters that never give up: a fault of one harms no other, is reported in `health`, and ends when its cause does."""

import itertools
import re
import signal
import socket
import subprocess
import threading

import pytest

from tcp_proxy import TcpProxy
from gateway import HEALTH_EVERY_SECOND, ID, config
from peers import HOST, free_port, wait_until

VALUES = 'topics = [ { filter = "values/{device}/{metric}", format = "value" } ]'


@pytest.fixture
def proxy(started):
    return lambda *arguments: started.keep(TcpProxy(*arguments))


def adapter(name, port, more=""):
    return f'[adapters.mqtt.{name}]\nurl = "mqtt://{HOST}:{port}"\nkeep_alive = "5s"\n{more}\n{VALUES}\n'


def broker_table(port, more=""):
    return f'[broker]\nlisten = "{HOST}:{port}"\nanonymous = true\n{more}\n'


def healths(received):
    return received.on(f"building/gateways/{ID}/health")


def missing(received):
    """What the last status says is not there."""
    return received.on(f"building/gateways/{ID}/status")[-1].get("missing", [])


class Flow:
    """A sensor that sends a reading now and then for as long as the test goes on; knows how many were acknowledged."""

    def __init__(self, sensor, device, pause=0.05):
        self.sensor, self.device, self.sent = sensor, device, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(pause,))
        self._thread.start()

    def _run(self, pause):
        while not self._stop.wait(pause):
            self.sensor.send(f"values/{self.device}/temperature", str(20 + self.sent % 5))
            self.sent += 1

    def goes_on(self, readings=10, timeout=10.0):
        """Waits until so many more are acknowledged."""
        goal = self.sent + readings
        wait_until(lambda: self.sent >= goal, timeout, f"readings of {self.device}")

    def close(self):
        self._stop.set()
        self._thread.join(30)


@pytest.fixture
def flow(started):
    return lambda *arguments: started.keep(Flow(*arguments))


def test_every_kind_of_trouble_stays_with_its_adapter_is_reported_and_ends_by_itself(
    cloud, received, riser, mosquitto, publisher, proxy, flow
):
    brokers = {name: mosquitto() for name in ("gone", "garbage", "silent")}
    brokers["stranger"] = mosquitto(users={"riser": "another"})
    brokers["gone"].stop()
    proxies = {name: proxy(brokers[name].port, name) for name in ("garbage", "silent")}
    embedded, websocket = free_port(), free_port()
    taken = socket.create_server((HOST, websocket))
    tables = [
        broker_table(embedded, f'websocket = "{HOST}:{websocket}"'),
        adapter("gone", brokers["gone"].port),
        adapter("garbage", proxies["garbage"].port),
        adapter("silent", proxies["silent"].port),
        adapter("stranger", brokers["stranger"].port, 'username = "riser"\npassword = "hush"'),
    ]
    gateway = riser(config(cloud=cloud.port, gateway=HEALTH_EVERY_SECOND, more="\n".join(tables))).start()
    received.wait_online()
    lounge = flow(publisher(embedded), "lounge")
    received.wait_for(lambda: healths(received), what="health")
    first = healths(received)[0]["adapters"]
    assert first["mqtt.floor"]["state"] == "up" and "last_error" not in first["mqtt.floor"]
    assert first["broker"]["state"] == "down" and str(websocket) in first["broker"]["last_error"]
    for name, said in (("gone", "refused"), ("garbage", ""), ("stranger", "password")):
        reported = first[f"mqtt.{name}"]
        assert reported["state"] == "down" and said in reported["last_error"], reported
        assert reported["since"] <= reported["last_error_at"] <= healths(received)[0]["time"], reported
    lounge.goes_on()

    # Each cause ends.
    taken.close()
    brokers["gone"].start()
    for name in ("garbage", "silent"):
        proxies[name].mode = "pass"
    users = brokers["stranger"].folder / "users"
    users.write_text("riser:hush\n")
    subprocess.run(["mosquitto_passwd", "-U", users], check=True)
    users.chmod(0o644)
    brokers["stranger"].process.send_signal(signal.SIGHUP)
    for name, broker in brokers.items():
        broker.wait_log(f"Sending SUBACK to riser-{ID}-{name}", timeout=60)
        login = {"username": "riser", "password": "hush"} if name == "stranger" else {}
        publisher(broker.port, **login).send(f"values/{name}/temperature", "21")
        received.wait_count(name, "temperature", 1)
    lounge.goes_on()
    # Each comes back in its own time.
    received.wait_for(lambda: all(reported["state"] == "up" for reported in healths(received)[-1]["adapters"].values()), 70, "all up")
    second = healths(received)[-1]["adapters"]
    for name in ("broker", "mqtt.gone", "mqtt.garbage", "mqtt.silent", "mqtt.stranger"):
        reported = second[name]
        assert reported["last_error"] and reported["last_error_at"] < reported["since"], (name, reported)
    assert second["mqtt.floor"] == first["mqtt.floor"], "nothing happened to it"
    lounge.close()
    received.wait_count("lounge", "temperature", lounge.sent)
    gateway.audit()


def test_an_embedded_broker_whose_port_is_taken_starts_when_it_is_free(
    cloud, floor, sensor, received, riser, publisher, collector
):
    port = free_port()
    taken = socket.create_server((HOST, port))
    table = broker_table(port) + f"[adapters.mqtt.lan]\n{VALUES}\n"
    gateway = riser(config(cloud=cloud.port, floor=floor.port, more=table))
    checked = gateway.cli("check", "--config", gateway.config, check=0)
    assert re.search(rf"warning: broker.listen: .*{port} is taken", checked.stdout), checked.stdout
    gateway.start()
    received.wait_online()
    gateway.wait_log(f"cannot listen on {HOST}:{port}")
    assert missing(received) == ["broker"]
    sensor.send("values/lounge/temperature", "21")
    received.wait_count("lounge", "temperature", 1)
    received.wait_for(lambda: healths(received), what="health")
    reported = healths(received)[0]["adapters"]["broker"]
    assert reported["state"] == "down" and "another program" in reported["last_error"], reported

    taken.close()
    gateway.wait_log("broker: listening for mqtt", timeout=60)
    publisher(port).send("values/hall/temperature", "22")
    received.wait_count("hall", "temperature", 1)
    assert gateway.stop() == 0


def test_a_connection_that_dies_silently_is_replaced_and_loses_nothing(
    cloud, floor, sensor, received, riser, publisher, proxy, flow
):
    port, way = free_port(), proxy(floor.port)
    table = broker_table(port) + adapter("far", way.port)
    gateway = riser(config(cloud=cloud.port, more=table)).start()
    received.wait_online()
    lounge, far = flow(publisher(port), "lounge"), flow(sensor, "far")
    far.goes_on()
    for times in (2, 3):
        way.freeze()
        lounge.goes_on(20)
        # Found after one and a half keep-alives of 5 s.
        floor.wait_log(f"Sending SUBACK to riser-{ID}-far", times=times, timeout=20)
        far.goes_on()
    lounge.close()
    far.close()
    received.wait_count("lounge", "temperature", lounge.sent)
    received.wait_count("far", "temperature", far.sent, timeout=30)
    gateway.audit()


def test_reloads_that_change_one_adapter_under_load_lose_nothing_of_any(
    cloud, floor, sensor, mosquitto, received, riser, publisher, flow
):
    port, other = free_port(), mosquitto()
    table = broker_table(port) + adapter("far", other.port) + f"[adapters.mqtt.lan]\n{VALUES}\n"
    text = config(cloud=cloud.port, floor=floor.port, more=table)
    gateway = riser(text).start()
    received.wait_online()
    flows = [flow(publisher(p), name, 0.001) for name, p in (("lan", port), ("far", other.port), ("near", floor.port))]
    changes = itertools.cycle(
        [
            ('keep_alive = "5s"', 'keep_alive = "6s"'),
            ('keep_alive = "6s"', 'keep_alive = "5s"'),
            ("[adapters.mqtt.lan]\n", '[adapters.mqtt.lan]\nkeep_alive = "17s"\n'),
            ('[adapters.mqtt.lan]\nkeep_alive = "17s"\n', "[adapters.mqtt.lan]\n"),
        ]
    )
    for done in range(1, 9):
        gateway.rewrite(*next(changes))
        gateway.reload()
        in_force = "the new configuration is in force"
        wait_until(lambda n=done: gateway.log().count(in_force) >= n, 30, "the new configuration")
        for one in flows:
            one.goes_on(20)
    for one in flows:
        one.close()
    for one in flows:
        received.wait_count(one.device, "temperature", one.sent, timeout=30)
    ledger = gateway.audit()
    # A broker sends again what was in flight when its connection ended.
    assert ledger["dropped"].keys() <= {"duplicate"}, ledger
    assert ledger["in"] - ledger["dropped"].get("duplicate", 0) == sum(one.sent for one in flows), ledger


class Wire:
    """An MQTT 5 sensor that is cut off when the test says so, with or without having read the PUBACK."""

    def __init__(self, port):
        self.socket = socket.create_connection((HOST, port), timeout=20)
        self._say(0x10, b"\x00\x04MQTT\x05\x00\x00\x3c\x05\x11\x00\x00\x0e\x10\x00\x04wire")
        assert self.socket.recv(4096)[0] == 0x20

    def publish(self, packet_id, payload, dup=False):
        topic = b"values/wire/temperature"
        body = len(topic).to_bytes(2) + topic + packet_id.to_bytes(2) + b"\x00" + payload
        self._say(0x32 | (8 if dup else 0), body)
        return self

    def acknowledged(self):
        assert self.socket.recv(4096)[0] == 0x40
        return self

    def cut(self):
        self.socket.close()

    def _say(self, first, body):
        self.socket.sendall(bytes([first, len(body)]) + body)


@pytest.mark.parametrize("killed", [False, True], ids=["cut", "killed"])
def test_what_a_sensor_of_the_embedded_broker_sends_again_after_a_lost_puback_counts_once(cloud, received, riser, killed):
    port = free_port()
    gateway = riser(config(cloud=cloud.port, journal='sync_every = "0s"', more=broker_table(port))).start()
    received.wait_online()
    wire = Wire(port).publish(7, b"21")
    gateway.wait_ledger(taken=1)
    if killed:
        gateway.kill()
        gateway.start()
        received.wait_for(lambda: received.statuses()[-2:] == ["offline", "online"], what="online again")
    wire.cut()
    wire = Wire(port).publish(7, b"21", dup=True).acknowledged()
    gateway.wait_ledger(taken=2, duplicate=1)
    # The same packet id and payload once more is a new reading, now that the first is acknowledged.
    wire.publish(7, b"21").acknowledged().cut()
    received.wait_count("wire", "temperature", 2)
    gateway.wait_ledger(taken=3, duplicate=1, published=2)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_giant_message_is_counted_and_takes_none_of_those_behind_it(cloud, floor, sensor, received, riser, protocol):
    gateway = riser(config(cloud=cloud.port, floor=floor.port, adapter=f'protocol = "{protocol}"')).start()
    received.wait_online()
    assert gateway.stop() == 0
    # All of them wait in the broker's queue, the giant first.
    sensor.send("values/lounge/temperature", b"x" * 5_000_000)
    sensor.send_all([("values/lounge/temperature", str(20 + i)) for i in range(10)])
    gateway.start()
    received.wait_count("lounge", "temperature", 10)
    gateway.wait_ledger(taken=11, too_large=1)

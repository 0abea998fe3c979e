"""[adapters.tcp.*]: lines over TCP, from real sockets. Each address of 127.0.0.0/8 is a peer of its own."""

import contextlib
import re
import socket
import threading

import pytest

from gateway import config
from peers import HOST, free_port


class Tcp:
    """A port of the gateway under test."""

    def __init__(self, more="", format="csv", columns='["temperature", "humidity"]'):
        self.port = free_port()
        columns = f"columns = {columns}" if columns else ""
        self.table = (
            f'[adapters.tcp.hall]\nlisten = "{HOST}:{self.port}"\nformat = "{format}"\n{columns}\n{more}\n'
        )

    def connect(self, peer=HOST):
        return socket.create_connection((HOST, self.port), timeout=10, source_address=(peer, 0))


@pytest.fixture
def gateway(main_job):
    """A factory: a running gateway that listens for the given Tcp."""

    def run(tcp, **parts):
        running = main_job(more=tcp.table, **parts)
        running.wait_log(f"listens on {HOST}:{tcp.port}")
        return running

    return run


def is_closed(stream):
    """Whether the gateway has closed the connection."""
    with contextlib.suppress(ConnectionError):
        return stream.recv(16) == b""
    return True


def test_a_line_is_of_its_peers_address_and_a_half_closed_peer_is_let_go(gateway, received):
    tcp = Tcp()
    running = gateway(tcp)
    with tcp.connect("127.0.0.7") as one, tcp.connect("127.0.0.8") as two:
        one.sendall(b"21.5,")
        two.sendall(b"19.5,50\r\n")
        received.wait_count("127.0.0.8", "humidity", 1)
        one.sendall(b"40\n22.5,4")
        received.wait_count("127.0.0.7", "temperature", 1)
        one.shutdown(socket.SHUT_WR)
        assert is_closed(one)
        running.wait_ledger(bad_payload=1)
        two.sendall(b"20.5,51\n")
        received.wait_count("127.0.0.8", "humidity", 2)
    assert running.stop() == 0


def test_a_column_or_a_table_of_devices_names_them(gateway, received):
    tcp = Tcp(columns='["device", "temperature"]')
    running = gateway(tcp, aggregate='window = "1s"\nlateness = "300ms"\n\n[devices.lounge]\naddress = "sensor-7"')
    with tcp.connect() as stream:
        stream.sendall(b"sensor-7,21.5\nsensor-8,19.5\n,5\n")
        received.wait_count("lounge", "temperature", 1)
        received.wait_count("sensor-8", "temperature", 1)
        received.wait_count(HOST, "temperature", 1)
    assert running.audit()["dropped"] == {}


def test_what_cannot_be_read_is_counted_and_the_next_line_is_taken(gateway, received):
    tcp = Tcp(more='max_line = "64B"')
    running = gateway(tcp)
    with tcp.connect() as stream:
        stream.sendall(b"warm,40\n\xff\xfe\n\x00\n" + b"9" * 100_000 + b"\n21.5,40\n")
        received.wait_count(HOST, "temperature", 1)
        ledger = running.wait_ledger(bad_payload=3, too_large=1)
    assert ledger["in"] == 2 + 4


def test_one_connection_too_many_is_closed_and_an_address_gives_way_to_another(gateway, received):
    tcp = Tcp()
    gateway(tcp)
    with contextlib.ExitStack() as open_ones:
        mine = [open_ones.enter_context(tcp.connect()) for _ in range(64)]
        for stream in mine:
            stream.sendall(b"21.5,40\n")
        received.wait_count(HOST, "temperature", 64)
        assert is_closed(open_ones.enter_context(tcp.connect())), "the 65th"
        other = open_ones.enter_context(tcp.connect("127.0.0.9"))
        other.sendall(b"19.5,50\n")
        received.wait_count("127.0.0.9", "temperature", 1)
        assert is_closed(mine[-1]), "the newest of the address that has most"
        for stream in mine[:-1]:
            stream.sendall(b"22.5,41\n")
        received.wait_count(HOST, "temperature", 127)


def test_a_connection_without_lines_is_closed_also_where_bytes_drip(gateway, received):
    tcp = Tcp(more='idle = "2s"')
    gateway(tcp)
    with tcp.connect() as silent, tcp.connect() as dripping, tcp.connect() as alive:
        goes_on = threading.Event()

        def drip():
            while not goes_on.wait(0.1):
                alive.sendall(b"21.5,40\n")
                with contextlib.suppress(OSError):
                    dripping.sendall(b"1")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert is_closed(silent)
            assert is_closed(dripping)
            alive.settimeout(0.2)
            with pytest.raises(TimeoutError):
                alive.recv(1)
        finally:
            goes_on.set()
            thread.join()


def test_a_flood_is_held_back_loses_nothing_and_others_are_heard_meanwhile(gateway, received):
    tcp = Tcp(more="max_rate = 200")
    running = gateway(tcp)
    lines = 2_000

    def flood():
        with tcp.connect("127.0.0.66") as stream:
            stream.settimeout(60)
            stream.sendall(b"21.5,40\n" * lines)

    thread = threading.Thread(target=flood)
    thread.start()
    with tcp.connect("127.0.0.7") as quiet:
        quiet.sendall(b"19.5,50\n")
        received.wait_count("127.0.0.7", "temperature", 1)
        assert running.audit()["in"] < 2 * lines, "the flood is not over"
    thread.join()
    ledger = running.wait_ledger(taken=2 * lines + 2, timeout=40)
    assert ledger["dropped"] == {}


def test_a_port_that_is_taken_is_named_and_used_once_it_is_free(main_job, received):
    tcp = Tcp()
    with socket.create_server((HOST, tcp.port)):
        running = main_job(more=tcp.table)
        running.wait_log(f"{HOST}:{tcp.port} is taken by another program")
    running.wait_log(f"listens on {HOST}:{tcp.port}")
    with tcp.connect() as stream:
        stream.sendall(b"21.5,40\n")
        received.wait_count(HOST, "temperature", 1)


def test_connections_survive_a_reload_that_does_not_concern_them(gateway, received):
    tcp = Tcp()
    running = gateway(tcp)
    with tcp.connect() as stream:
        stream.sendall(b"21.5,40\n")
        received.wait_count(HOST, "temperature", 1)
        running.rewrite('lateness = "300ms"', 'lateness = "400ms"')
        running.reload()
        running.wait_log("the new configuration is in force")
        stream.sendall(b"22.5,41\n")
        received.wait_count(HOST, "temperature", 2)


def test_check_finds_what_is_wrong_with_the_table(riser):
    tcp = Tcp()
    with socket.create_server((HOST, tcp.port)):
        done = riser(config(floor=1, more=tcp.table)).cli("check", "--config", "gateway.toml", check=0)
    assert f"warning: adapters.tcp.hall.listen: {HOST}:{tcp.port} is taken" in done.stdout

    tcp = Tcp(columns=None, more='max_line = "1B"\nidle = "0s"')
    again = tcp.table.replace("tcp.hall", "tcp.again").replace('"csv"', '"cvs"') + "max_connections = 0\n"
    alert = '[alerts.hot]\nmetric = "t"\nabove = 1.0\nactions = [ { adapter = "tcp.hall", payload = "a" } ]\n'
    text = config(floor=1, more=tcp.table.replace(HOST, "0.0.0.0") + again + alert)
    done = riser(text).cli("check", "--config", "gateway.toml", "--no-environment", check=78)
    errors = set(re.findall(r"error: (\S+):", done.stdout))
    wanted = {"hall.columns", "hall.max_line", "hall.idle", "again.max_connections", "again.format"}
    assert {f"adapters.tcp.{key}" for key in wanted} <= errors, done.stdout
    assert "warning: adapters.tcp.hall.listen: any host that reaches 0.0.0.0" in done.stdout
    assert "alerts.hot.actions[0].adapter" in errors, done.stdout

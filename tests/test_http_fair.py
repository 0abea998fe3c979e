"""Every address has its share of the page: one that takes all it can get leaves room for the others."""

import contextlib
import socket
import threading
import time

import pytest

from gateway import config
from history_file import fill
from peers import free_port, wait_until
from readings import now_millis
from web import API, http_table

# What `riser http enable` made once.
PASSWORD = "sg7a-jjv5-55s2-4y9c"
HASH = "$argon2id$v=19$m=19456,t=2,p=1$Nv2k6tt3ifJGUegnyJgOFQ$tTc8h/I4COFoMKjSUCosAGmNrnzrqMOQUWN2DU7Exw0"


@pytest.fixture
def page(riser):
    def run(http="", more=""):
        table, web = http_table(more=http)
        web.gateway = riser(config(floor=free_port(), more=table + more)).start()
        return web.wait()

    return run


@pytest.fixture
def held():
    """Connections that a test opens and must close."""
    with contextlib.ExitStack() as connections:
        yield connections


def streaming(web, held):
    """A connection that follows the stream; its socket, and what the gateway said."""
    connection = held.enter_context(web.open())
    connection.sendall(f"GET {API}/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    try:
        return connection, connection.recv(65536).split(b"\r\n")[0]
    except OSError:
        return connection, b""


def is_open(connection):
    connection.settimeout(0.01)
    try:
        while data := connection.recv(65536):
            pass
        return bool(data)
    except TimeoutError:
        return True
    except OSError:
        return False


def test_two_addresses_that_take_all_connections_leave_one_for_a_third(page, held):
    web = page(http="max_connections = 16")
    for address in ("127.0.0.2", "127.0.0.3"):
        for _ in range(16):
            connection = held.enter_context(web.of(address).open())
            with contextlib.suppress(OSError):
                connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
    began = time.monotonic()
    # As a browser's tabs do: several at once.
    tabs = [held.enter_context(web.of("127.0.0.4").open()) for _ in range(5)]
    for tab in tabs:
        tab.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert tab.recv(100).startswith(b"HTTP/1.1 200")
    assert time.monotonic() - began < 5, "before slow connections are cut off for being slow"


def test_streams_are_shared_among_addresses(page, held):
    web = page(http="max_connections = 1000")
    wide = {}
    for address in ("127.0.0.2", "127.0.0.3"):
        answers = [streaming(web.of(address), held) for _ in range(110)]
        wide[address] = [connection for connection, answer in answers if b" 200 " in answer]
        assert all(b" 200 " in answer or b" 503 " in answer for _, answer in answers)
        assert len(wide[address]) <= 100
    for _ in range(3):
        _, answer = streaming(web.of("127.0.0.4"), held)
        assert b" 200 " in answer, answer
    assert 'riser_http_streams 200' in web.ask("/metrics").body.decode()


def stalled(web, held):
    """An export of which nothing is read."""
    connection = held.enter_context(socket.socket())
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.bind((web.source, 0))
    connection.connect(("127.0.0.1", web.port))
    connection.sendall(f"GET {API}/export?from=0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    connection.settimeout(10)
    return connection, connection.recv(64)


def test_an_export_that_nobody_reads_ends_and_one_address_has_one(page, held):
    web = page(more="[history]\n")
    web.gateway.stop()
    fill(web.gateway.data_dir / "history.db", [f"device-{n}" for n in range(20)], 5000, now_millis())
    web.gateway.start()
    web.wait()
    _, answer = stalled(web.of("127.0.0.2"), held)
    assert b" 200 " in answer, answer
    _, answer = stalled(web.of("127.0.0.2"), held)
    assert b" 503 " in answer, "one address has one export"
    _, answer = stalled(web.of("127.0.0.3"), held)
    assert b" 200 " in answer, "another address has one beside it"
    began = time.monotonic()
    other = web.of("127.0.0.4")
    wait_until(lambda: other.ask(f"{API}/export?from=0&device=device-1").status == 200, 30.0, "an export's turn")
    assert time.monotonic() - began < 15


def test_wrong_passwords_from_many_addresses_keep_no_right_one_waiting(page):
    web = page(http=f"password = '{HASH}'")
    stop, tries = threading.Event(), []

    def flood(address):
        peer = web.of(address)
        while not stop.is_set():
            with contextlib.suppress(OSError):
                tries.append(peer.post("/login", {"password": f"guess {len(tries)}"}).status)

    threads = [threading.Thread(target=flood, args=(f"127.0.0.{n + 10}",)) for n in range(20) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(tries) > 40, 60.0, "the flood to begin")
        began = time.monotonic()
        answer = web.of("127.0.0.200").post("/login", {"password": PASSWORD})
        took = time.monotonic() - began
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert answer.status == 200 and took < 2, (answer, took)
    assert 200 not in tries


def test_many_logins_of_one_address_end_no_other_addresss_session(page):
    web = page(http='password = "one"\nview_password = "two"')
    other = web.of("127.0.0.2")
    assert other.login("one") == "operate"
    flooding = web.of("127.0.0.3").connect(30.0)
    for _ in range(1100):
        flooding.request("POST", f"{API}/login", body='{"password":"two"}', headers={"Content-Type": "application/json"})
        response = flooding.getresponse()
        response.read()
        assert response.status == 200
    assert other.ask(f"{API}/devices").status == 200

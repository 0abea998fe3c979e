"""What the page is sent by those who mean it harm: it stays up, its memory is bounded, and no reading is lost."""

import socket
import threading
import time

from gateway import config
from peers import wait_until
from web import API, Stream, http_table


def running(cloud, floor, riser, more=""):
    table, web = http_table(more=more)
    web.gateway = riser(config(cloud=cloud.port, floor=floor.port, more=table)).start()
    return web.wait()


def test_a_thousand_half_open_connections_and_slow_ones_end_and_readings_go_on(cloud, floor, sensor, received, riser):
    web = running(cloud, floor, riser)
    received.wait_online()
    held = []
    for number in range(1000):
        connection = socket.create_connection(("127.0.0.1", web.port), timeout=5)
        held.append(connection)
        try:
            connection.sendall(b"GET /api/v1/devices HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "[: number % 60])
        except OSError:
            pass
    sensor.send_all([("sensors/lounge/telemetry", {"temperature": 20 + n % 3}) for n in range(200)])
    web.gateway.wait_ledger(taken=200, published=200)
    assert web.gateway.memory_mib() < 200
    # Half of the places are for one address; those who say nothing lose them.
    wait_until(web.is_there, 30.0, "the page to answer again")
    for connection in held:
        connection.close()


def test_bodies_and_heads_without_an_end_are_refused(cloud, floor, riser):
    web = running(cloud, floor, riser)
    head = f"POST {API}/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n".encode()
    assert b" 413 " in web.raw(head + b"Content-Length: 1073741824\r\n\r\n" + b"x" * 300_000).split(b"\r\n")[0]
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    assert b" 413 " in web.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 8).split(b"\r\n")[0]
    answer = web.raw(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 100_000)
    assert not answer or b" 431 " in answer.split(b"\r\n")[0]
    for nonsense in (b"\x00" * 100, b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9.9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\n"):
        web.raw(nonsense, timeout=2.0)
    for lines in (b"", b"Host: a\r\nHost: 127.0.0.1\r\n", b"Host: \xff\r\n"):
        answer = web.raw(b"GET /api/v1/devices HTTP/1.1\r\n" + lines + b"Connection: close\r\n\r\n")
        assert b" 400 " in answer.split(b"\r\n")[0] or b" 421 " in answer.split(b"\r\n")[0], (lines, answer[:100])
    assert web.is_there() and "panicked" not in web.gateway.log()


def test_readers_who_never_read_cost_little_and_slow_nobody(cloud, floor, sensor, received, riser, started):
    web = running(cloud, floor, riser)
    received.wait_online()
    deaf = []
    for _ in range(50):
        connection = socket.create_connection(("127.0.0.1", web.port))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(f"GET {API}/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        deaf.append(connection)
    live = started.keep(Stream(web))
    for step in range(5):
        sensor.send_all([(f"sensors/device-{n}/telemetry", {"temperature": step + n / 1000}) for n in range(300)])
    web.gateway.wait_ledger(taken=1500, published=1500)

    def all_seen(_):
        return len({device["name"] for data in live.of("devices") for device in data["devices"]}) == 300

    live.wait("devices", all_seen, 30.0)
    assert web.gateway.memory_mib() < 250
    for connection in deaf:
        connection.close()


def test_a_flood_of_questions_loses_no_reading(cloud, floor, sensor, received, riser):
    web = running(cloud, floor, riser, more="")
    received.wait_online()
    stop, answered = threading.Event(), []

    def flood():
        while not stop.is_set():
            for path in ("/overview", "/devices", "/alerts?state=all", "/ledger"):
                answered.append(web.ask(API + path, timeout=30.0).status)

    threads = [threading.Thread(target=flood) for _ in range(8)]
    for thread in threads:
        thread.start()
    sensor.send_all([("sensors/lounge/telemetry", {"temperature": 20 + n % 3}) for n in range(500)])
    web.gateway.wait_ledger(timeout=30.0, taken=500, published=500)
    stop.set()
    for thread in threads:
        thread.join()
    assert set(answered) == {200} and len(answered) > 50


def test_checking_large_configurations_over_and_over_takes_bounded_memory(cloud, floor, riser):
    web = running(cloud, floor, riser)
    text = "".join(f"unknown-{n} = 1\n" for n in range(15_000))
    statuses, sizes = [], []

    def ask():
        for _ in range(5):
            answer = web.ask(f"{API}/config/check", "POST", text, {"Content-Type": "text/plain"}, timeout=60.0)
            statuses.append(answer.status)
            if answer.status == 200:
                sizes.append(len(answer.body))
                assert len(answer.json["findings"]) == 200 and answer.json["total"] >= 15_000

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 503} and 200 in statuses and max(sizes) < 100_000
    assert web.gateway.memory_mib() < 300


def test_a_page_of_devices_ends_by_bytes_and_the_next_one_goes_on(cloud, floor, sensor, received, riser):
    web = running(cloud, floor, riser)
    received.wait_online()
    wide = {f"metric-{n}": n for n in range(200)}
    sensor.send_all([(f"sensors/wide-{n:03}/telemetry", wide) for n in range(100)])
    wait_until(lambda: web.get("/devices?limit=1")["total"] == 100, 30.0, "a hundred devices")
    names, after = [], ""
    while True:
        answer = web.ask(f"{API}/devices?limit=1000{after}")
        assert answer.status == 200 and len(answer.body) < 1_500_000
        page = answer.json
        names += [device["name"] for device in page["devices"]]
        if "next" not in page:
            break
        after = f"&after={page['next']}"
    assert names == [f"wide-{n:03}" for n in range(100)]


def test_acknowledging_made_up_devices_is_refused_and_remembers_nothing(cloud, floor, riser):
    web = running(cloud, floor, riser)
    before = web.gateway.memory_mib()
    for number in range(100):
        answer = web.post("/alerts/acknowledge", {"device": f"{number}" + "x" * 250_000})
        assert answer.status == 404
    assert web.gateway.memory_mib() < before + 30


def test_the_largest_event_id_is_only_an_id_that_is_not_known(cloud, floor, riser, started):
    web = running(cloud, floor, riser)
    live = started.keep(Stream(web))
    live.wait("overview")
    epoch = live.last_id().split("-")[0]
    started.keep(Stream(web, last=f"{epoch}-18446744073709551615")).wait("reset")
    assert "panicked" not in web.gateway.log()


def test_many_readers_of_long_lists_do_not_hold_readings_up(cloud, floor, sensor, received, riser):
    web = running(cloud, floor, riser)
    received.wait_online()
    values = {f"metric-{n}": n for n in range(5)}
    sensor.send_all([(f"sensors/device-{n:04}/telemetry", values) for n in range(1000)])
    wait_until(lambda: web.get("/devices?limit=1")["total"] == 1000, 30.0, "a thousand devices")
    stop, answered = threading.Event(), []

    def read(number):
        while not stop.is_set():
            path = "/devices?limit=1000" if number % 2 else f"/devices?limit={1000 - number}"
            answered.append(web.ask(API + path, timeout=60.0).status)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(answered) > 5, 60.0, "the readers to begin")
    waited = []
    for step in range(15):
        began = time.monotonic()
        assert web.ask("/healthz", timeout=60.0).status == 200
        waited.append(time.monotonic() - began)
    stop.set()
    for thread in threads:
        thread.join()
    assert set(answered) == {200} and sorted(waited)[7] < 0.5, waited
    assert web.gateway.memory_mib() < 250

"""Records posted to an HTTP server: each batch the same when it is sent again, whatever is killed meanwhile."""

import json
import time

import pytest

from gateway import config
from http_server import Server
from peers import wait_until
from readings import now_millis

SINK = "http.hook"
ALERT = '[alerts.too-hot]\nmetric = "temperature"\nabove = 40.0'


@pytest.fixture
def server(started):
    return started.keep(Server())


def sink(server, more=""):
    return f'[sinks.http.hook]\nurl = "{server.url}"\n{more}\n\n{ALERT}'


def send(sensor, device, count):
    sensor.send_all(
        [(f"sensors/{device}/telemetry", {"temperature": 20.0 + n % 5, "ts": now_millis()}) for n in range(count)]
    )


def test_records_are_posted_as_lines_with_headers_token_and_key(server, cloud, floor, sensor, riser, received):
    every = 'send = ["aggregates", "alerts", "readings"]\ntoken = "hush"\nheaders = { X-Building = "north" }'
    gateway = riser(config(cloud=cloud.port, floor=floor.port, more=sink(server, every))).start()
    received.wait_online()
    sensor.send("sensors/lounge/telemetry", {"temperature": 41.5, "humidity": 50, "ts": now_millis()})
    wait_until(lambda: len({r["id"] for batch in server.batches() for r in batch}) == 3, 20, what="three records")
    for path, headers, body in server.requests:
        assert path == "/records?from=riser"
        assert (headers["X-Building"], headers["Authorization"]) == ("north", "Bearer hush")
        assert headers["Content-Type"] == "application/x-ndjson" and len(headers["Idempotency-Key"]) == 32
        assert body.endswith(b"\n")
    records = {record["id"].split("/")[1]: record for batch in server.batches() for record in batch}
    assert records["alerts"]["state"] == "raised" and records["lounge"]["metrics"]["temperature"]["avg"] == 41.5
    reading = records["readings"]
    assert reading["metrics"] == {"temperature": 41.5, "humidity": 50.0} and reading["protocol"] == "mqtt"
    assert "seq" not in reading and "seq" in records["alerts"]
    # What the cloud gets is the same, to the letter.
    received.wait_for(lambda: received.aggregates() and received.alerts(), 20, "the same in the cloud")
    assert records["lounge"] == received.aggregates()[0] and records["alerts"] == received.alerts()[0]
    assert "hush" not in gateway.log()


def test_an_array_is_posted_where_that_is_wanted(server, floor, sensor, riser):
    gateway = riser(config(floor=floor.port, more=sink(server, 'format = "json"\nsend = ["readings"]'))).start()
    gateway.wait_log("connected and subscribed")
    send(sensor, "lounge", 20)
    found = lambda: [record["id"] for _, _, body in list(server.requests) for record in json.loads(body)]
    wait_until(lambda: len(set(found())) == 20, 20, lambda: found())
    assert server.requests[0][1]["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_a_busy_server_gets_the_same_batch_again_under_the_same_key(server, floor, sensor, riser, status):
    server.answer = lambda number: (status, {"Retry-After": "1"}) if number == 1 else 200
    gateway = riser(config(floor=floor.port, more=sink(server, 'send = ["readings"]'))).start()
    gateway.wait_log("connected and subscribed")
    send(sensor, "lounge", 5)
    wait_until(lambda: server.requests, 20, what="the first request")
    began = time.monotonic()
    send(sensor, "lounge", 5)
    wait_until(lambda: len({r["id"] for batch in server.batches()[1:] for r in batch}) == 10, 20, lambda: server.batches())
    assert time.monotonic() - began > 0.7, "Retry-After"
    (_, first, body), (_, second, again) = server.requests[:2]
    assert body == again and first["Idempotency-Key"] == second["Idempotency-Key"]
    wait_until(lambda: gateway.audit()["sinks"][SINK]["queued"] == 0, 20, what="everything acknowledged")
    assert gateway.audit()["sinks"][SINK] == {"delivered": 10, "queued": 0, "dropped": 0}


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_batch_that_is_refused_is_dropped_and_counted(server, floor, sensor, riser, status):
    server.answer = lambda number: status
    gateway = riser(config(floor=floor.port, more=sink(server, 'send = ["readings"]'))).start()
    gateway.wait_log("connected and subscribed")
    send(sensor, "lounge", 5)
    wait_until(lambda: gateway.audit()["sinks"][SINK]["dropped"] == 5, 20, lambda: gateway.audit()["sinks"])
    assert len(server.requests) == len({headers["Idempotency-Key"] for _, headers, _ in server.requests})
    assert f"answers {status}" in gateway.log()
    assert gateway.log().count("can never be written") == len(server.requests), "one line for a batch"


def test_a_redirect_is_not_followed_and_loses_nothing(server, floor, sensor, riser):
    server.answer = lambda number: (301, {"Location": "http://elsewhere/"}) if number == 1 else 200
    gateway = riser(config(floor=floor.port, more=sink(server, 'send = ["readings"]'))).start()
    gateway.wait_log("connected and subscribed")
    send(sensor, "lounge", 5)
    gateway.wait_log('it sends to "http://elsewhere/": write that address as url')
    wait_until(lambda: gateway.audit()["sinks"][SINK]["delivered"] == 5, 20, lambda: gateway.audit()["sinks"])


def test_batches_stay_the_same_and_nothing_is_lost_over_kills(server, floor, sensor, riser):
    """Whatever a server has acted on for a key, it will only ever see again under that key."""
    # Most answers never come: the gateway dies first, or has to ask again.
    server.answer = lambda number: 503 if number % 3 else 200
    gateway = riser(config(floor=floor.port, more=sink(server, 'batch = 50\nsend = ["readings"]'))).start()
    gateway.wait_log("connected and subscribed")
    for turn in range(8):
        send(sensor, f"device-{turn % 2}", 60)
        gateway.wait_ledger(distinct=60 * (turn + 1))
        seen = len(server.requests)
        if turn % 2:
            wait_until(lambda: len(server.requests) > seen, 20, what="a request")
        gateway.kill()
        gateway.start()
    server.answer = lambda number: 200
    wait_until(lambda: gateway.audit()["sinks"][SINK]["queued"] == 0, 60, lambda: gateway.audit()["sinks"])
    batches = {}
    for _, headers, body in server.requests:
        assert batches.setdefault(headers["Idempotency-Key"], body) == body
    ids = [json.loads(line)["id"] for body in batches.values() for line in body.splitlines()]
    assert len(ids) == len(set(ids)) == 480, "each record is in one batch, whatever its number of attempts"
    assert gateway.audit()["sinks"][SINK]["dropped"] == 0

"""All sinks at once under random faults: each reading arrives once. First that the judge and the faults can be trusted.

RISER_SINK_CHAOS_KILLS (default 6) is how often the gateway is killed, RISER_CHAOS_SEED which faults come when. A failed run prints
both, what happened, and the folder with all logs. `scripts/chaos-sinks` is the long run for people.
"""

import contextlib
import os
import random
import socket
import threading

import pytest

from peers import HOST, wait_until
from readings import rfc3339
from sink_chaos.content import agree, from_bodies, judge
from sink_chaos.proxy import FaultyProxy
from sink_chaos.run import KINDS, Run
from sink_chaos.schedule import Schedule

KILLS = int(os.environ.get("RISER_SINK_CHAOS_KILLS") or 6)
START = 1_795_132_800_000


# Several times what a run takes, with the longest wait for all sinks.
@pytest.mark.timeout(500 + 20 * KILLS)
def test_each_reading_arrives_once_in_every_sink_whatever_fails(tmp_path, capsys):
    seed = int(os.environ.get("RISER_CHAOS_SEED") or random.randrange(10**9))
    schedule = Schedule(seed, KILLS, KINDS)
    with capsys.disabled():
        print(f"\nchaos of sinks: RISER_CHAOS_SEED={seed} RISER_SINK_CHAOS_KILLS={KILLS}, about {schedule.length:.0f} s", flush=True)
    summary = Run(tmp_path, schedule).go()
    with capsys.disabled():
        print(f"chaos of sinks: {summary}")


# The judge, against stories with a known flaw.


def reading(value):
    return {"id": f"hq/readings/lounge/{START}/{value}", "device": "lounge", "metrics": {"temperature": float(value)}}


def aggregate(values, revision=0, start=START):
    metric = {"count": len(values), "avg": sum(values) / len(values)}
    head = {"id": f"hq/lounge/{start}/1000", "device": "lounge", "window": {"start": rfc3339(start)}, "revision": revision}
    return head | {"metrics": {"temperature": metric}}


def alert(state):
    return {"id": f"hq/alerts/{state}", "device": "lounge", "time": rfc3339(START), "state": state}


SENT = [1.0, 2.0, 3.0]
GOOD = [*map(reading, SENT), aggregate(SENT[:2]), aggregate(SENT, revision=1), alert("raised"), alert("cleared")]


def findings(bodies, may_repeat=False):
    return judge("x", from_bodies(bodies, may_repeat), SENT, has_readings=True)[1]


def test_the_judge_finds_nothing_in_an_honest_server():
    assert findings(GOOD) == []
    # In whatever order revisions stand.
    assert findings([*GOOD[:3], GOOD[4], GOOD[3]]) == []


@pytest.mark.parametrize(
    ("bodies", "expected"),
    {
        "lost": (GOOD[1:], "1 readings lost, such as [1.0]"),
        "twice under one id": ([*GOOD, GOOD[0]], "1 duplicates"),
        "twice under two ids": ([*GOOD, GOOD[0] | {"id": "another"}], "1 readings too many, such as [1.0]"),
        "never sent": ([*GOOD, reading(4)], "1 readings too many, such as [4.0]"),
        "a window that lacks one": ([*GOOD[:4]], "the windows count 2 readings, 3 were sent"),
        "a window with another average": ([*GOOD[:3], aggregate([1.0, 2.0, 4.0])], "the sum over all windows is 7"),
        "one id with two contents": ([*GOOD, GOOD[0] | {"zone": "north"}], "has two contents"),
    }.values(),
)
def test_the_judge_notices(bodies, expected):
    found = findings(bodies)
    assert any(expected in finding for finding in found), found


def test_what_a_receiver_may_get_again_must_be_the_same():
    assert findings([*GOOD, GOOD[0], GOOD[3]], may_repeat=True) == []
    assert "has two contents" in findings([*GOOD, GOOD[0] | {"zone": "north"}], may_repeat=True)[0]


def test_an_alert_that_one_sink_lacks_is_noticed():
    whole, part = from_bodies(GOOD), from_bodies(GOOD[:-1])
    assert not list(agree({"a": whole, "b": whole}))
    (finding,) = agree({"a": whole, "b": part})
    assert "alerts" in finding and "cleared" in finding


def test_a_seed_is_a_plan_and_a_sink_has_the_same_faults_beside_others():
    assert str(Schedule(5, 20, KINDS)) == str(Schedule(5, 20, KINDS)) != str(Schedule(6, 20, KINDS))
    plan = Schedule(5, 20, KINDS)
    assert len(plan.gateway) == 20 and plan.of["nats"] == Schedule(5, 20, ["nats"]).of["nats"]


# The faults of a connection.


class Echo:
    """Answers each request with itself, twice."""

    def __init__(self):
        self.requests = []
        self._listener = socket.create_server((HOST, 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with contextlib.suppress(OSError), client:
            while data := client.recv(100):
                self.requests.append(data)
                client.sendall(data * 2)

    def close(self):
        self._listener.close()


@pytest.fixture
def echo(started):
    return started.keep(Echo())


@pytest.fixture
def proxy(started, echo):
    return started.keep(FaultyProxy(echo.port))


@pytest.fixture
def connect(started, proxy):
    return lambda: started.keep(socket.create_connection((HOST, proxy.port), timeout=10))


def ask(client, text=b"abcd"):
    """The answer, as far as it comes."""
    client.sendall(text)
    answer = b""
    with contextlib.suppress(ConnectionError):
        while len(answer) < 2 * len(text) and (data := client.recv(100)):
            answer += data
    return answer


def test_a_connection_without_faults_passes_everything(proxy, connect):
    assert ask(connect()) == b"abcdabcd"
    proxy.set("slow")
    assert ask(connect()) == b"abcdabcd"


def test_an_answer_is_cut_in_its_middle_and_the_server_has_done_its_work(echo, proxy, connect):
    proxy.set("answer", part=0.5, after=1)
    client = connect()
    assert ask(client) == b"abcdabcd"
    assert ask(client, b"efgh") == b"efgh"
    assert echo.requests == [b"abcd", b"efgh"] and proxy.cuts == 1


def test_a_request_is_cut_in_its_middle(echo, proxy, connect):
    proxy.set("request", part=0.5)
    assert ask(connect()) == b""
    wait_until(lambda: echo.requests == [b"ab"], what="half a request")


def test_a_connection_that_hangs_goes_on_and_one_in_a_hole_does_not(echo, proxy, connect):
    clients = [connect(), connect()]
    for mode, client in zip(("hang", "hole"), clients, strict=True):
        assert ask(client) == b"abcdabcd"
        proxy.set(mode)
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            ask(client)
        proxy.heal()
        client.settimeout(0.3 if mode == "hole" else 10)
        if mode == "hang":
            assert client.recv(100)
    with pytest.raises(TimeoutError):
        clients[1].recv(100)
    assert ask(connect()) == b"abcdabcd"


def test_a_server_that_refuses_cuts_its_connections_and_takes_no_new_ones(proxy, connect):
    client = connect()
    assert ask(client) == b"abcdabcd"
    proxy.set("refuse")
    assert ask(client) == b""
    with pytest.raises(ConnectionRefusedError):
        connect()
    proxy.heal()
    assert ask(connect()) == b"abcdabcd"


def test_an_alarm_rings_before_the_answer_is_passed_on(echo, proxy, connect):
    proxy.alarm("answer", proxy.cut)
    assert ask(connect()) == b""
    assert echo.requests == [b"abcd"]

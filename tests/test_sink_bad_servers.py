"""Servers of sinks that answer with rubbish, or without an end: an error that says what and where, nothing lost, nobody harmed."""

import pytest

from gateway import config
from http_server import BadServer
from peers import HOST, wait_until
from readings import now_millis

SECRET = "hush-hush"
KINDS = {
    "influxdb": 'url = "http://{at}"\ndatabase = "building"\nusername = "u"\npassword = "{secret}"',
    "http": 'url = "http://{at}/"\ntoken = "{secret}"',
    "postgres": 'url = "postgres://{at}/building"\nusername = "u"\npassword = "{secret}"',
    "mongodb": 'url = "mongodb://{at}"\ndatabase = "d"\nusername = "u"\npassword = "{secret}"',
    "nats": 'url = "nats://{at}"\nusername = "u"\npassword = "{secret}"',
    "kafka": 'brokers = ["{at}"]\nusername = "u"\npassword = "{secret}"',
}
ANSWERS = {
    "rubbish": (b"\x1b[31m\x00\xff\xfe rubbish\r\n\r\n", b""),
    "endless": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"x" * 0x1000 + b"\r\n"),
    "endless zeros": (b"", bytes(65536)),
    "endless refusal": (b"HTTP/1.1 500 No\r\nContent-Length: 99999999999\r\n\r\n", b"\x1b[2J" * 1000),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_servers_that_answer_with_rubbish_lose_nothing_and_harm_nobody(answer, started, cloud, floor, sensor, received, riser):
    servers = {kind: started.keep(BadServer(*ANSWERS[answer])) for kind in KINDS}
    tables = [
        f"[sinks.{kind}.bad]\n" + text.format(at=f"{HOST}:{servers[kind].port}", secret=SECRET) + '\nsend = ["readings"]'
        for kind, text in KINDS.items()
    ]
    gateway = riser(config(cloud=cloud.port, floor=floor.port, more="\n".join(tables))).start()
    received.wait_online()
    values = [20.0 + n for n in range(100)]
    sensor.send_all([("sensors/lounge/telemetry", {"temperature": value, "ts": now_millis()}) for value in values])
    gateway.wait_ledger(published=100, queued=0)
    wait_until(lambda: all(server.connections for server in servers.values()), 30, what="an attempt of each sink")

    def states():
        return {name: state for name, state in gateway.audit()["sinks"].items() if name.endswith(".bad")}

    def told():
        # A body that does not end is read as far as is needed: with 2xx in front the records may count as delivered.
        return all(state.get("last_error") or state["delivered"] for state in states().values())

    wait_until(told, 60, lambda: str(states()))
    for name, state in states().items():
        if name.split(".")[0] in ("influxdb", "http") and answer == "endless":
            continue
        assert (state["delivered"], state["queued"], state["dropped"]) == (0, 100, 0), (name, state)
        assert f"{HOST}:{servers[name.split('.')[0]].port}" in state["last_error"], state
    assert SECRET not in gateway.log() and "\x1b" not in gateway.log() and "\0" not in gateway.log()
    assert gateway.memory_mib() < 150

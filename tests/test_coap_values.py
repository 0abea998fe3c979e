"""Reading by CoAP: the newest values of all devices, observed, tagged, listed; by libcoap and by aiocoap."""

import asyncio
import json

import aiocoap
import pytest
from aiocoap.numbers.codes import Code

from coap import CON, message
from peers import Publisher, wait_until


@pytest.fixture
def floor_device(started, cloud):
    """An MQTT device."""
    return started.keep(Publisher(cloud.port))


def known(setup, path, body, timeout=15):
    """Waits until the value is there, and returns the answer."""
    answers = []

    def there():
        answers.append(setup.client.get(path))
        return answers[-1].body == body

    wait_until(there, timeout, lambda: f"{body} at {path}: {answers[-1]}")
    return answers[-1]


def test_the_values_of_a_device_that_speaks_mqtt_are_read_by_coap(setup, floor_device):
    setup = setup()
    setup.cloud.wait_online()
    floor_device.send("sensors/hall/telemetry", '{"temperature":21.5,"co2":400}')
    answer = known(setup, "/sensors/hall/temperature", "21.5")
    assert answer.code == "2.05" and "ETag" in answer.line and "Max-Age:60" in answer.line
    assert json.loads(setup.client.get("/sensors/hall").body) == {"co2": 400, "temperature": 21.5}


def test_accept_chooses_the_format_and_what_there_is_not_is_4_06(setup):
    setup = setup()
    setup.client.post("/sensors/lounge", '{"temperature":21.5}', format=50)
    senml = json.loads(setup.client.get("/sensors/lounge", accept=110).body)
    assert [(r["bn"], r["n"], r["u"], r["v"]) for r in senml] == [("lounge/", "temperature", "Cel", 21.5)]
    for path, formats in (("/sensors/lounge", (50, 60, 110, 112)), ("/sensors/lounge/temperature", (0, 50, 60, 110, 112))):
        for format in formats:
            assert setup.client.get(path, accept=format).code == "2.05"
        assert setup.client.get(path, accept=41).code == "4.06"
    # What is read can be reported again, in each format.
    for format in (60, 110, 112):
        body = setup.folder / "body"
        setup.client.get("/sensors/lounge", accept=format)
        assert setup.client.post("/sensors/copy", body.read_bytes(), format=format).code == "2.04"
    setup.cloud.wait_count("copy", "temperature", 3)


def test_coap_client_observes_a_device_that_speaks_mqtt(setup, floor_device):
    setup = setup()
    setup.cloud.wait_online()
    floor_device.send("sensors/hall/telemetry", '{"temperature":20}')
    known(setup, "/sensors/hall/temperature", "20")
    observer = setup.client.observe("/sensors/hall/temperature", 6)
    seen = [observer.stdout.readline().strip()]
    for value in range(21, 26):
        floor_device.send("sensors/hall/telemetry", json.dumps({"temperature": value}))
        seen.append(observer.stdout.readline().strip())
    assert seen == ["20", "21", "22", "23", "24", "25"]
    observer.wait(20)


def test_aiocoap_reports_reads_and_observes(setup, floor_device):
    setup = setup()
    setup.cloud.wait_online()
    base = setup.client.base

    async def talk():
        context = await aiocoap.Context.create_client_context()
        try:
            post = aiocoap.Message(code=Code.POST, uri=f"{base}/sensors/lounge", payload=b'{"co2":400}', content_format=50)
            assert (await context.request(post).response).code is Code.CHANGED
            get = aiocoap.Message(code=Code.GET, uri=f"{base}/sensors/lounge/co2", observe=0)
            request = context.request(get)
            first = await request.response
            assert (first.code, first.payload) == (Code.CONTENT, b"400")
            news = aiter(request.observation)
            for value in (b"401", b"402"):
                floor_device.send("sensors/lounge/telemetry", b'{"co2":' + value + b"}")
                assert (await asyncio.wait_for(anext(news), 10)).payload == value
            request.observation.cancel()
            # A client that has the value gets 2.03: it is still valid.
            tagged = await context.request(aiocoap.Message(code=Code.GET, uri=f"{base}/sensors/lounge/co2")).response
            again = aiocoap.Message(code=Code.GET, uri=f"{base}/sensors/lounge/co2", etags=[tagged.opt.etag])
            assert (await context.request(again).response).code is Code.VALID
            create = aiocoap.Message(code=Code.PUT, uri=f"{base}/sensors/lounge/co2", payload=b"1")
            create.opt.if_none_match = True
            assert (await context.request(create).response).code is Code.PRECONDITION_FAILED
            large = json.dumps({f"a-rather-long-name-{i:03}": i for i in range(150)}).encode()
            assert len(large) > 3000
            post = aiocoap.Message(code=Code.POST, uri=f"{base}/sensors/large", payload=large, content_format=50)
            assert (await context.request(post).response).code is Code.CHANGED
            got = await context.request(aiocoap.Message(code=Code.GET, uri=f"{base}/sensors/large")).response
            assert len(json.loads(got.payload)) == 150
            unknown = aiocoap.Message(code=Code.GET, uri=f"{base}/sensors/nobody")
            assert (await context.request(unknown).response).code is Code.NOT_FOUND
        finally:
            await context.shutdown()

    asyncio.run(talk())


def test_what_there_is_is_listed_and_filtered(setup):
    setup = setup()
    assert setup.client.get("/.well-known/core").code == "2.05"
    setup.client.post("/sensors/lounge", '{"temperature":21.5,"co2":400}', format=50)
    setup.client.post("/sensors/the%20hall/co2", "400")

    def links(query=""):
        body = setup.client.get(f"/.well-known/core{query}").body
        return [link.split(";")[0] for link in body.split(",")] if body else []

    lounge = ["</sensors/lounge>", "</sensors/lounge/co2>", "</sensors/lounge/temperature>"]
    hall = ["</sensors/the%20hall>", "</sensors/the%20hall/co2>"]
    assert links() == lounge + hall
    assert links("?rt=temperature") == ["</sensors/lounge>", "</sensors/lounge/temperature>"]
    assert links("?href=/sensors/lounge*") == lounge
    assert links("?rt=pressure") == []
    assert links("?if=core.b&rt=co2") == ["</sensors/lounge>", "</sensors/the%20hall>"]
    core = setup.client.get("/.well-known/core").body
    assert core.startswith('</sensors/lounge>;rt="co2 temperature";if="core.b";ct="50 60 110 112";obs,')


def test_a_list_that_is_too_long_is_cut_and_reported_and_a_query_finds_the_rest(setup):
    setup = setup()
    device = setup.datagrams()
    names = [f"{number:04}-{'a' * 60}" for number in range(1400)]
    for mid, name in enumerate(names):
        first = [(11, b"sensors")]
        head = message(CON, (0, 2), mid, b"\x01", first)
        # A path segment of 65 bytes: its length is 13 and 52 more.
        assert device.exchange(head + bytes([0x0D, len(name) - 13]) + name.encode() + b"\x03co2\xff1")[1] == (2, 4)
    listed = setup.client.get("/.well-known/core").body
    assert names[0] in listed and names[-1] not in listed
    assert 256 * 1000 < len(listed) <= 256 * 1024
    setup.gateway.wait_log("/.well-known/core for 127.0.0.1")
    assert names[-1] in setup.client.get("/.well-known/core?href=/sensors/1399*").body

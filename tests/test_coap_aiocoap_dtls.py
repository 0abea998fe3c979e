"""aiocoap over DTLS, by tinydtls: a third implementation beside libcoap's two."""

import asyncio
import json

import aiocoap
import pytest
from aiocoap.numbers.codes import Code

from peers import HOST, free_port

# tinydtls takes no longer one than 16 bytes.
KEY = "sixteen byte key"


@pytest.fixture
def secured(setup):
    port = free_port()
    psk = f'listen_dtls = "{HOST}:{port}"\npsk = {{ one = {{ key = "{KEY}", devices = ["one"] }} }}\n'
    setup = setup(coap=psk)
    setup.gateway.wait_log(f"coap: listens on {HOST}:{port}")
    setup.base = f"coaps://{HOST}:{port}"
    return setup


def talk(setup, key, conversation):
    """Runs `conversation(ask)`; `ask(code, path, …)` sends a request and returns it."""

    async def run():
        context = await aiocoap.Context.create_client_context()
        try:
            who = {"dtls": {"psk": {"ascii": key}, "client-identity": {"ascii": "one"}}}
            context.client_credentials.load_from_dict({f"{setup.base}/*": who})

            def ask(code, path, **options):
                return context.request(aiocoap.Message(code=code, uri=setup.base + path, **options))

            await asyncio.wait_for(conversation(ask), 60)
        finally:
            await context.shutdown()

    asyncio.run(run())


def test_aiocoap_reports_reads_and_observes_over_dtls(secured):
    async def conversation(ask):
        report = await ask(Code.POST, "/sensors/one", payload=b'{"co2":400}', content_format=50).response
        assert report.code is Code.CHANGED
        request = ask(Code.GET, "/sensors/one/co2", observe=0)
        first = await request.response
        assert (first.code, first.payload) == (Code.CONTENT, b"400")
        news = aiter(request.observation)
        for value in (b"401", b"402"):
            assert (await ask(Code.PUT, "/sensors/one/co2", payload=value).response).code is Code.CHANGED
            assert (await asyncio.wait_for(anext(news), 10)).payload == value
        request.observation.cancel()
        large = json.dumps({f"metric-{i:03}": i for i in range(180)}).encode()
        assert (await ask(Code.POST, "/sensors/one", payload=large, content_format=50).response).code is Code.CHANGED
        assert len(json.loads((await ask(Code.GET, "/sensors/one").response).payload)) == 181
        assert (await ask(Code.POST, "/sensors/two/co2", payload=b"1").response).code is Code.FORBIDDEN

    talk(secured, KEY, conversation)
    secured.gateway.wait_ledger(taken=183)


def test_aiocoap_with_a_wrong_key_is_refused(secured):
    async def conversation(ask):
        with pytest.raises((aiocoap.error.Error, TimeoutError)):
            await asyncio.wait_for(ask(Code.POST, "/sensors/one/co2", payload=b"1").response, 10)

    talk(secured, "another key here", conversation)
    secured.gateway.wait_log("refused: the")
    assert secured.gateway.audit()["in"] == 0

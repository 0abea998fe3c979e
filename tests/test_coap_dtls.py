"""CoAP over DTLS: keys and identities, with both of libcoap's DTLS libraries."""

import json

import pytest

from coap import TLS_BACKENDS, CoapClient
from gateway import HEALTH_EVERY_SECOND
from peers import HOST, free_port, wait_until

ONE, TWO = "the key of one, 24 bytes", "the key of two, 24 bytes"


@pytest.fixture
def secured(setup, tmp_path):
    """A gateway with two identities; `secured(tls, identity, key)` is a client of it."""
    port = free_port()
    key_file = tmp_path / "one.psk"
    key_file.write_text(ONE + "\n")
    key_file.chmod(0o600)
    hex_key = TWO.encode().hex()
    psk = (
        f'listen_dtls = "{HOST}:{port}"\n[adapters.coap.lan.psk]\n'
        f'one = {{ key_file = "{key_file}", devices = ["one", "hall-*"] }}\n'
        f'two = {{ key = "hex:{hex_key}", devices = ["two"] }}\n'
    )
    there = setup(coap=psk, gateway=HEALTH_EVERY_SECOND)
    there.gateway.wait_log(f"coap: listens on {HOST}:{port}")
    there.secured = lambda tls, identity, key: CoapClient(port, tmp_path, tls, identity, key)
    return there


@pytest.mark.parametrize("tls", TLS_BACKENDS)
def test_an_identity_reports_and_reads_its_own_devices_and_no_others(secured, tls):
    one = secured.secured(tls, "one", ONE)
    two = secured.secured(tls, "two", TWO)
    assert two.post("/sensors/two/co2", "500").code == "2.04"
    for device in ("one", "hall-3"):
        assert one.post(f"/sensors/{device}/co2", "400").code == "2.04"
        assert one.get(f"/sensors/{device}/co2").body == "400"
    for ask in (one.post("/sensors/two/co2", "1"), one.get("/sensors/two/co2"), one.get("/sensors/hall")):
        assert ask.code == "4.03", ask.output
    assert one.get("/.well-known/core?if=core.b").body.count("<") == 2
    # Without DTLS every peer reads everything.
    assert secured.client.get("/sensors/two/co2").body == "500"
    secured.gateway.wait_ledger(taken=3)


@pytest.mark.parametrize("tls", TLS_BACKENDS)
def test_large_bodies_go_both_ways_in_blocks(secured, tls):
    one = secured.secured(tls, "one", ONE)
    body = json.dumps({f"metric-{i:03}": i for i in range(180)})
    answer = one.post("/sensors/one", body, format=50, more=["-b", "256"])
    assert answer.code == "2.04", answer.output[-500:]
    assert len(json.loads(one.get("/sensors/one", more=["-b", "256"]).body)) == 180


@pytest.mark.parametrize("tls", TLS_BACKENDS)
def test_a_wrong_key_and_an_unknown_identity_hurt_only_their_owner(secured, tls):
    good = secured.secured(tls, "one", ONE)
    for _ in range(3):
        assert secured.secured(tls, "one", "another key, 24 bytes...").post("/sensors/one/co2", "1").code == "none"
        assert secured.secured(tls, "three", ONE).post("/sensors/one/co2", "1").code == "none"
        assert good.post("/sensors/one/co2", "400").code == "2.04"
    assert "refused: the" in secured.gateway.log()
    secured.gateway.wait_ledger(taken=3)


def test_health_counts_sessions_and_refusals(secured):
    observer = secured.secured("openssl", "one", ONE)
    observer.post("/sensors/one/co2", "400")
    assert observer.post("/sensors/two/co2", "1").code == "4.03"
    secured.secured("openssl", "one", "another key, 24 bytes...").post("/sensors/one/co2", "1")
    secured.secured("openssl", "three", ONE).post("/sensors/one/co2", "1")
    for path, payload, format in (("sensors/a", "{", 50), ("elsewhere", "1", None), ("sensors/a", "<a/>", 41)):
        secured.client.post(f"/{path}", payload, format=format)
    secured.datagrams().exchange(b"\x4f\x02\x00\x01")

    def figures():
        messages = secured.cloud.on("building/gateways/hq-north/health")
        return messages[-1]["adapters"]["coap.lan"]["figures"] if messages else {}

    expected = {
        "reports": 2,
        "refused_wrong_key": 1,
        "refused_unknown_identity": 1,
        "answered_4.00": 1,
        "answered_4.03": 1,
        "answered_4.04": 1,
        "answered_4.15": 1,
        "malformed": 1,
    }
    wait_until(lambda: expected.items() <= figures().items(), 90, figures)


def test_a_reload_changes_keys_and_leaves_an_adapter_alone_that_it_does_not_change(secured):
    old, new = secured.secured("openssl", "one", ONE), secured.secured("openssl", "one", "a new key of 24 bytes...")
    assert old.post("/sensors/one/co2", "400").code == "2.04"
    listens = secured.gateway.log().count("coap: listens on")
    secured.gateway.rewrite('window = "1s"', 'window = "2s"')
    secured.gateway.reload()
    secured.gateway.wait_log("the new configuration is in force")
    assert secured.gateway.log().count("coap: listens on") == listens
    (secured.folder / "one.psk").write_text("a new key of 24 bytes...")
    secured.gateway.reload()
    wait_until(lambda: secured.gateway.log().count("coap: listens on") == listens + 2, 20, "new listeners")
    assert old.post("/sensors/one/co2", "400").code == "none"
    assert new.post("/sensors/one/co2", "400").code == "2.04"

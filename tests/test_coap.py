"""Devices that report by CoAP: libcoap's coap-client and bare datagrams against the gateway, and what reaches the cloud."""

import json
import random
import socket
import struct

import pytest

from coap import CON, KEY, NON, RST, message, report
from peers import HOST, free_port, wait_until

# A report that was answered 2.04 is on the disk.
SYNC_FIRST = 'sync_every = "0s"'


OBJECT = '{"temperature":21.5,"door":true}'
SENML = '[{"bn":"ignored:","n":"temperature","u":"Cel","v":21.5},{"n":"door","vb":true}]'
CBOR = b"\xa2\x6btemperature\xfb" + struct.pack("!d", 21.5) + b"\x64door\xf5"
SENML_CBOR = b"\x82\xa3\x00\x6btemperature\x01\x63Cel\x02\xfb" + struct.pack("!d", 21.5) + b"\xa2\x00\x64door\x04\xf5"


@pytest.mark.parametrize("method", ["post", "put"])
@pytest.mark.parametrize(
    ("format", "payload"),
    [(50, OBJECT), (60, CBOR), (110, SENML), (112, SENML_CBOR), (None, OBJECT), (None, SENML), (None, CBOR)],
    ids=["json", "cbor", "senml-json", "senml-cbor", "bare object", "bare senml", "bare cbor"],
)
def test_a_report_in_each_format_reaches_the_cloud_as_an_aggregate(setup, method, format, payload):
    setup = setup()
    answer = setup.client.ask(method, "/sensors/lounge", payload, format=format)
    assert answer.code == "2.04", answer.output
    setup.cloud.wait_count("lounge", "temperature", 1)
    setup.cloud.wait_count("lounge", "door", 1)
    aggregate = setup.cloud.aggregates("lounge")[0]
    assert aggregate["protocol"] == "coap"
    assert aggregate["metrics"]["temperature"]["avg"] == 21.5
    setup.gateway.wait_ledger(taken=2, published=2)


@pytest.mark.parametrize("method", ["post", "put"])
def test_a_node_frame_is_an_octet_stream(setup, method):
    setup = setup(journal=SYNC_FIRST)
    for frame in ("535b84", "ffc92d012d", "012108d40402640d00000bea"):
        answer = setup.client.ask(method, "/sensors/cellar", bytes.fromhex(frame), format=42)
        assert answer.code == "2.04", answer.output
    assert json.loads(setup.client.get("/sensors/cellar").body) == {
        "battery": 97.0,
        "co2": 612.0,
        "humidity": 45.0,
        "temperature": -5.5,
        "temperature_1": 22.6,
        "voltage": 3.05,
    }
    setup.cloud.wait_count("cellar", "temperature", 2)
    setup.gateway.wait_ledger(taken=9, published=9)


def test_a_frame_of_a_later_version_is_refused_and_counted(setup):
    setup = setup()
    answer = setup.client.post("/sensors/cellar", bytes.fromhex("05010863"), format=42)
    assert answer.code == "4.00" and "version 5" in answer.output
    assert setup.dropped() == {"bad_payload": 1}
    assert "version 5, which is not known here" in setup.gateway.log()


def test_a_device_with_the_codec_node_needs_no_content_format(setup):
    setup = setup(more='[devices.cellar]\ncodec = "node"')
    # By its beginning it would be a CBOR map.
    assert setup.client.post("/sensors/cellar", bytes.fromhex("a0002c")).code == "2.04"
    assert setup.client.get("/sensors/cellar/temperature").body == "60"


def test_a_number_as_text_is_a_value_of_the_metric_in_the_path(setup):
    setup = setup()
    assert setup.client.post("/sensors/lounge/temperature", "21.5").code == "2.04"
    assert setup.client.put("/sensors/lounge/temperature", "22.5", format=0).code == "2.04"
    setup.cloud.wait_count("lounge", "temperature", 2)


def test_a_body_of_3000_bytes_arrives_whole_by_block1(setup):
    setup = setup()
    body = json.dumps({f"metric-{i:03}": i for i in range(180)})
    assert len(body) > 3000
    for size in (64, 1024):
        answer = setup.client.post("/sensors/large", body, format=50, more=["-b", str(size)])
        assert answer.code == "2.04", answer.output[-500:]
    setup.gateway.wait_ledger(taken=360)
    assert len(json.loads(setup.client.get("/sensors/large", more=["-b", "128"]).body)) == 180


@pytest.mark.parametrize(
    ("ask", "code", "why"),
    [
        (("post", "/sensors/a", "{", 50), "4.00", "JSON"),
        (("post", "/sensors/a/b", "warm", None), "4.00", "a number as text"),
        (("post", "/sensors/a", "21.5", None), "4.00", "/sensors/{device}/{metric}"),
        (("post", "/sensors/a", '[{"n":"a","v":1,"vb":true}]', 110), "4.00", ""),
        (("post", "/elsewhere", "1", None), "4.04", "/sensors/{device}"),
        (("get", "/sensors/nobody", None, None), "4.04", "no value"),
        (("delete", "/sensors/a", None, None), "4.05", "GET, POST and PUT"),
        (("post", "/sensors/a", "<a/>", 41), "4.15", "0, 42, 50, 60, 110 and 112"),
        (("post", "/sensors/a/b", b"\x53\x51\x90", 42), "4.15", "0, 50, 60, 110 and 112"),
        (("post", "/sensors/a", b"\x05\x01\x08\x63", 42), "4.00", "version 5"),
        (("post", "/sensors/a", b"\x53\xca\x00", 42), "4.00", "humidity at byte 1"),
        (("post", "/sensors/a", '{"a":' + "1" * 5000 + "}", 50), "4.13", "4096"),
    ],
    ids=lambda case: case if isinstance(case, str) else " ".join(str(part)[:20] for part in case),
)
def test_what_cannot_be_taken_is_answered_with_its_code_and_why(setup, ask, code, why):
    setup = setup(coap='max_size = "4KiB"')
    method, path, payload, format = ask
    answer = setup.client.ask(method, path, payload, format=format)
    assert answer.code == code, answer.output
    assert why in answer.output
    assert setup.client.post("/sensors/good/temperature", "1").code == "2.04"
    setup.cloud.wait_count("good", "temperature", 1)


def test_a_datagram_that_comes_twice_counts_once_and_is_answered_twice(setup):
    setup = setup()
    device = setup.datagrams()
    first = report(7, "sensors", "lounge", "co2", payload=b"400")
    assert device.exchange(first) == device.exchange(first) == (2, (2, 4), 7)
    # Other bytes under the same id are another report; so are the same bytes from another device.
    assert device.exchange(report(8, "sensors", "lounge", "co2", payload=b"400"))[1] == (2, 4)
    assert setup.datagrams().exchange(first)[1] == (2, 4)
    setup.gateway.wait_ledger(taken=3)


def test_a_report_that_comes_again_after_a_crash_counts_once(setup):
    setup = setup(journal=SYNC_FIRST)
    device = setup.datagrams()
    datagrams = [report(mid, "sensors", "lounge", "co2", payload=b"400") for mid in range(20)]
    assert all(device.exchange(datagram)[1] == (2, 4) for datagram in datagrams)
    setup.gateway.kill()
    setup.start()
    # As if no answer had come.
    assert all(device.exchange(datagram)[1] == (2, 4) for datagram in datagrams)
    assert device.exchange(report(99, "sensors", "lounge", "co2", payload=b"400"))[1] == (2, 4)
    setup.cloud.wait_count("lounge", "co2", 21, timeout=30)
    ledger = setup.gateway.audit()
    assert ledger["dropped"] == {"duplicate": 20}


def test_killed_after_2_04_nothing_is_lost(setup):
    setup = setup(journal=SYNC_FIRST)
    sent = 0
    for round in range(3):
        device = setup.datagrams()
        for mid in range(50):
            value = str(round * 100 + mid).encode()
            assert device.exchange(report(mid, "sensors", "meter", "energy", payload=value))[1] == (2, 4)
            sent += 1
        setup.gateway.kill()
        setup.start()
    setup.cloud.wait_count("meter", "energy", sent, timeout=30)


def test_a_report_that_wants_no_answer_is_taken_and_answered_as_it_came(setup):
    setup = setup()
    device = setup.datagrams()
    kind, code, _ = device.exchange(report(1, "sensors", "lounge", "co2", payload=b"400", kind=NON))
    assert (kind, code) == (NON, (2, 4))
    # No-Response (RFC 7967): nothing but errors is wanted; the next answer is to the next request.
    quiet = [(11, b"sensors"), (11, b"a"), (11, b"b")]
    far = b"\xd1\xea\x02"  # option 11 + 13 + 234 = 258, one byte: not 2.xx
    bare = message(NON, (0, 2), 2, b"\x02", quiet)
    device.send(bare + far + b"\xff5")
    assert device.exchange(message(CON, (0, 0), 3)) == (RST, (0, 0), 3)
    setup.gateway.wait_ledger(taken=2)


def test_an_unknown_device_is_refused_where_only_known_ones_are_taken(setup):
    setup = setup(gateway='unknown_devices = "ignore"', more='[devices.lounge]\naddress = "a4:c1:38:8d:18:b2"')
    assert setup.client.post("/sensors/stranger/co2", "400").code == "4.04"
    assert setup.client.post("/sensors/A4:C1:38:8D:18:B2/co2", "400").code == "2.04"
    # The same path, however the address is written, and the name.
    for path in ("a4:c1:38:8d:18:b2", "A4:C1:38:8D:18:B2", "lounge"):
        assert setup.client.get(f"/sensors/{path}/co2").body == "400"
    assert setup.dropped() == {"unknown_device": 1}
    setup.cloud.wait_count("lounge", "co2", 1)


def test_no_more_devices_than_allowed_are_known(setup):
    setup = setup(gateway="max_devices = 1")
    assert setup.client.post("/sensors/first/co2", "400").code == "2.04"
    answer = setup.client.post("/sensors/second/co2", "400")
    assert answer.code == "5.03" and "Max-Age" in answer.line and "max_devices" in answer.output
    assert setup.client.post("/sensors/first/co2", "401").code == "2.04"
    assert setup.dropped() == {"too_many_devices": 1}


def test_a_renamed_metric_is_read_under_both_names(setup):
    setup = setup(more='[devices.lounge]\nrename = { tempc = "temperature" }')
    assert setup.client.post("/sensors/lounge/tempc", "21.5").code == "2.04"
    for metric in ("tempc", "temperature"):
        assert setup.client.get(f"/sensors/lounge/{metric}").body == "21.5"


def test_a_device_with_a_codec_of_its_own_is_read_by_that(setup):
    setup = setup(more='[devices.odd]\ncodec = "value"')
    assert setup.client.post("/sensors/odd/co2", "400", format=42).code == "2.04"
    setup.cloud.wait_count("odd", "co2", 1)


def test_hostile_datagrams_disturb_no_good_sensor(setup):
    setup = setup()
    attacker, device = setup.datagrams(), setup.datagrams()
    attacker.socket.setblocking(False)
    chance = random.Random(7)
    good = report(0, "sensors", "good", "co2", payload=b"400")
    for mid in range(300):
        for _ in range(20):
            datagram = bytearray(good)
            for _ in range(chance.randrange(1, 6)):
                datagram[chance.randrange(len(datagram))] = chance.randrange(256)
            datagram = bytes(datagram[: chance.randrange(len(datagram) + 1)])
            # None of them names the good sensor.
            if b"good" not in datagram:
                attacker.send(datagram)
        assert device.exchange(report(mid, "sensors", "good", "co2", payload=b"400")) == (2, (2, 4), mid)
    wait_until(lambda: setup.cloud.count("good", "co2") == 300, 20, "300 readings")
    assert setup.gateway.process.poll() is None
    setup.gateway.audit()


def test_a_port_that_is_taken_is_waited_for(setup):
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    blocked = free_port()
    other.bind((HOST, blocked))
    psk = f'listen_dtls = "{HOST}:{blocked}"\npsk = {{ one = {{ key = "hex:{KEY}", devices = ["*"] }} }}'
    setup = setup(coap=psk)
    # The other listener works meanwhile.
    assert setup.client.post("/sensors/lounge/co2", "400").code == "2.04"
    setup.gateway.wait_log(f"127.0.0.1:{blocked} is taken by another program")
    other.close()
    setup.gateway.wait_log(f"coap: listens on 127.0.0.1:{blocked}", timeout=40)

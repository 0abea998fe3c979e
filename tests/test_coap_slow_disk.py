"""2.04 by CoAP is an acknowledgement: what a disk that is slow, stands still or refuses makes of it."""

import asyncio
import contextlib

import aiocoap
import pytest
from aiocoap.numbers.codes import Code

import faults
from coap import ACK, CON, CoapSetup, message, report
from faults.site import REFUSALS
from peers import wait_until

SYNC_FIRST = 'sync_every = "0s"'
EMPTY, CHANGED = (0, 0), (2, 4)


@pytest.fixture
def setup(started, tmp_path, cloud, collector, faults_library):
    """A gateway with a CoAP port on a disk that can be broken, at `setup.disk`."""
    setup = CoapSetup(started, tmp_path, cloud, collector, journal=SYNC_FIRST)
    setup.disk = faults.Disk(faults_library, setup.gateway.data_dir, setup.gateway.folder)
    setup.gateway.env |= setup.disk.env
    setup.start()
    setup.cloud.wait_online()
    assert setup.client.post("/sensors/first/co2", "1").code == "2.04"
    return setup


def co2(mid, value=b"400"):
    return report(mid, "sensors", "lounge", "co2", payload=value)


def acknowledge(device, mid):
    device.send(message(ACK, EMPTY, mid))


def test_libcoap_gets_an_empty_acknowledgement_from_a_slow_disk_and_then_its_answer(setup):
    setup.disk.slow(2.5, "journal")
    answer = setup.client.post("/sensors/lounge/co2", "400", more=["-v", "7"])
    assert "t:ACK c:0.00" in answer.output and "t:CON c:2.04" in answer.output, answer.output
    assert answer.output.index("t:ACK c:0.00") < answer.output.index("t:CON c:2.04")
    setup.cloud.wait_count("lounge", "co2", 1, timeout=30)


def test_aiocoap_waits_for_a_slow_disk(setup):
    setup.disk.slow(2.5, "journal")

    async def talk():
        context = await aiocoap.Context.create_client_context()
        try:
            uri = f"{setup.client.base}/sensors/lounge/co2"
            post = aiocoap.Message(code=Code.POST, uri=uri, payload=b"400")
            answer = await context.request(post).response
            assert (answer.code, answer.mtype) == (Code.CHANGED, aiocoap.CON)
        finally:
            await context.shutdown()

    asyncio.run(talk())
    setup.gateway.wait_ledger(taken=2)


@pytest.mark.parametrize("trouble", ["hang", *REFUSALS])
def test_no_2_04_comes_before_the_disk_has_it_and_what_is_sent_again_counts_once(setup, trouble):
    device = setup.datagrams()
    getattr(setup.disk, trouble)("journal")
    assert device.exchange(co2(7)) == (ACK, EMPTY, 7)
    wait_until(lambda: setup.disk.hits >= 1, what="calls that the disk refuses or holds up")
    # Again, as if the acknowledgement was lost: the same again.
    assert device.exchange(co2(7)) == (ACK, EMPTY, 7)
    device.socket.settimeout(2)
    with contextlib.suppress(TimeoutError):
        raise AssertionError(f"answered by a disk that has nothing: {device.receive()}")
    device.socket.settimeout(20)
    setup.disk.heal()
    kind, code, mid = device.receive()
    assert (kind, code) == (CON, CHANGED)
    acknowledge(device, mid)
    assert device.exchange(co2(7)) == (ACK, EMPTY, 7)
    setup.cloud.wait_count("lounge", "co2", 1, timeout=30)
    assert setup.gateway.wait_ledger(taken=2)["dropped"] == {}


@pytest.mark.parametrize("trouble", ["hang", "fail_writes"])
def test_what_got_no_2_04_is_sent_again_after_a_power_cut_and_counts_once(setup, trouble):
    device = setup.datagrams()
    assert device.exchange(co2(1)) == (ACK, CHANGED, 1)
    getattr(setup.disk, trouble)("journal")
    assert device.exchange(co2(2)) == (ACK, EMPTY, 2)
    setup.gateway.kill()
    setup.disk.heal()
    setup.disk.cut_power()
    setup.start()
    for mid in (1, 2):
        assert device.exchange(co2(mid)) == (ACK, CHANGED, mid)
    setup.cloud.wait_count("lounge", "co2", 2, timeout=30)
    assert setup.cloud.count("lounge", "co2") == 2


def test_a_burst_of_40_from_one_device_gets_40_answers_from_a_slow_disk(setup):
    device = setup.datagrams()
    setup.disk.hang("journal")
    bursts = {mid: report(mid, "sensors", "lounge", "co2", payload=b"400", token=bytes([mid])) for mid in range(40)}
    for datagram in bursts.values():
        device.send(datagram)
    acknowledged = {device.receive()[2] for _ in range(16)}
    assert acknowledged < set(bursts)
    # Those without an acknowledgement are sent again, as every client does.
    for mid in bursts.keys() - acknowledged:
        device.send(bursts[mid])
    setup.disk.heal()
    answered = set()
    while len(answered) < 40:
        datagram = device.socket.recv(2000)
        if datagram[1] == 0:
            continue  # an acknowledgement that came again
        assert datagram[1] == 2 << 5 | 4, datagram
        answered.add(datagram[4])
        if datagram[0] >> 4 & 3 == CON:
            acknowledge(device, int.from_bytes(datagram[2:4]))
    assert answered == set(range(40))
    setup.cloud.wait_count("lounge", "co2", 40, timeout=30)
    ledger = setup.gateway.audit()
    assert (ledger["in"], ledger["dropped"]) == (41, {})

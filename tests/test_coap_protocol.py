"""What RFC 7252, 7641, 7959 and 9175 ask of a server, message by message; aiocoap reads what comes back."""

import socket

import aiocoap
import pytest
from aiocoap.numbers.codes import Code

from coap import ACK, CON, NON, RST, CoapClient, message

GET, POST = (0, 1), (0, 2)
LOUNGE = [(11, b"sensors"), (11, b"lounge"), (11, b"co2")]
# Every how many notifications one is confirmable (coap-link's settings).
CONFIRM_EVERY = 10


class Device:
    """A socket whose answers are read by aiocoap."""

    def __init__(self, setup):
        self.datagrams, self.setup, self.mid = setup.datagrams(), setup, 0

    def send(self, kind, code, options=(), payload=b"", token=b"\x01"):
        self.mid += 1
        self.datagrams.send(message(kind, code, self.mid, token, options, payload))
        return self.mid

    def hear(self):
        return aiocoap.Message.decode(self.datagrams.socket.recv(2000))

    def ask(self, *request, **options):
        mid = self.send(*request, **options)
        answer = self.hear()
        assert answer.mid == mid or answer.mtype is not aiocoap.ACK
        return answer

    def observe(self, token=b"\x01"):
        return self.ask(CON, GET, [(6, b""), *LOUNGE], token=token)

    def answer(self, kind, received):
        self.datagrams.send(message(kind, (0, 0), received.mid))

    def is_silent(self):
        """Nothing came before the answer to a ping."""
        mid = self.send(CON, (0, 0), token=b"")
        answer = self.hear()
        return (answer.mtype, answer.mid) == (aiocoap.RST, mid)


@pytest.fixture
def device(setup):
    return Device(setup())


def set_value(setup, value):
    assert setup.client.post("/sensors/lounge/co2", str(value)).code == "2.04"


def assert_hears_nothing_of(device, value):
    """Another observer hears of this value, and the device does not."""
    witness = Device(device.setup)
    witness.observe()
    set_value(device.setup, value)
    assert witness.hear().payload == str(value).encode()
    assert device.is_silent()


@pytest.mark.parametrize("kind", [CON, NON])
def test_an_unknown_critical_option_is_4_02_and_where_no_answer_is_due_a_reset(device, kind):
    answer = device.ask(kind, POST, [(9, b"\x01"), *LOUNGE], b"400")
    if kind == CON:
        assert answer.code is Code.BAD_OPTION and b"option 9" in answer.payload
    else:
        assert (answer.mtype, answer.code) == (aiocoap.RST, Code.EMPTY)
    # An elective one does not matter.
    assert device.ask(kind, POST, [*LOUNGE, (16, b"\x01")], b"400").code is Code.CHANGED
    device.setup.gateway.wait_ledger(taken=1)


def test_a_confirmable_message_that_is_no_coap_gets_a_reset_and_any_other_nothing(device):
    # A token of 9 bytes, an option without its end, a payload marker without a payload.
    for number, rest in enumerate([b"\x49\x02%b123456789", b"\x40\x02%b\xbd", b"\x40\x02%b\xb1a\xff"]):
        datagram = rest.replace(b"%b", number.to_bytes(2, "big"))
        assert device.datagrams.exchange(datagram) == (RST, (0, 0), number)
        device.datagrams.send(bytes([datagram[0] | 0x10]) + datagram[1:])
    assert device.is_silent()


def test_a_body_whose_size1_is_too_large_is_refused_at_its_first_block(setup):
    device = Device(setup(coap='max_size = "4KiB"'))

    def first_block(mid, size1):
        block = aiocoap.Message(code=aiocoap.POST, uri_path=["sensors", "lounge"], content_format=50, payload=b"x" * 1024)
        block.opt.block1, block.opt.size1 = (0, True, 6), size1
        block.mtype, block.mid, block.token = aiocoap.CON, mid, b"\x01"
        device.datagrams.send(block.encode())
        return device.hear()

    refused = first_block(1, 5000)
    assert (refused.code, refused.opt.size1) == (Code.REQUEST_ENTITY_TOO_LARGE, 4096)
    assert first_block(2, 4096).code is Code.CONTINUE


def test_an_observer_is_asked_now_and_then_whether_it_is_there_and_leaves_by_a_reset(device):
    setup = device.setup
    set_value(setup, 0)
    first = device.observe()
    assert (first.code, first.payload, first.opt.observe is not None) == (Code.CONTENT, b"0", True)
    kinds, last = [], first.opt.observe
    for value in range(1, 2 * CONFIRM_EVERY + 1):
        set_value(setup, value)
        news = device.hear()
        assert news.payload == str(value).encode() and news.opt.observe > last and news.opt.max_age == 60
        kinds, last = [*kinds, news.mtype], news.opt.observe
        if news.mtype is aiocoap.CON:
            device.answer(ACK, news)
    assert [at for at, kind in enumerate(kinds, 1) if kind is aiocoap.CON] == [10, 20]
    set_value(setup, 100)
    device.answer(RST, device.hear())
    assert device.is_silent()
    assert_hears_nothing_of(device, 101)


def test_an_observer_leaves_by_asking_to_and_by_a_reset_of_a_confirmable_notification(device):
    setup = device.setup
    set_value(setup, 0)
    assert device.observe().opt.observe is not None
    assert device.ask(CON, GET, [(6, b"\x01"), *LOUNGE]).opt.observe is None
    assert_hears_nothing_of(device, 1)
    assert device.observe(token=b"\x02").opt.observe is not None
    for value in range(2, CONFIRM_EVERY + 2):
        set_value(setup, value)
        news = device.hear()
    assert news.mtype is aiocoap.CON
    device.answer(RST, news)
    assert_hears_nothing_of(device, 100)


def test_who_observes_beyond_the_bound_is_answered_once(setup):
    setup = setup(coap="max_observers = 2\n")
    set_value(setup, 0)
    devices = [Device(setup) for _ in range(3)]
    observing = [device.observe() for device in devices]
    assert [answer.code for answer in observing] == [Code.CONTENT] * 3
    assert [answer.opt.observe is not None for answer in observing] == [True, True, False]
    set_value(setup, 1)
    assert [device.hear().payload for device in devices[:2]] == [b"1", b"1"]
    # The others have received it by now.
    assert devices[2].is_silent()
    # When one observer leaves, another can register.
    devices[0].ask(CON, GET, [(6, b"\x01"), *LOUNGE])
    assert devices[2].observe().opt.observe is not None


def test_what_is_reset_was_not_asked_for(device):
    """A response, and messages of reserved codes: a CON gets a reset, an ACK and a RST nothing."""
    for code in [(2, 5), (1, 0), (7, 31)]:
        received = device.ask(CON, code)
        assert (received.mtype, received.code) == (aiocoap.RST, Code.EMPTY)
        device.send(ACK, code)
        device.send(RST, code)
    assert device.is_silent()


def own_address():
    """One of this machine that is not loopback: where its packets to the documentation's network would come from."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("198.51.100.1", 9))
        return probe.getsockname()[0]


def test_a_large_answer_to_an_address_that_no_one_has_proved_goes_out_in_small_blocks_with_an_echo(setup):
    setup = setup(host="0.0.0.0")
    large = "{" + ",".join(f'"metric-{i:03}":{i}' for i in range(150)) + "}"
    assert setup.client.post("/sensors/lounge", large, format=50).code == "2.04"
    address = own_address()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((address, 0))
        stranger.settimeout(10)
        ask = [(11, b"sensors"), (11, b"lounge")]
        request = message(CON, GET, 1, b"\x01", ask)
        stranger.sendto(request, (address, setup.port))
        datagram = stranger.recv(2000)
        first = aiocoap.Message.decode(datagram)
        assert len(datagram) <= max(3 * len(request), 136)
        assert first.code is Code.CONTENT and first.opt.block2.more and first.opt.echo
        # Who sends the Echo back is there, and gets whole blocks.
        proof = aiocoap.Message(code=aiocoap.GET, uri_path=["sensors", "lounge"])
        proof.opt.echo = first.opt.echo
        proof.mtype, proof.mid, proof.token = aiocoap.CON, 2, b"\x02"
        stranger.sendto(proof.encode(), (address, setup.port))
        whole = aiocoap.Message.decode(stranger.recv(2000))
        assert whole.opt.block2.size == 1024 and len(whole.payload) == 1024
    # libcoap knows nothing of that and gets it all.
    answer = CoapClient(setup.port, setup.folder, host=address).get("/sensors/lounge")
    assert answer.body.count("metric-") == 150

"""CoAP over IPv6 and to the group "All CoAP Nodes": libcoap's clients, and datagrams where no client can."""

import pathlib
import socket
import time

import pytest

from coap import HOST_V6, NON, TLS_BACKENDS, CoapClient, message
from peers import HOST, free_port

GROUP_V4, LINK_V6, SITE_V6 = "224.0.1.187", "ff02::fd", "ff05::fd"
GET = (0, 1)
CORE = [(11, b".well-known"), (11, b"core")]
# Answers to a group leave somewhen within this (RFC 7252, 8.2), in seconds.
LEISURE = 5
UP, MULTICAST = 0x1, 0x1000


def multicast_interfaces():
    """Indices of the interfaces that are up and can do multicast; without any, discovery cannot be tested at all."""
    folders = [folder for folder in pathlib.Path("/sys/class/net").iterdir() if (folder / "flags").exists()]
    able = [f for f in folders if int((f / "flags").read_text(), 16) & (UP | MULTICAST) == UP | MULTICAST]
    assert able, "this machine has no interface that is up and can do multicast: `ip link` shows what there is"
    return [int((folder / "ifindex").read_text()) for folder in able]


class Asker:
    """A device that asks a group, on every interface there is."""

    def __init__(self, port, v6=False):
        self.port, self.v6 = port, v6
        self.socket = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)

    def ask(self, group, token, options):
        datagram = message(NON, GET, token, bytes([token]), options)
        for interface in multicast_interfaces():
            if self.v6:
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, interface)
                self.socket.sendto(datagram, (group, self.port, 0, interface))
            else:
                member = socket.inet_aton("0.0.0.0") * 2 + interface.to_bytes(4, "little")
                self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, member)
                self.socket.sendto(datagram, (group, self.port))

    def answers(self, seconds=LEISURE + 1):
        """All that comes within this time: token and datagram."""
        end, received = time.monotonic() + seconds, []
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                datagram = self.socket.recv(2000)
            except TimeoutError:
                break
            received.append((datagram[4], datagram))
        return received

    def close(self):
        self.socket.close()


@pytest.fixture
def asker(started):
    return lambda port, **options: started.keep(Asker(port, **options))


def test_all_of_it_works_over_ipv6(setup):
    setup = setup(host=HOST_V6)
    assert setup.client.post("/sensors/lounge", '{"temperature":21.5,"co2":400}', format=50).code == "2.04"
    assert setup.client.get("/sensors/lounge/co2").body == "400"
    assert "</sensors/lounge>" in setup.client.get("/.well-known/core").body
    observer = setup.client.observe("/sensors/lounge/co2", 6)
    seen = [observer.stdout.readline().strip()]
    for value in range(401, 404):
        assert setup.client.post("/sensors/lounge/co2", str(value)).code == "2.04"
        seen.append(observer.stdout.readline().strip())
    assert seen == ["400", "401", "402", "403"]
    observer.wait(20)
    setup.cloud.wait_count("lounge", "co2", 4)


@pytest.mark.parametrize("tls", TLS_BACKENDS)
def test_dtls_works_over_ipv6(setup, tmp_path, tls):
    port, key = free_port(), "the key of one, 24 bytes"
    psk = f'listen_dtls = "{HOST_V6}:{port}"\npsk = {{ one = {{ key = "{key}", devices = ["one"] }} }}\n'
    setup = setup(host=HOST_V6, coap=psk)
    setup.gateway.wait_log(f"coap: listens on {HOST_V6}:{port}")
    one = CoapClient(port, tmp_path, tls, "one", key, host=HOST_V6)
    assert one.post("/sensors/one/co2", "400").code == "2.04"
    assert one.get("/sensors/one/co2").body == "400"
    assert one.get("/sensors/two/co2").code == "4.03"


def test_any_address_of_ipv6_takes_ipv4_too(setup):
    setup = setup(host="[::]")
    for host in (HOST, HOST_V6):
        client = CoapClient(setup.port, setup.folder, host=host)
        assert client.post("/sensors/lounge/co2", "400").code == "2.04"
    setup.cloud.wait_count("lounge", "co2", 2)


def test_libcoap_finds_the_gateway_by_multicast(setup):
    setup = setup(host="0.0.0.0")
    assert setup.client.post("/sensors/lounge/co2", "400").code == "2.04"
    group = CoapClient(setup.port, setup.folder, host=GROUP_V4)
    answer = group.get("/.well-known/core?rt=co2", more=["-N", "-B", str(LEISURE + 3)])
    assert answer.code == "2.05" and "</sensors/lounge>" in answer.body, answer.output


@pytest.mark.parametrize(
    ("listen", "group"),
    [("0.0.0.0", GROUP_V4), ("[::]", GROUP_V4), ("[::]", LINK_V6), ("[::]", SITE_V6)],
    ids=["ipv4", "ipv4 of both", "ipv6 link", "ipv6 site"],
)
def test_a_group_is_answered_once_and_only_with_something_useful(setup, asker, listen, group):
    setup = setup(host=listen)
    client = CoapClient(setup.port, setup.folder, host=HOST)
    assert client.post("/sensors/lounge/co2", "400").code == "2.04"
    device = asker(setup.port, v6=group in (LINK_V6, SITE_V6))
    device.ask(group, 1, [(11, b"elsewhere")])
    device.ask(group, 2, [*CORE, (15, b"rt=pressure")])
    device.ask(group, 3, [(11, b"sensors"), (11, b"nobody")])
    device.ask(group, 4, [(11, b"sensors"), (11, b"lounge"), (17, b"\x29")])  # Accept: what there is not
    device.ask(group, 5, [(9, b"\x01"), *CORE])  # an unknown critical option
    device.ask(group, 6, [*CORE, (15, b"rt=co2")])
    received = device.answers()
    interfaces = len(multicast_interfaces())
    assert {token for token, _ in received} == {6} and len(received) <= interfaces, received
    assert b"</sensors/lounge>" in received[0][1]


def test_without_multicast_no_group_is_answered(setup, asker):
    setup = setup(host="0.0.0.0", coap="multicast = false\n")
    assert setup.client.post("/sensors/lounge/co2", "400").code == "2.04"
    device = asker(setup.port)
    device.ask(GROUP_V4, 1, CORE)
    assert device.answers() == []
    # It was there all the time.
    assert setup.client.get("/.well-known/core").code == "2.05"

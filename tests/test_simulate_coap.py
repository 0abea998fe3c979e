"""riser simulate over CoAP: what it reports as sent is in the gateway's ledger; another's server takes its DTLS."""

import contextlib
import re
import socket
import subprocess

import pytest

from gateway import BINARY, ID
from peers import stands_still, udp_backlog, wait_until

KEY = "sixteen byte key"
LIBCOAP = "coap-server-openssl"
NOTHING = f"""[gateway]
id = "{ID}"
data_dir = "data"
"""


def coap_config(ports, psk):
    """A gateway that listens for CoAP on the first port and for DTLS on the second."""
    return f"""{NOTHING}[aggregate]
window = "1h"
[adapters.coap.lan]
listen = "127.0.0.1:{ports[0]}"
listen_dtls = "127.0.0.1:{ports[1]}"
{psk}
"""


@pytest.fixture
def ports():
    return free_udp_port(), free_udp_port()


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def simulate(gateway, *arguments, check=0):
    """The numbers of its last line: messages, readings, sent again, refused, without an answer."""
    done = gateway.cli("simulate", *arguments, check=check)
    line = re.fullmatch(
        r"sent (\d+) messages with (\d+) readings; (\d+) sent again, (\d+) refused, (\d+) without an answer\n",
        done.stdout,
    )
    assert line, done.stdout + done.stderr
    return [int(number) for number in line.groups()]


def identities(folder, devices):
    """A psk table for an identity of each device."""
    (folder / "floor.psk").write_text(KEY + "\n")
    key = folder / "floor.psk"
    rows = [f'{name} = {{ key_file = "{key}", devices = ["{name}"] }}' for name in devices]
    return "psk = { " + ", ".join(rows) + " }"


def test_what_is_reported_as_sent_is_in_the_ledger_whatever_the_format(riser, ports, tmp_path):
    gateway = riser(coap_config(ports, identities(tmp_path, ["unused"])))
    gateway.start()
    messages, readings, _, refused, unanswered = simulate(
        gateway, "--target", f"127.0.0.1:{ports[0]}", "--protocol", "coap", "--devices", 10, "--rate", 100, "--for", "2s"
    )
    assert (messages, readings, refused, unanswered) == (200, 160 * 3 + 40, 0, 0)
    ledger = gateway.wait_ledger(taken=readings)
    assert ledger["dropped"] == {}


def test_each_device_reports_over_a_dtls_session_of_its_own_identity(riser, ports, tmp_path):
    devices = ["lounge-0001", "kitchen-0002", "office-0003", "meeting-room-0004", "hall-0005"]
    gateway = riser(coap_config(ports, identities(tmp_path, devices)))
    gateway.start()
    arguments = ["--target", f"coaps://127.0.0.1:{ports[1]}", "--protocol", "coaps", "--rate", 50, "--for", "2s"]
    arguments += ["--psk-identity", "{device}", "--psk-file", tmp_path / "floor.psk"]
    messages, readings, _, refused, unanswered = simulate(gateway, *arguments, "--devices", 5)
    assert (messages, readings, refused, unanswered) == (100, 80 * 3 + 20, 0, 0)
    gateway.wait_ledger(taken=readings)


def test_a_device_that_its_identity_may_not_report_is_refused_and_the_reason_reported(riser, ports, tmp_path):
    gateway = riser(coap_config(ports, identities(tmp_path, ["lounge-0001"])))
    gateway.start()
    arguments = ["--target", f"127.0.0.1:{ports[1]}", "--protocol", "coaps", "--rate", 20, "--for", "1s", "--devices", 2]
    arguments += ["--psk-identity", "lounge-0001", "--psk-file", tmp_path / "floor.psk"]
    done = gateway.cli("simulate", *arguments, check=0)
    assert done.stdout.startswith("sent 10 messages with 30 readings; 0 sent again, 10 refused, 0 without"), done.stdout
    assert "the gateway refuses" in done.stderr and "4.03 to /sensors/kitchen-0002" in done.stderr


def test_what_was_on_its_way_while_the_gateway_was_frozen_arrives_once(riser, ports, tmp_path):
    gateway = riser(coap_config(ports, identities(tmp_path, ["unused"])))
    gateway.start()
    gateway.wait_log(f"coap: listens on 127.0.0.1:{ports[0]}")
    command = ["simulate", "--target", f"127.0.0.1:{ports[0]}", "--protocol", "coap"]
    command += ["--devices", "10", "--rate", "50", "--for", "8s"]
    with subprocess_of(gateway, command) as process:
        wait_until(lambda: gateway.audit()["in"] > 0, 10, "the first reading")
        gateway.freeze()
        # Each device has one CON on its way. Sent again, all are there twice.
        wait_until(lambda: udp_backlog(ports[0]) > 0, what="datagrams that wait")
        once = stands_still(lambda: udp_backlog(ports[0]))
        wait_until(lambda: udp_backlog(ports[0]) >= 2 * once, 30, "each of them sent again")
        gateway.thaw()
        out, err = process.communicate(timeout=40)
    assert process.returncode == 0, out + err
    readings, again, refused, unanswered = (
        int(re.search(pattern, out)[1])
        for pattern in (r"(\d+) readings", r"(\d+) sent again", r"(\d+) refused", r"(\d+) without")
    )
    assert again >= 10 and (refused, unanswered) == (0, 0), out
    gateway.wait_ledger(taken=readings)


@contextlib.contextmanager
def subprocess_of(gateway, arguments):
    process = subprocess.Popen(
        [BINARY, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=gateway.folder, env=gateway.env
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def libcoap(port):
    process = subprocess.Popen(
        [LIBCOAP, "-A", "127.0.0.1", "-p", str(port), "-k", KEY, "-h", "hint", "-v", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("protocol", ["coap", "coaps"])
def test_libcoaps_server_understands_every_post_and_has_no_such_path(riser, protocol, tmp_path):
    gateway = riser(NOTHING)
    # libcoap listens for DTLS on the port above.
    port = free_udp_port()
    (tmp_path / "key").write_text("hex:" + KEY.encode().hex())
    arguments = ["--target", f"127.0.0.1:{port + (protocol == 'coaps')}", "--protocol", protocol]
    if protocol == "coaps":
        arguments += ["--psk-identity", "node-of-{device}", "--psk-file", tmp_path / "key"]
    with libcoap(port):
        done = gateway.cli("simulate", *arguments, "--devices", 10, "--rate", 50, "--for", "1s", check=0)
    assert done.stdout == "sent 0 messages with 0 readings; 0 sent again, 50 refused, 0 without an answer\n"
    assert re.search(r"refuses.*4\.0[45] to /sensors/", done.stderr), done.stderr


def test_a_wrong_command_line_or_target_is_reported_with_what_to_do(riser, tmp_path):
    gateway = riser(NOTHING)
    key = tmp_path / "key"
    key.write_text("hex:0")
    psk = ["--psk-identity", "a", "--psk-file", key]
    for exit, arguments, says in (
        (64, ["--protocol", "coaps", "--target", "127.0.0.1"], "--psk-identity and --psk-file"),
        (64, ["--protocol", "coap", "--target", "127.0.0.1", *psk], "coap is in the clear"),
        (64, ["--protocol", "mqtt", "--target", "127.0.0.1", *psk], "for --protocol coaps"),
        (64, ["--protocol", "coap", "--target", "coaps://127.0.0.1"], "coaps:// is not what --protocol coap speaks"),
        (64, ["--protocol", "coap", "--target", "coap://127.0.0.1/sensors"], "is not HOST:PORT"),
        (64, ["--protocol", "coaps", "--target", "127.0.0.1", *psk], "hexadecimal"),
        (66, ["--protocol", "coaps", "--target", "127.0.0.1", *psk[:3], "missing"], "cannot read missing"),
        (64, ["--protocol", "coap", "--target", "127.0.0.1", "--rate", "0"], "a number above 0"),
        (69, ["--protocol", "coap", "--target", f"127.0.0.1:{free_udp_port()}"], "nothing came back"),
    ):
        done = gateway.cli("simulate", *arguments, check=exit)
        assert says in done.stderr, (arguments, done.stderr)

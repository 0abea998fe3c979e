"""riser simulate over LoRaWAN: its nodes join through the gateway, what it reports as sent is in the ledger, and outages
are got over."""

import contextlib
import re
import subprocess

import pytest

from gateway import BINARY, ID, Riser
from lorawan import adapter_table
from pages import DOCS, blocks
from peers import free_port, wait_until

NOTHING = f"""[gateway]
id = "{ID}"
data_dir = "data"
"""
SLOW = '[aggregate]\nwindow = "1h"\n'


@pytest.fixture
def setup(riser):
    """A factory: a running gateway that knows the simulated devices, and its port. `change` rewrites its file."""

    def make(*options, change=lambda text: text, region="EU868"):
        port = free_port()
        gateway = riser(NOTHING)
        devices = gateway.cli("simulate", "--protocol", "lorawan", "--print-config", *options, check=0).stdout
        table = adapter_table(port).replace("EU868", region)
        gateway.write(change(f"{NOTHING}{SLOW}{table}{devices}"))
        assert "lorawan" not in gateway.cli("check", "--config", gateway.config, check=0).stdout
        gateway.start()
        gateway.wait_log(f"lorawan: listens on 127.0.0.1:{port}")
        return gateway, port

    return make


def numbers(text):
    """Messages, readings, sent again, refused, without an answer."""
    line = re.search(
        r"^sent (\d+) messages with (\d+) readings; (\d+) sent again, (\d+) refused, (\d+) without an answer$", text, re.M
    )
    assert line, text
    return [int(number) for number in line.groups()]


def command(port, *options):
    return ["simulate", "--protocol", "lorawan", "--target", f"127.0.0.1:{port}", *map(str, options)]


@contextlib.contextmanager
def running(gateway, arguments):
    """A simulator's process, and what waits for its end and says what it said."""
    process = subprocess.Popen(
        [BINARY, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=gateway.folder, env=gateway.env
    )

    def result():
        out, err = process.communicate(timeout=90)
        assert process.returncode == 0, out + err
        return numbers(out)

    try:
        yield process, result
    finally:
        process.kill()
        process.wait()


def test_devices_join_and_what_is_reported_as_sent_is_in_the_ledger(setup):
    gateway, port = setup("--devices", 10, "--mixed")
    done = gateway.cli(*command(port, "--devices", 10, "--mixed", "--rate", 20, "--for", "13s"), check=0)
    messages, readings, again, refused, unanswered = numbers(done.stdout)
    assert (refused, unanswered) == (0, 0)
    # A device that has joined listens for 6 s after each of its frames.
    assert messages == 30
    assert gateway.log().count("has joined as") == 10
    assert gateway.wait_ledger(taken=readings)["dropped"] == {}
    # Under new DevNonces, and in new sessions.
    done = gateway.cli(*command(port, "--devices", 10, "--mixed", "--rate", 20, "--for", "1s"), check=0)
    assert numbers(done.stdout)[0] == 10
    gateway.wait_ledger(taken=readings + numbers(done.stdout)[1])


def test_a_device_has_the_names_and_units_that_its_codec_and_table_give(setup, cloud, received):
    upstream = f'[upstream]\nurl = "mqtt://127.0.0.1:{cloud.port}"\n'
    gateway, port = setup("--devices", 2, change=lambda text: text.replace(SLOW, '[aggregate]\nwindow = "1s"\n') + upstream)
    gateway.cli(*command(port, "--devices", 2, "--rate", 2, "--for", "1s"), check=0)
    received.wait_for(lambda: received.aggregates("lounge-0001") and received.aggregates("kitchen-0002"), 20, "both devices")
    [lounge], [kitchen] = received.aggregates("lounge-0001"), received.aggregates("kitchen-0002")
    radio = {"rssi", "snr", "spreading_factor", "airtime", "frames_lost"}
    assert lounge["metrics"].keys() == {"temperature", "humidity", "co2"} | radio
    assert kitchen["metrics"].keys() == {"temperature", "humidity", "voltage"} | radio
    assert (lounge["zone"], lounge["protocol"]) == ("floor-1/lounge", "lorawan")
    assert (lounge["metrics"]["spreading_factor"]["avg"], kitchen["metrics"]["spreading_factor"]["avg"]) == (7, 8)
    assert 15 < lounge["metrics"]["temperature"]["avg"] < 30


@pytest.mark.parametrize("region", ["US915", "AU915", "AS923", "IN865"])
def test_devices_join_and_are_acknowledged_in_every_region(setup, region):
    gateway, port = setup("--devices", 12, region=region)
    options = ["--devices", 12, "--rate", 12, "--for", "1s", "--confirmed", "--region", region]
    messages, readings, _, refused, unanswered = numbers(gateway.cli(*command(port, *options), check=0).stdout)
    assert (messages, refused, unanswered) == (12, 0, 0)
    gateway.wait_ledger(taken=readings)


def test_devices_with_sessions_of_their_own_start_again_at_0(setup):
    gateway, port = setup("--devices", 5, "--abp")
    taken = 0
    for _ in range(2):
        done = gateway.cli(*command(port, "--devices", 5, "--abp", "--rate", 10, "--for", "3s"), check=0)
        messages, readings, *_ = numbers(done.stdout)
        assert messages == 10
        taken += readings
        gateway.wait_ledger(taken=taken)


def test_a_wrong_key_is_reported_in_the_end_and_the_other_devices_send(setup):
    def spoil(text):
        table = text.index("[devices.kitchen-0002]")
        return text[:table] + re.sub(r'app_key = "\w+"', f'app_key = "{"0" * 32}"', text[table:], count=1)

    gateway, port = setup("--devices", 3, change=spoil)
    done = gateway.cli(*command(port, "--devices", 3, "--rate", 3, "--for", "1s"), check=69)
    messages, readings, again, _, unanswered = numbers(done.stdout)
    assert (messages, again, unanswered) == (2, 2, 0)
    assert done.stdout.splitlines()[1].startswith("1 of 3 devices could not join: the gateway's log says")
    gateway.wait_log("the frame's integrity code is wrong")
    # A device asks three times.
    gateway.wait_ledger(taken=readings + 3, bad_mic=3)


def test_devices_that_the_gateway_does_not_know_are_reported_what_to_look_at(setup):
    gateway, port = setup("--devices", 2)
    done = gateway.cli(*command(port, "--devices", 2, "--seed", 2, "--rate", 3, "--for", "1s"), check=69)
    assert done.stdout == ""
    assert "none of 2 devices could join" in done.stderr and "--print-config" in done.stderr


def test_what_was_on_its_way_while_the_gateway_was_frozen_arrives_once(setup):
    gateway, port = setup("--devices", 20)
    with running(gateway, command(port, "--devices", 20, "--rate", 10, "--for", "14s")) as (process, result):
        wait_until(lambda: gateway.audit()["in"] > 0, 20, "the first reading")
        gateway.freeze()
        # Longer than a PUSH_DATA waits for its answer.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(4)
        gateway.thaw()
        _, readings, again, refused, unanswered = result()
    assert again > 0 and (refused, unanswered) == (0, 0)
    gateway.wait_ledger(taken=readings)


def test_after_a_kill_devices_go_on_in_their_sessions_and_nothing_acknowledged_is_lost(setup):
    gateway, port = setup("--devices", 6)
    with running(gateway, command(port, "--devices", 6, "--rate", 6, "--for", "24s", "--confirmed")) as (_, result):
        wait_until(lambda: gateway.log().count("has joined as") == 6, 30, "all six devices")
        before = gateway.audit()["in"]
        gateway.kill()
        gateway.start()
        wait_until(lambda: gateway.log().count(f"lorawan: listens on 127.0.0.1:{port}") == 2, 20, "the second start")
        _, readings, _, refused, unanswered = result()
    assert (refused, unanswered) == (0, 0)
    assert readings > before > 0
    # A session confirmed just before the kill is reported twice; another session would have another address.
    assert len(set(re.findall(r"(\w+ has joined as \w+)", gateway.log()))) == 6, "no device has joined again"
    ledger = gateway.wait_ledger(taken=readings + gateway.audit()["dropped"].get("duplicate", 0))
    assert ledger["dropped"].keys() <= {"duplicate"}


def test_hundreds_of_devices_join_within_the_air_time_of_their_forwarders(setup):
    gateway, port = setup("--devices", 300)
    done = gateway.cli(*command(port, "--devices", 300, "--rate", 300, "--for", "2s"), timeout=120, check=0)
    messages, readings, *_ = numbers(done.stdout)
    assert messages == 300
    assert gateway.wait_ledger(taken=readings)["dropped"] == {}


def test_a_wrong_command_line_or_target_is_reported_with_what_to_do(riser, tmp_path):
    gateway = riser(NOTHING)
    (tmp_path / "key").write_text("hex:00")
    psk = ["--psk-identity", "a", "--psk-file", tmp_path / "key"]
    for exit, arguments, says in (
        (64, ["--target", "127.0.0.1", *psk], "for --protocol coaps"),
        (64, ["--target", "127.0.0.1", "--ca-file", "ca.pem"], "for --protocol mqtt"),
        (64, ["--target", "127.0.0.1", "--region", "EU433"], "there are EU868, US915"),
        (64, ["--target", "coap://127.0.0.1"], "coap:// is not what --protocol lorawan speaks"),
        (64, ["--target", "127.0.0.1", "--print-config"], "cannot be used with"),
        (64, ["--target", "127.0.0.1", "--rate", "0"], "a number above 0"),
        (64, ["--print-config", "--devices", "30000"], "give at most 25000"),
        (64, ["--print-config", "--every", "1m"], "cannot be used with"),
        (69, ["--target", f"127.0.0.1:{free_port()}"], "nothing came back"),
    ):
        done = gateway.cli("simulate", "--protocol", "lorawan", *arguments, check=exit)
        assert says in done.stderr, (arguments, done.stderr)
    done = gateway.cli("simulate", "--protocol", "coap", "--print-config", check=64)
    assert "--print-config are for --protocol lorawan" in done.stderr


def test_the_examples_of_page_and_help_send_what_they_say(riser):
    port = free_port()
    section = DOCS.joinpath("lorawan.md").read_text().split("## Try it without hardware")[1].split("\n## ")[0]
    set_up, run = blocks(section, "sh")[0].rsplit("riser run\n", 1)[0], blocks(section, "sh")[1]
    gateway = riser(NOTHING)
    help_text = " ".join(gateway.cli("simulate", "--help", check=0).stdout.split())
    for line in (set_up.splitlines()[-1], run.strip()):
        assert line in help_text
    script = set_up.replace("127.0.0.1:1700", f"127.0.0.1:{port}").replace("riser ", f"{BINARY} ")
    subprocess.run(script, shell=True, check=True, cwd=gateway.folder, env=gateway.env)
    assert gateway.cli("check", check=0).stdout.count("error") == 0
    gateway.start()
    gateway.wait_log(f"lorawan: listens on 127.0.0.1:{port}")
    simulate = run.replace("127.0.0.1:1700", f"127.0.0.1:{port}").replace("--for 1m", "--for 2s").split()[1:]
    messages, readings, _, _, unanswered = numbers(gateway.cli(*simulate, timeout=90, check=0).stdout)
    assert (messages, unanswered) == (20, 0)
    gateway.wait_ledger(taken=readings)

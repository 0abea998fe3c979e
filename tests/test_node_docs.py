"""docs/node-frames.md: its configuration starts a gateway, and its examples print what it says."""

import os
import re
import subprocess

from gateway import BINARY, Riser
from pages import DOCS, blocks, steps
from peers import free_port, wait_until

PAGE = DOCS / "node-frames.md"


def test_the_examples_of_the_page_print_what_it_says(started, tmp_path):
    ports = {"1883": str(free_port()), "5683": str(free_port())}
    text = re.sub(r"\b(1883|5683)\b", lambda port: ports[port[0]], PAGE.read_text())
    (adapters,) = (block for block in blocks(text, "toml") if "[adapters" in block)
    gateway = started.keep(Riser(tmp_path / "gateway", f'[gateway]\ndata_dir = "data"\n{adapters}'))
    checked = gateway.cli("check", "--config", gateway.config, check=0)
    assert "error" not in checked.stdout + checked.stderr
    gateway.start()
    gateway.wait_log(f"coap: listens on 127.0.0.1:{ports['5683']}")
    wait_until(lambda: mqtt_is_up(ports["1883"]), what="the embedded broker")
    examples = steps(text)
    assert len(examples) == 6
    for command, printed in examples:
        done = run(command)
        assert (done.stdout + done.stderr).strip() == printed, command
    ledger = gateway.audit()
    assert ledger["in"] == 7 and ledger["dropped"] == {"bad_payload": 1}, ledger


def mqtt_is_up(port):
    return run(f"mosquitto_pub -p {port} -q 1 -t none -n").returncode == 0


def run(command):
    env = os.environ | {"PATH": f"{BINARY.parent}:{os.environ['PATH']}"}
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30, env=env)

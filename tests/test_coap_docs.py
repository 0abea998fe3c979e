"""docs/coap.md: its configuration starts a gateway, and its examples print what it says."""

import os
import re
import subprocess
import sys

from gateway import Riser
from pages import DOCS, blocks, steps
from peers import free_port

PAGE = DOCS / "coap.md"


def test_the_examples_of_the_page_print_what_it_says(started, tmp_path):
    ports = {"5683": str(free_port()), "5684": str(free_port())}
    text = re.sub(r"(?<=127\.0\.0\.1:)568[34]", lambda port: ports[port[0]], PAGE.read_text())
    gateway = started.keep(Riser(tmp_path / "gateway", f'[gateway]\ndata_dir = "data"\n{blocks(text, "toml")[0]}'))
    subprocess.run(blocks(text, "sh")[0], shell=True, check=True, cwd=gateway.folder)
    checked = gateway.cli("check", "--config", gateway.config, check=0)
    assert "warning" not in checked.stdout + checked.stderr
    assert re.fullmatch(r"hex:[0-9a-f]{32}\n", (gateway.folder / "sensor01.psk").read_text())
    # libcoap's client takes keys as text only.
    key = "a key of text, 24 bytes."
    (gateway.folder / "sensor01.psk").write_text(key + "\n")
    gateway.start()
    for port in ports.values():
        gateway.wait_log(f"coap: listens on 127.0.0.1:{port}")
    environment = os.environ | {"KEY": key}
    examples = steps(text)
    assert len(examples) == 9
    for command, printed in examples:
        done = subprocess.run(command, shell=True, capture_output=True, text=True, env=environment, timeout=30)
        assert (done.stdout + done.stderr).strip() == printed, command
    done = subprocess.run([sys.executable, "-c", blocks(text, "python")[0]], capture_output=True, text=True, timeout=30)
    assert done.stdout == blocks(text, "text")[0], done.stderr

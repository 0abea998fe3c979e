"""docs/lorawan.md: its configuration passes the check and hears a node, and an alert of the page reaches it."""

import json
import re
import subprocess

from gateway import Riser
from lorawan import Forwarder, Node
from pages import DOCS, blocks
from peers import free_port, wait_until

PAGE = DOCS / "lorawan.md"


def test_the_configuration_of_the_page_hears_its_devices_and_switches_one(started, tmp_path):
    port = free_port()
    text = PAGE.read_text().replace("127.0.0.1:1700", f"127.0.0.1:{port}")
    tables = "\n".join(blocks(text.split("## Through a network server")[0], "toml"))
    gateway = started.keep(Riser(tmp_path / "gateway", f'[gateway]\nid = "hq"\ndata_dir = "data"\n{tables}'))
    subprocess.run(blocks(text, "sh")[0], shell=True, check=True, cwd=gateway.folder)
    checked = gateway.cli("check", "--config", gateway.config, check=0)
    assert "lorawan" not in checked.stdout + checked.stderr, checked.stdout
    key = {name: (gateway.folder / name).read_text().strip() for name in ("lounge.key", "hall.nwk", "hall.app")}
    assert all(re.fullmatch("[0-9a-f]{32}", text) for text in key.values())
    gateway.start()
    gateway.wait_log(f"lorawan: listens on 127.0.0.1:{port}")
    [forwarder_conf] = [json.loads(block)["gateway_conf"] for block in blocks(text, "json")]
    forwarder = started.keep(Forwarder(port, eui=forwarder_conf["gateway_ID"]))
    forwarder.pull()
    lounge = Node("a84041ffff000001", app_key=key["lounge.key"])
    forwarder.push(lounge.join_request())
    lounge.open_accept(forwarder.downlink()[0])
    # 45 Cel.
    forwarder.push(lounge.uplink(bytes.fromhex("01011194021194")))
    wait_until(lambda: gateway.audit()["in"] == 7, what="seven readings")
    hall = Node("a84041ffff000002", address="26011bda", nwk=key["hall.nwk"], app=key["hall.app"])
    forwarder.push(hall.uplink(bytes.fromhex("01010863021194")))
    command, _ = forwarder.answer(hall)
    assert (command["port"], command["payload"]) == (10, b"\x0a\xff")
    gateway.wait_log("action taken")


def test_the_configuration_for_network_servers_passes_the_check(riser):
    [tables] = blocks(PAGE.read_text().split("## Through a network server")[1], "toml")
    gateway = riser(f'[gateway]\nid = "hq"\ndata_dir = "data"\n{tables}')
    (gateway.folder / "ttn.key").write_text("NNSXS.ABC\n")
    gateway.cli("check", "--no-environment", "--config", gateway.config, check=0)

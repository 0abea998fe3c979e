"""The image of firmware/emulated in an emulated Cortex-M3: its frames go through QEMU's console and TCP to the real
gateway."""

import json
import os
import pathlib
import socket
import subprocess

from gateway import config
from peers import HOST, free_port, wait_until

ROOT = pathlib.Path(__file__).parent.parent
IMAGE = pathlib.Path(
    os.environ.get("EMULATED_IMAGE", ROOT / "firmware/target/boards/thumbv7m-none-eabi/release/emulated")
).resolve()
# The image ends after so many frames, of which one says what it is.
FRAMES = 20


def test_an_image_in_an_emulator_is_decoded_and_aggregated(riser, cloud, received, tmp_path):
    assert IMAGE.exists(), f"no image at {IMAGE}; firmware/build emulated makes it"
    port = free_port()
    lines = f'[adapters.tcp.lines]\nlisten = "{HOST}:{port}"\nformat = "node"\n'
    gateway = riser(config(cloud=cloud.port, topics=(), more=lines).replace("[adapters.mqtt.floor]\n\ntopics = [\n\n]", ""))
    gateway.start()
    gateway.wait_log(f"listens on {HOST}:{port}")
    with socket.create_connection((HOST, port), timeout=10) as line:
        # The image's console is QEMU's standard output, and that is the connection.
        qemu = subprocess.run(
            ["qemu-system-arm", "-M", "lm3s6965evb", "-display", "none", "-monitor", "none", "-serial", "none"]
            + ["-semihosting-config", "enable=on,target=native", "-kernel", IMAGE],
            stdout=line,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            cwd=tmp_path,
        )
    assert qemu.returncode == 0, qemu.stderr
    measured = FRAMES - 1
    received.wait_count("emulated", "temperature", measured)
    received.wait_count("emulated", "count", measured)
    windows = received.latest("emulated")
    assert {window["metrics"]["temperature"]["avg"] for window in windows} == {21.5}
    assert min(window["metrics"]["count"]["min"] for window in windows) == 1
    assert max(window["metrics"]["count"]["max"] for window in windows) == measured
    assert all(window["protocol"] == "tcp" for window in windows)
    gateway.wait_ledger(taken=2 * measured, published=2 * measured)
    (row,) = gateway.cli("firmware", "--config", gateway.config, "--json", check=0).stdout.splitlines()
    assert (json.loads(row)["device"], json.loads(row)["image"]) == ("emulated", "emulated")
    text = gateway.cli("firmware", "--config", gateway.config, check=0).stdout
    assert text.splitlines()[0].split() == ["DEVICE", "IMAGE", "VERSION", "LOST", "LAST", "HEARD"]

    gateway.kill()
    gateway.start()
    ask = ("firmware", "--config", gateway.config, "--json")
    wait_until(lambda: gateway.cli(*ask).returncode == 0, what="the gateway after the crash")
    assert json.loads(gateway.cli(*ask).stdout) == json.loads(row)

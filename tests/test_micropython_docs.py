"""The READMEs of firmware/micropython: their configurations pass `riser check`, and what they name is there."""

import re
import xml.etree.ElementTree

import pytest

from gateway import Riser
from micropython_board import FIRMWARE, installed, readme
from pages import blocks

PROGRAMS = sorted(path.parent.name for path in FIRMWARE.glob("*/main.py"))


def test_each_program_is_in_the_table():
    table = (FIRMWARE / "README.md").read_text()
    assert PROGRAMS == sorted(re.findall(r"^\| \[(\w+)\]\(\1/README\.md\)", table, re.M))
    assert len(PROGRAMS) == 4


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_a_readme_names_is_there(program):
    assert all(path.is_file() for path in installed(program)), program
    for link in re.findall(r"\]\(([^)#]+)", readme(program)):
        assert link.startswith("https://") or (FIRMWARE / program / link).exists(), link
    assert "![wiring](wiring.svg)" in readme(program)
    picture = xml.etree.ElementTree.parse(FIRMWARE / program / "wiring.svg").getroot()
    drawn = " ".join(picture.itertext())
    config = (FIRMWARE / program / "config.py").read_text()
    for name, pin in re.findall(r"^(SDA|SCL) = (\d+)$", config, re.M):
        wired = rf"{name} \| (GPIO |GP){pin}\b"
        assert re.search(wired, readme(program)), f"{name} is not pin {pin} in the README"
        assert re.search(rf"(GPIO |GP){pin}\b", drawn), f"pin {pin} is not in the picture"


@pytest.mark.parametrize("program", [name for name in PROGRAMS if name != "espnow_client"])
def test_the_configurations_of_a_readme_pass_the_check(program, started, tmp_path):
    (text,) = blocks(readme(program), "toml")
    gateway = started.keep(Riser(tmp_path / "gateway", f'[gateway]\ndata_dir = "data"\n\n{text}'))
    done = gateway.cli("check", "--config", gateway.config, "--no-environment", check=0)
    assert "error" not in done.stdout + done.stderr

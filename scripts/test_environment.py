"""For scripts that use the modules of `tests/`: the tests' Python environment, and an optimised binary to test."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / "target/venv"


def enter(needs):
    """Installs what is missing (`needs`: a name of scripts/lib/needs.sh) and starts again inside the environment."""
    if sys.prefix == str(VENV):
        return
    if subprocess.run([ROOT / "scripts/lib/prepare", needs]).returncode:
        sys.exit(1)  # It said why.
    if "RISER_BIN" not in os.environ:
        subprocess.run(["cargo", "build", "--locked", "--release", "-p", "riser"], cwd=ROOT, check=True)
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        os.environ["RISER_BIN"] = str(target / "release/riser")
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.execv(VENV / "bin/python", [VENV / "bin/python", *sys.argv])

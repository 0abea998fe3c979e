# Sourced by scripts: Python for the tests.

need_python() {
  need python3 command -v python3
  need python3-venv python3 -c 'import ensurepip, venv'
  # To build DTLSSocket, which has no wheels.
  need autoconf command -v autoconf
  need build-essential command -v cc
  need python3-dev python3 -c 'import os, sysconfig; os.stat(os.path.join(sysconfig.get_path("include"), "Python.h"))'
}

# Python with what tests/requirements.txt names, in target/venv.
python_environment() {
  local venv=target/venv
  cmp -s tests/requirements.txt "$venv/requirements.txt" && return
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/requirements.txt
  # Last, so that an interrupted install starts again.
  cp tests/requirements.txt "$venv/requirements.txt"
}

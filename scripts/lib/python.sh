# Sourced by scripts: Python for the tests.

# Python with what tests/requirements.txt names, in target/venv.
python_environment() {
  local venv=target/venv
  # numpy asks for no less; pip would tell in the words of a resolver.
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "$(python3 --version) is too old: 3.11 or newer is needed"
  cmp -s tests/requirements.txt "$venv/requirements.txt" && return
  echo "Python packages of tests/requirements.txt are missing in $venv: installing them"
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/requirements.txt
  # Last, so that an interrupted install starts again.
  cp tests/requirements.txt "$venv/requirements.txt"
}

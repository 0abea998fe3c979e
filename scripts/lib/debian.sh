# Sourced by scripts: the Debian packages that they need, installed where they are missing.

# Where Debian keeps mosquitto, and only root's PATH looks.
export PATH="$PATH:/usr/sbin:/sbin"

fail() {
  printf '\n%s: %s\n' "scripts/${0##*scripts/}" "$*" >&2
  exit 1
}

# need PACKAGE TEST…: remembers the Debian package where the test command fails. The test is what will really be run.
missing=() unmet=() installed=()
need() {
  local package=$1
  shift
  if "$@" >/dev/null 2>&1; then return; fi
  [[ " ${missing[*]} " == *" $package "* ]] || missing+=("$package")
  unmet+=("$(printf '%q ' "$package" "$@")")
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  else
    command -v sudo >/dev/null || fail "neither root nor sudo; run as root: $*"
    sudo "$@"
  fi
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

# Installs what `need` found missing, and tests it again: a package may not have brought what was missed.
install_missing() {
  ((${#missing[@]})) || return 0
  echo "Debian packages missing here: ${missing[*]}"
  command -v apt-get >/dev/null || fail "no apt-get on this machine; install the likes of: ${missing[*]}"
  ((EUID == 0)) || command -v sudo >/dev/null ||
    fail "neither root nor sudo; install by hand: apt-get install ${missing[*]}"
  # The lists of packages are fetched only where the old ones do not do.
  if ! apt_install "${missing[@]}" 2>/dev/null; then
    as_root apt-get update -qq
    apt_install "${missing[@]}"
  fi
  installed=("${missing[@]}")
  local again=("${unmet[@]}") row
  missing=() unmet=()
  for row in "${again[@]}"; do
    eval "need $row"
    ((${#missing[@]} == 0)) || fail "${row%% *} is installed, but this still fails: ${row#* }"
  done
}

# download_foreign ARCHITECTURE FOLDER PACKAGE…: fetches packages of another architecture without adding it to this
# machine, which would change what is installed here.
download_foreign() {
  local arch=$1 folder=$2 lists
  shift 2
  lists=$(mktemp -d)
  mkdir -p "$lists/partial" "$folder"
  local options=(-qq -oAPT::Architecture="$arch" -oAPT::Architectures="$arch" -oDir::State::Lists="$lists"
    -oDir::State::status=/dev/null -oAPT::Sandbox::User=root)
  apt-get "${options[@]}" update
  (cd "$folder" && apt-get "${options[@]}" download "$@")
  rm -r "$lists"
}

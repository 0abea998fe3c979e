# Sourced by scripts: what each of them runs that this repository does not hold. One line `need` for each Debian package;
# scripts/test-bare finds a line that is missing.

source scripts/lib/debian.sh
source scripts/lib/python.sh

# prepare WHAT…: installs what these steps of scripts/test, or scripts, need. An architecture may follow: package:arm64.
prepare() {
  local what arch
  wants_python_environment=
  for what in "$@"; do
    arch=
    [[ $what != *:* ]] || arch=${what#*:}
    declare -F "needs_of_${what%%:*}" >/dev/null || fail "nothing is known of what '$what' needs"
    "needs_of_${what%%:*}" "$arch"
  done
  # Some scripts print results that are read by programs.
  install_missing >&2
  if [[ $wants_python_environment ]]; then python_environment >&2; fi
}

needs_of_fmt() {
  need_rust
  cargo fmt --version >/dev/null 2>&1 || fail "no rustfmt; rustup component add rustfmt"
}

needs_of_clippy() {
  need_rust
  cargo clippy --version >/dev/null 2>&1 || fail "no clippy; rustup component add clippy"
}

needs_of_fuzz() { need_rust; }

needs_of_unit() {
  need_rust
  need_peers
  # Some tests run the program `kill`; the shell has one of its own.
  need procps env kill --version
}

needs_of_firmware() {
  need_rust
  need_board_tools
}

needs_of_web() { need_python_environment; }

needs_of_system() {
  need_rust
  need_peers
  # For the image that a test runs.
  need_board_tools
  need qemu-system-arm command -v qemu-system-arm
  need_python_environment
}

needs_of_package() {
  local native arch
  native=$(dpkg --print-architecture)
  arch=${1:-$native}
  need_rust
  need debhelper command -v dh_installsysusers
  needs_of_python
  if [[ $arch != "$native" ]]; then need_cross_compiler "$arch"; fi
}

needs_of_test_package() {
  needs_of_package "$1"
  need lintian lintian --version
  need mmdebstrap mmdebstrap --version
  need mosquitto command -v mosquitto
  need_python_environment
  if [[ ${1:-$(dpkg --print-architecture)} != "$(dpkg --print-architecture)" ]]; then
    need arch-test command -v arch-test
    need qemu-user-static command -v qemu-aarch64-static
  fi
}

# Two builds in two folders.
needs_of_twice() { need git git --version; }

# A whole emulated machine.
needs_of_boot() {
  need qemu-system-arm command -v qemu-system-aarch64
  need e2fsprogs command -v mkfs.ext4
  need cpio command -v cpio
}

needs_of_bare() {
  need_rust
  need git git --version
  need mmdebstrap mmdebstrap --version
}

needs_of_chaos() {
  need_rust_to_build
  need_peers
  need_python_environment
}

needs_of_soak() { needs_of_chaos; }

needs_of_bench_http() { needs_of_chaos; }

needs_of_python() { need python3 python3 --version; }

needs_of_nab() {
  need_rust_to_build
  needs_of_python
}
needs_of_false_alarms() { needs_of_nab; }

needs_of_bench() {
  need_rust_to_build
  need mosquitto command -v mosquitto
  need mosquitto-clients command -v mosquitto_sub
}

needs_of_bench_micro() {
  need_rust
  need valgrind valgrind --version
}

needs_of_bench_coap() {
  # The load client and our engine's server are built where they are not given.
  if [[ -n ${COAP_EXAMPLES:-} ]]; then need_rust_to_build; else need_rust; fi
  need libcoap3-bin command -v coap-server-openssl
}

needs_of_bench_broker() {
  # The load client is built where it is not given.
  if [[ -n ${MQTT_EXAMPLES:-} ]]; then need_rust_to_build; else need_rust; fi
  need mosquitto command -v mosquitto_passwd
}

needs_of_conformance() {
  if [[ $1 == riser ]]; then need_rust_to_build; else need mosquitto command -v mosquitto; fi
  needs_of_python
  # To fetch the suites.
  need git git --version
}

needs_of_bench_lorawan() {
  need_rust_to_build
  need_python_environment
}

need_rust() {
  command -v cargo >/dev/null || fail "no cargo; install Rust (see rust-version in Cargo.toml) with rustup"
  need_compilers
}

# For scripts that test the binary that RISER_BIN names, or build one.
need_rust_to_build() { [[ -n ${RISER_BIN:-} ]] || need_rust; }

need_compilers() { need build-essential compilers_work; }

# A compiler alone does not do: Debian's comes without libc's headers where recommended packages are left out.
compilers_work() {
  make --version && ar --version || return
  printf '#include <stdio.h>\nint main(void) { return 0; }\n' | cc -x c - -o /dev/null || return
  printf '#include <vector>\nint main() { return 0; }\n' | c++ -x c++ - -o /dev/null
}

# rustup's compiler has no libraries for microcontrollers; Debian's newest builds them from source.
need_board_tools() {
  need rustc-web test -x /usr/bin/rustc
  need cargo-web test -x /usr/bin/cargo
  need rust-web-src test -e /usr/lib/rustlib/src/rust/library/Cargo.lock
  need lld-22 test -x /usr/bin/ld.lld-22
  need python3 python3 --version
}

# Brokers, clients and servers that the tests talk to.
need_peers() {
  # The bus of a stand-in for bluetoothd.
  need dbus-daemon dbus-daemon --version
  need libcoap3-bin command -v coap-client-notls
  need mosquitto command -v mosquitto
  need influxdb command -v influxd
  need mosquitto-clients command -v mosquitto_pub
  need victoria-metrics command -v victoria-metrics
  # Kafka, whose jars Maven fetches.
  need openjdk-17-jre-headless java -version
  need maven mvn --version
  # The browser that the web page is tested in.
  need chromium command -v chromium
  need postgresql-15 test -x /usr/lib/postgresql/15/bin/postgres
  need openssl openssl version
}

need_python_environment() {
  wants_python_environment=1
  need python3-venv python3 -c 'import ensurepip, venv'
  # Where RISER_BIN is given, nothing else has asked for them.
  need_compilers
  # To build DTLSSocket, which has no wheels; its `configure` is made of macros of pkg-config's too.
  need automake aclocal --version
  need pkg-config pkg-config --version
  need python3-dev python3 -c 'import os, sysconfig; os.stat(os.path.join(sysconfig.get_path("include"), "Python.h"))'
}

# rustup's compiler knows this machine only, Debian's newest every architecture.
need_cross_compiler() {
  local arch=$1 gnu
  gnu=$(gnu_name "$arch")
  need "binutils-$gnu" command -v "$gnu-strip"
  [[ -z ${RISER_BIN:-} ]] || return 0
  need "gcc-$gnu" command -v "$gnu-gcc"
  need "libc6-dev-$arch-cross" test -e "/usr/$gnu/include/stdio.h"
  need rustc-web test -x /usr/bin/rustc
  need cargo-web test -x /usr/bin/cargo
  [[ $arch != armhf ]] || need rust-web-src test -e /usr/lib/rustlib/src/rust/library/Cargo.lock
}

# How GNU's tools name a Debian architecture.
gnu_name() {
  case $1 in
    amd64) echo x86_64-linux-gnu ;;
    arm64) echo aarch64-linux-gnu ;;
    armhf) echo arm-linux-gnueabihf ;;
  esac
}

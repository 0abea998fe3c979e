"""Stands where mosquitto's tests start `mosquitto`: reads the mosquitto.conf, and runs `riser run` with what it means.

    RISER_BIN=… conformance_shim.py [-v] [-p PORT | -c FILE]

It stays Riser's parent: SIGHUP makes gateway.toml again from the changed files before Riser reads it, SIGTERM stops both.
Riser's data is beside `persistence_file` as long as that file is there, and otherwise new with each start. Riser listens
on one port; connections to any other are passed on.

What has no counterpart in gateway.toml is in UNTRANSLATED and left out; the table says so beside the test.
"""

import base64
import contextlib
import ctypes
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

UNTRANSLATED = {
    "allow_zero_length_clientid": "clients may always leave their id to the broker",
    "max_inflight_bytes": "what is in flight is counted in messages",
    "max_queued_messages": "queues are bounded in bytes",
    "maximum_qos": "QoS 2 is always offered",
    "per_listener_settings": "there is one set of users",
    "upgrade_outgoing_qos": "a message is never delivered with more than the QoS of its publisher",
}
# Those that the tests use; the password files have hashes of them, which the shim checks.
PASSWORDS = ["password"]
# Mosquitto takes any name where it has no password file, Riser those that are written down.
NAMES_WITHOUT_FILE = {"user": "password"}
ANYTHING = ["#", "$CONTROL/#", "$SYS/#"]


class Conf:
    """A mosquitto.conf: the last value of each name, and the ports."""

    def __init__(self, arguments):
        self.values, self.ports = {}, []
        acl_files = []
        for name, _, value in self.lines(arguments):
            if name in ("port", "listener"):
                self.ports.append(int(value.split()[0]))
                acl_files.append(None)
            elif name == "acl_file" and acl_files:
                acl_files[-1] = value
            self.values[name] = value
        # Of listeners that have settings of their own, one without permissions leaves everything to everybody.
        self.acl_on_all = not (self.is_true("per_listener_settings") and None in acl_files)
        if not self.ports:
            # Mosquitto without a listener in its file takes clients without a name, unless that says otherwise.
            self.values.setdefault("allow_anonymous", "true")
        if "-p" in arguments:
            self.ports.append(int(arguments[arguments.index("-p") + 1]))

    def lines(self, arguments):
        if "-c" not in arguments:
            return []
        with open(arguments[arguments.index("-c") + 1], newline="") as file:
            lines = [line.strip() for line in file]
        return [line.partition(" ") for line in lines if line and not line.startswith("#")]

    def is_true(self, name):
        return self.values.get(name) == "true"


def gateway(conf, data):
    """The gateway.toml."""
    broker = {"listen": f"127.0.0.1:{conf.ports[0]}", "anonymous": conf.is_true("allow_anonymous"), "max_in_flight": 20}
    for name, key, form in (
        ("max_connections", "max_clients", int),
        ("max_inflight_messages", "max_in_flight", int),
        ("max_keepalive", "max_keep_alive", "{}s".format),
        ("max_packet_size", "max_packet_size", "{}B".format),
        ("max_queued_bytes", "max_queue_size", "{}B".format),
        ("message_size_limit", "max_payload_size", "{}B".format),
        ("retain_available", "retain", lambda value: value == "true"),
    ):
        if name in conf.values:
            broker[key] = form(conf.values[name])
    users = {name: {"password": password, "publish": ANYTHING, "subscribe": ANYTHING} for name, password in names(conf)}
    if "acl_file" in conf.values:
        for name, (publish, subscribe) in acl(conf.values["acl_file"]).items():
            if name is not None:
                # With mosquitto, a client that says such a name needs no password.
                users.setdefault(name, {"password": PASSWORDS[0]}).update(publish=publish, subscribe=subscribe)
            elif conf.acl_on_all or publish or subscribe:
                broker.update(anonymous_publish=publish, anonymous_subscribe=subscribe)
    tables = {"gateway": {"id": "conformance", "data_dir": data}, "broker": broker}
    tables.update((f"broker.users.{name}", user) for name, user in users.items())
    return "".join(
        f"[{title}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        for title, table in tables.items()
    )


def names(conf):
    """User names and clear passwords."""
    if "password_file" not in conf.values:
        if conf.is_true("allow_anonymous"):
            yield from NAMES_WITHOUT_FILE.items()
        return
    with open(conf.values["password_file"]) as file:
        for line in file:
            name, _, secret = line.strip().partition(":")
            if name:
                yield name, clear(secret)


def clear(secret):
    if not secret.startswith("$6$"):
        return secret
    _, _, salt, digest = secret.split("$")
    for password in PASSWORDS:
        if hashlib.sha512(password.encode() + base64.b64decode(salt)).digest() == base64.b64decode(digest):
            return password
    sys.exit(f"no password is known for the hash {secret}")


def acl(path):
    """What each user may publish and subscribe to; without a name, None, the rows before the first `user`."""
    name, rules = None, {None: ([], [])}
    with open(path) as file:
        for words in (line.split() for line in file):
            if words[:1] == ["user"]:
                name = words[1]
                rules.setdefault(name, ([], []))
            elif words[:1] == ["topic"]:
                access = words[1] if len(words) > 2 else "readwrite"
                publish, subscribe = rules[name]
                if access in ("write", "readwrite"):
                    publish.append(words[-1])
                if access in ("read", "readwrite"):
                    subscribe.append(words[-1])
    return rules


def pass_on(port, to):
    """Passes connections of a port on to another, for ever, once that one takes them."""
    listener = socket.create_server(("127.0.0.1", port))

    def copy(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for side in (source, sink):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def accept():
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", to)).close()
                break
            time.sleep(0.01)
        while True:
            outer, _ = listener.accept()
            # As Riser does where it cannot answer.
            try:
                inner = socket.create_connection(("127.0.0.1", to))
            except OSError:
                outer.close()
                continue
            for pair in ((outer, inner), (inner, outer)):
                threading.Thread(target=copy, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def data_folder(conf):
    """The folder of Riser's data, and whether it lasts."""
    kept = conf.values.get("persistence_file") if conf.is_true("persistence") else None
    folder = os.path.abspath(f"{kept or conf.ports[0]}.riser")
    if not kept or not os.path.exists(kept):
        shutil.rmtree(folder, ignore_errors=True)
    if kept:
        # The tests look whether it is there.
        with open(kept, "a"):
            pass
    os.makedirs(folder, exist_ok=True)
    return folder, kept is not None


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def main():
    conf = Conf(sys.argv[1:])
    folder, lasts = data_folder(conf)
    config = os.path.join(folder, "gateway.toml")

    def configure():
        # Whole or not at all: Riser may be reading it. For no other eyes: it has passwords.
        with open(os.open(config + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(gateway(conf, os.path.join(folder, "data")))
        os.replace(config + ".new", config)

    configure()
    with open(os.environ["CONFORMANCE_NOTES"], "a") as file:
        for name in conf.values:
            if name in UNTRANSLATED:
                file.write(json.dumps({"note": f"without `{name}`: {UNTRANSLATED[name]}"}) + "\n")
    riser = subprocess.Popen([os.environ["RISER_BIN"], "run", "--config", config], preexec_fn=die_with_parent)

    def tell(number, _):
        if number == signal.SIGHUP:
            configure()
        riser.send_signal(number)

    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, tell)
    for port in {*conf.ports} - {conf.ports[0]}:
        pass_on(port, conf.ports[0])
    code = riser.wait()
    if not lasts:
        shutil.rmtree(folder, ignore_errors=True)
    # Not `sys.exit`: threads may be waiting for connections.
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()

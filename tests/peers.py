"""What the gateway talks to: real mosquitto brokers and paho clients, on free ports of 127.0.0.1."""

import contextlib
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field

import paho.mqtt.client as mqtt

HOST = "127.0.0.1"

# Where Debian keeps mosquitto, and only root's PATH looks.
os.environ["PATH"] += ":/usr/sbin"


WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_given_ports = set()


def free_port():
    """A free port: no other test gets it, and no outgoing connection takes it while its owner is down."""
    first_outgoing = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        # Of two workers each has every second port, and so on.
        port = random.randrange(5000 + WORKER, first_outgoing, WORKERS)
        if port in _given_ports:
            continue
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind((HOST, port))
            _given_ports.add(port)
            return port


class Deadline:
    """In `timeout` seconds; where `progress` is given, that long after the last change of `progress()`, so that a busy
    machine may take its time as long as it gets on."""

    def __init__(self, timeout, progress=None):
        self._timeout, self._progress, self._seen = timeout, progress, progress and progress()
        self._at = time.monotonic() + timeout

    def left(self):
        """Seconds; 0 when it is over."""
        if time.monotonic() >= self._at and self._progress and (now := self._progress()) != self._seen:
            self._at, self._seen = time.monotonic() + self._timeout, now
        return max(0.0, self._at - time.monotonic())


def wait_until(predicate, timeout=15.0, what="a condition", progress=None):
    """Polls until `predicate()` is true and returns that; fails the test at the `Deadline`."""
    deadline = Deadline(timeout, progress)
    while True:
        if result := predicate():
            return result
        assert deadline.left(), f"waited {timeout} s in vain for {what() if callable(what) else what}"
        time.sleep(0.02)


def stands_still(number):
    """Waits until the number is the same for a second, and returns it."""
    seen = [(time.monotonic(), number())]

    def still():
        if (now := number()) != seen[-1][1]:
            seen.append((time.monotonic(), now))
        return time.monotonic() - seen[-1][0] > 1

    wait_until(still, 30, lambda: f"an end of {seen[-3:]}")
    return seen[-1][1]


def udp_backlog(port):
    """Bytes of memory that datagrams take which wait in the kernel for who listens on this port."""
    rows = [line.split() for line in pathlib.Path("/proc/net/udp").read_text().splitlines()[1:]]
    return sum(int(row[4].split(":")[1], 16) for row in rows if int(row[1].split(":")[1], 16) == port)


class Mosquitto:
    """A broker in a folder of its own. The same port and folder after a restart; persistence only where asked for."""

    def __init__(
        self, folder, *, users=None, tls=None, client_certificates=False, persistent=False, log="all", lines=()
    ):
        folder.mkdir(parents=True)
        self.port = free_port()
        self.folder = folder
        self.process = None
        # Without limits a subscriber gets each message before its sender gets the PUBACK: a killed broker loses nothing
        # that it acknowledged.
        text = [f"listener {self.port} {HOST}", "max_queued_messages 0", "max_inflight_messages 0"]
        text += [*(f"log_type {kind}" for kind in log.split()), "log_dest stderr"]
        if users:
            (folder / "users").write_text("".join(f"{name}:{password}\n" for name, password in users.items()))
            subprocess.run(["mosquitto_passwd", "-U", folder / "users"], check=True)
            (folder / "users").chmod(0o644)
            text += [f"password_file {folder / 'users'}", "allow_anonymous false"]
        else:
            text += ["allow_anonymous true"]
        if tls:
            text += [f"cafile {tls.ca}", f"certfile {tls.server_cert}", f"keyfile {tls.server_key}"]
            text += [f"require_certificate {str(client_certificates).lower()}"]
        if persistent:
            text += ["persistence true", f"persistence_location {folder}/", "autosave_interval 3600"]
        # Started by root, mosquitto changes to a user that cannot read the test's folders.
        text += ["user root", *lines]
        (folder / "mosquitto.conf").write_text("\n".join(text) + "\n")

    def set(self, option, value):
        """Changes a line of the configuration; for the next start."""
        path = self.folder / "mosquitto.conf"
        lines = [line for line in path.read_text().splitlines() if line.split()[0] != option]
        path.write_text("\n".join([*lines, f"{option} {value}"]) + "\n")

    def start(self):
        starts = self.log().count(" running\n")
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["stdbuf", "-oL", "-eL", "mosquitto", "-c", self.folder / "mosquitto.conf"], stdout=log, stderr=log
            )
        wait_until(lambda: self.process.poll() is not None or self.log().count(" running\n") > starts, what="mosquitto")
        assert self.process.poll() is None, f"mosquitto ended:\n{self.log()}"

    def log(self):
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_log(self, text, times=1, timeout=15.0):
        wait_until(
            lambda: self.log().count(text) >= times,
            timeout,
            lambda: f"{text!r} in mosquitto's log:\n{self.log()[-2000:]}",
        )

    def save(self):
        """Writes the sessions that there are to disk, so that they outlive a kill."""
        self.process.send_signal(signal.SIGUSR1)
        self.wait_log("Saving in-memory database")

    def freeze(self):
        """Takes connections and bytes, answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()


def _client(client_id, version, transport, username, password, tls):
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=version, transport=transport)
    if username is not None:
        client.username_pw_set(username, password)
    if tls:
        client.tls_set(ca_certs=str(tls.ca))
    client.max_inflight_messages_set(200)
    client.reconnect_delay_set(0.1, 0.5)
    return client


class Publisher:
    """A sensor: publishes and waits until the broker has acknowledged."""

    def __init__(
        self, port, *, version=mqtt.MQTTv5, transport="tcp", username=None, password=None, tls=None, client_id=""
    ):
        self.connack = None
        self._connected = threading.Event()
        self.client = _client(client_id, version, transport, username, password, tls)
        self.client.on_connect = self._on_connect
        self.client.connect(HOST, port, keepalive=60)
        self.client.loop_start()
        assert self._connected.wait(10), f"no CONNACK from port {port}"

    def _on_connect(self, client, userdata, flags, reason, properties):
        self.connack = reason
        self._connected.set()

    def send(self, topic, payload, qos=1, retain=False, timeout=20.0):
        """Publishes one message (a dict or list as JSON); at QoS 1 returns after the PUBACK."""
        self.send_all([(topic, payload)], qos=qos, retain=retain, timeout=timeout)

    def send_all(self, messages, qos=1, retain=False, timeout=60.0):
        """Publishes (topic, payload) in order; at QoS 1 returns after the last PUBACK."""
        wait_until(self.client.is_connected, what="the sensor's connection")
        infos = [self.client.publish(topic, _bytes(payload), qos=qos, retain=retain) for topic, payload in messages]
        deadline = time.monotonic() + timeout
        for info in infos:
            info.wait_for_publish(max(0.01, deadline - time.monotonic()))
            assert info.is_published(), f"the broker took only a part of {len(infos)} messages within {timeout} s"

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def _bytes(payload):
    return json.dumps(payload) if isinstance(payload, dict | list) else payload


@dataclass
class Message:
    topic: str
    raw: bytes
    retained: bool
    at: float
    body: object = field(default=None)


class Collector:
    """Gathers messages with the moment they came, and waits for what a test expects among them."""

    def __init__(
        self,
        port,
        topic="#",
        *,
        decode=json.loads,
        qos=1,
        version=mqtt.MQTTv5,
        transport="tcp",
        username=None,
        password=None,
        tls=None,
        session=None,
    ):
        """`session`: a client id whose session the broker keeps while the collector is away."""
        self.messages = []
        self.refused = []
        self._decode = decode
        self._topic = (topic, qos)
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self.client = _client(session or "", version, transport, username, password, tls)
        self.client.on_connect = lambda client, *_: client.subscribe(*self._topic)
        self.client.on_subscribe = self._on_subscribe
        self.client.on_message = self._on_message
        if session:
            properties = mqtt.Properties(mqtt.PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 3600
            self.client.connect(HOST, port, keepalive=60, clean_start=False, properties=properties)
        else:
            self.client.connect(HOST, port, keepalive=60)
        self.client.loop_start()
        assert self._ready.wait(10), f"no SUBACK from port {port}"

    def _on_subscribe(self, client, userdata, mid, reasons, properties):
        self.refused = [reason for reason in reasons if reason.is_failure]
        self._ready.set()

    def _on_message(self, client, userdata, message):
        kept = Message(message.topic, message.payload, message.retain, time.time())
        try:
            kept.body = self._decode(message.payload)
        except Exception:  # What is no JSON is for the test to look at: `raw`.
            kept.body = None
        with self._changed:
            self.messages.append(kept)
            self._changed.notify_all()

    def wait_for(self, predicate, timeout=15.0, what="messages", progress=None):
        """Waits until `predicate()` returns something true, asked again at each message; returns it. See `Deadline`."""
        deadline = Deadline(timeout, progress)
        with self._changed:
            while not (result := predicate()):
                left = deadline.left()
                assert left, f"waited {timeout} s in vain for {what}; received: {self._summary()}"
                self._changed.wait(min(left, 0.2))
        return result

    def _summary(self):
        return [(m.topic, m.raw[:400]) for m in self.messages[-12:]]

    def on(self, topic):
        return [m.body for m in list(self.messages) if m.topic == topic]

    def statuses(self):
        return [m.body["state"] for m in list(self.messages) if m.topic.endswith("/status") and m.body]

    def healths(self):
        return [m.body for m in list(self.messages) if m.topic.endswith("/health") and m.body]

    def wait_online(self, timeout=20.0):
        self.wait_for(lambda: self.statuses() and self.statuses()[-1] == "online", timeout, "the status online")

    def aggregates(self, device=None, zone=None):
        found = [m.body for m in list(self.messages) if m.topic.endswith("/aggregated")]
        if device is not None:
            found = [b for b in found if b.get("device") == device]
        if zone is not None:
            found = [b for b in found if "device" not in b and b.get("zone") == zone]
        return found

    def latest(self, device=None, zone=None):
        """The highest revision of each window, by start: what a careful consumer keeps."""
        best = {}
        for body in self.aggregates(device, zone):
            if body["id"] not in best or body["revision"] > best[body["id"]]["revision"]:
                best[body["id"]] = body
        return sorted(best.values(), key=lambda b: b["window"]["start"])

    def count(self, device, metric):
        """Readings of one metric in all the windows of a device, corrections taken into account."""
        return sum(b["metrics"][metric]["count"] for b in self.latest(device) if metric in b["metrics"])

    def wait_count(self, device, metric, count, timeout=15.0):
        self.wait_for(
            lambda: self.count(device, metric) >= count,
            timeout,
            f"{count} readings of {device} {metric}, not {self.count(device, metric)}",
        )
        assert self.count(device, metric) == count

    def alerts(self, device=None):
        found = [m.body for m in list(self.messages) if "/alerts/" in m.topic]
        return [b for b in found if device is None or b["device"] == device]

    def numbered(self):
        """Everything with a `seq`, which is each aggregate and alert, in order of arrival."""
        return [m.body for m in list(self.messages) if isinstance(m.body, dict) and "seq" in m.body]

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class Certificates:
    """A certificate authority, a server of 127.0.0.1, one of another name and a client, and an authority that no one trusts."""

    def __init__(self, folder):
        self.folder = folder
        self.ca, ca_key = self._authority("ca")
        self.strange_ca, _ = self._authority("strange")
        self.server_cert, self.server_key = self._issue("server", "subjectAltName=IP:127.0.0.1,DNS:localhost", ca_key)
        self.other_cert, self.other_key = self._issue("other", "subjectAltName=DNS:other.example", ca_key)
        self.client_cert, self.client_key = self._issue("client", "extendedKeyUsage=clientAuth", ca_key)

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=self.folder)

    def _authority(self, name):
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        self._openssl(
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "30",
            "-subj",
            f"/CN=test {name}",
            "-addext",
            "keyUsage=critical,keyCertSign",
            "-keyout",
            key,
            "-out",
            cert,
        )
        return cert, key

    def _issue(self, name, extension, ca_key):
        cert, key, request = (self.folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
        self._openssl(
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            f"/CN={name}",
            "-keyout",
            key,
            "-out",
            request,
        )
        (self.folder / f"{name}.ext").write_text(extension + "\n")
        self._openssl(
            "x509",
            "-req",
            "-in",
            request,
            "-CA",
            self.ca,
            "-CAkey",
            ca_key,
            "-CAcreateserial",
            "-days",
            "30",
            "-extfile",
            f"{name}.ext",
            "-out",
            cert,
        )
        return cert, key

"""CoAP peers of the gateway: libcoap's clients as they come, and bare datagrams for what no client would send."""

import dataclasses
import pathlib
import re
import socket
import struct
import subprocess

from gateway import Riser, config
from peers import HOST, free_port, wait_until

KEY = "000102030405060708090a0b0c0d0e0f"

TLS_BACKENDS = ("openssl", "gnutls")


# As addresses and URLs write it.
HOST_V6 = "[::1]"


def table(port, more="", host=HOST):
    """`[adapters.coap.lan]` on this port."""
    return f'[adapters.coap.lan]\nlisten = "{host}:{port}"\n{more}'


@dataclasses.dataclass
class Answer:
    """The last response: its code, its options and diagnostic as libcoap prints them, and its body."""

    code: str
    line: str
    body: str
    output: str


class CoapClient:
    """`coap-client` of libcoap against one port; `tls` names the build that speaks DTLS."""

    def __init__(self, port, folder, tls=None, identity=None, key=None, host=HOST):
        scheme = "coaps" if tls else "coap"
        self.base = f"{scheme}://{host}:{port}"
        self.folder = pathlib.Path(folder)
        self.program = [f"coap-client-{tls or 'notls'}"]
        if tls:
            self.program += ["-u", identity, "-k", key]

    def command(self, method, path, payload=None, format=None, accept=None, more=()):
        command = [*self.program, "-v", "6", "-m", method, "-B", "8", *more]
        if payload is not None:
            file = self.folder / "payload"
            file.write_bytes(payload.encode() if isinstance(payload, str) else payload)
            command += ["-f", str(file)]
        if format is not None:
            command += ["-t", str(format)]
        if accept is not None:
            command += ["-A", str(accept)]
        return [*command, "-o", str(self.folder / "body"), self.base + path]

    def ask(self, method, path, payload=None, **options):
        body = self.folder / "body"
        body.unlink(missing_ok=True)
        done = subprocess.run(
            self.command(method, path, payload, **options), capture_output=True, text=True, errors="replace", timeout=60
        )
        output = done.stdout + done.stderr
        lines = re.findall(r"^v:1 t:(?:ACK|CON|NON) c:([245]\.\d\d) (.*)$", output, re.M)
        code, line = lines[-1] if lines else ("none", "")
        return Answer(code, line, body.read_text(errors="replace") if body.exists() else "", output)

    def get(self, path, **options):
        return self.ask("get", path, **options)

    def post(self, path, payload, **options):
        return self.ask("post", path, payload, **options)

    def put(self, path, payload, **options):
        return self.ask("put", path, payload, **options)

    def observe(self, path, seconds):
        """Runs on in the background; its standard output has the values, one a line."""
        command = [*self.program, "-s", str(seconds), "-w", self.base + path]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


CON, NON, ACK, RST = range(4)


def message(kind, code, mid, token=b"", options=(), payload=b""):
    """A datagram (RFC 7252, 3); `options` are numbers and bytes in order, none longer than 12."""
    class_, detail = code
    out = struct.pack("!BBH", 1 << 6 | kind << 4 | len(token), class_ << 5 | detail, mid) + token
    before = 0
    for number, value in options:
        assert number - before < 13 and len(value) < 13
        out += bytes([(number - before) << 4 | len(value)]) + value
        before = number
    return out + (b"\xff" + payload if payload else b"")


def report(mid, *path, payload, kind=CON, token=b"\x01"):
    """A POST without a content format."""
    return message(kind, (0, 2), mid, token, [(11, segment.encode()) for segment in path], payload)


class Datagrams:
    """A bare UDP socket."""

    def __init__(self, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((HOST, port))
        self.socket.settimeout(10)

    def send(self, datagram):
        self.socket.send(datagram)

    def receive(self):
        """Type, code and message id of the next answer."""
        datagram = self.socket.recv(2000)
        first, code, mid = struct.unpack("!BBH", datagram[:4])
        return first >> 4 & 3, (code >> 5, code & 31), mid

    def exchange(self, datagram):
        self.send(datagram)
        return self.receive()

    def close(self):
        self.socket.close()


class CoapSetup:
    """A gateway with a CoAP port, and the cloud behind it."""

    def __init__(self, started, folder, cloud, collector, **parts):
        self.port = free_port()
        self.host = parts.pop("host", HOST)
        self.folder = folder
        more = table(self.port, parts.pop("coap", ""), self.host) + "\n" + parts.pop("more", "")
        parts.setdefault("topics", [("sensors/{device}/telemetry", "json")])
        text = config(cloud=cloud.port, floor=cloud.port, more=more, **parts)
        self.gateway = started.keep(Riser(folder / "gateway", text))
        self.cloud = collector(cloud)
        self.client = CoapClient(self.port, folder, host=HOST if self.host == "0.0.0.0" else self.host)
        self.started = started

    def start(self):
        line = f"coap: listens on {self.host}:{self.port}"
        before = self.gateway.log().count(line)
        self.gateway.start()
        wait_until(lambda: self.gateway.log().count(line) > before, what=lambda: f"{line!r} in {self.gateway.log()}")
        return self

    def datagrams(self):
        return self.started.keep(Datagrams(self.port))

    def dropped(self):
        return self.gateway.audit()["dropped"]

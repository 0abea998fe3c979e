"""A server that speaks MongoDB's protocol, with logins: nx-27017, which keeps its data in SQLite.

MongoDB's own server cannot be had from the package registries that the tests install from. nx-27017 is another program: it has no
replica sets, no time-series collections, no logins and no TLS. The last two (SCRAM-SHA-256, RFC 7677) this file puts in front of it.
"""

import socket
import ssl
import struct
import sys
import threading
from pathlib import Path

import bson
import pymongo
from scramp import ScramException, ScramMechanism

from peers import HOST, free_port, wait_until
from server_process import ServerProcess

USER, PASSWORD, DATABASE = "admin", "grün & 1", "building"
PROGRAM = Path(sys.executable).parent / "nx-27017"
MECHANISM = "SCRAM-SHA-256"
OP_QUERY, OP_MSG, OP_REPLY = 2004, 2013, 1
# What a client may ask before it has logged in.
OPEN = {"hello", "isMaster", "ismaster", "ping", "buildInfo", "endSessions"}


class Closed(Exception):
    """The other side has hung up."""


def receive(stream):
    """One message of the protocol, with its head."""
    head = stream.read(16)
    if len(head) < 16:
        raise Closed
    length, _, _, kind = struct.unpack("<iiii", head)
    if kind not in (OP_QUERY, OP_MSG, OP_REPLY):
        # As MongoDB does, when it is greeted with TLS and has none.
        raise Closed
    body = stream.read(length - 16)
    if len(body) < length - 16:
        raise Closed
    return head + body


def command_of(message):
    """The command's document; none if the message holds something else."""
    (kind,) = struct.unpack_from("<i", message, 12)
    if kind == OP_QUERY:
        begin = message.index(b"\0", 20) + 1 + 8
    elif kind == OP_MSG and message[20] == 0:
        begin = 21
    else:
        return {}
    (length,) = struct.unpack_from("<i", message, begin)
    return bson.decode(message[begin : begin + length])


def answer_to(message, document):
    request, kind = struct.unpack_from("<i", message, 4)[0], struct.unpack_from("<i", message, 12)[0]
    body = bson.encode(document)
    if kind == OP_QUERY:
        content, kind = struct.pack("<iqii", 8, 0, 0, 1) + body, OP_REPLY
    else:
        content = struct.pack("<IB", 0, 0) + body
    return struct.pack("<iiii", 16 + len(content), 1, request, kind) + content


class Login:
    """One client's login."""

    def __init__(self, mechanism, known):
        self.mechanism, self.known = mechanism, known
        self.exchange, self.is_done = None, False

    def answer(self, command):
        """To `saslStart` and `saslContinue`; an error to everything else before the login; `None`: it may pass."""
        name = next(iter(command), None)
        try:
            if name == "saslStart":
                self.exchange = self.mechanism.make_server(self._secrets_of)
                self.exchange.set_client_first(bytes(command["payload"]).decode())
                return self._next(self.exchange.get_server_first(), False)
            if name == "saslContinue" and not command["payload"]:
                self.is_done = True
                return self._next("", True)
            if name == "saslContinue":
                self.exchange.set_client_final(bytes(command["payload"]).decode())
                self.is_done = True
                return self._next(self.exchange.get_server_final(), True)
        except (ScramException, AttributeError):
            return {"ok": 0.0, "code": 18, "codeName": "AuthenticationFailed", "errmsg": "Authentication failed."}
        if self.is_done or name in OPEN:
            return None
        return {"ok": 0.0, "code": 13, "codeName": "Unauthorized", "errmsg": f"command {name} requires authentication"}

    def _secrets_of(self, user):
        if user != USER:
            raise ScramException("no such user")
        return self.known

    @staticmethod
    def _next(text, is_done):
        return {"conversationId": 1, "done": is_done, "payload": text.encode(), "ok": 1.0}


class MongoDb(ServerProcess):
    """`certificate`: PEM files of certificate and key. With it, clients must speak TLS."""

    def __init__(self, folder, certificate=None):
        super().__init__(folder)
        self._tls = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*certificate)
        self._behind = free_port()
        self._mechanism = ScramMechanism(MECHANISM)
        self.set_password(PASSWORD)
        self._listener = socket.create_server((HOST, self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def set_password(self, password):
        """For the logins from now on."""
        self._known = self._mechanism.make_auth_info(password, iteration_count=4096)

    @property
    def url(self):
        return f"mongodb://{HOST}:{self.port}"

    def start(self):
        command = [PROGRAM, "--data-dir", self.folder / "data", "--host", HOST, "-p", str(self._behind)]
        files = ["--log-file", self.folder / "nx.log", "--pid-file", self.folder / "nx.pid"]
        self.launch([*command, *files])
        wait_until(lambda: self.listens(self._behind), 30, what="nx-27017")
        return self

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        login = Login(self._mechanism, self._known)
        try:
            if self._tls:
                client = self._tls.wrap_socket(client, server_side=True)
            with client, socket.create_connection((HOST, self._behind)) as server:
                questions, answers = client.makefile("rb"), server.makefile("rb")
                while True:
                    message = receive(questions)
                    command = command_of(message)
                    refusal = login.answer(command)
                    if refusal is not None:
                        client.sendall(answer_to(message, refusal))
                        continue
                    server.sendall(message)
                    is_unanswered = struct.unpack_from("<i", message, 12)[0] == OP_MSG and message[16] & 2
                    if is_unanswered:
                        continue
                    answer = receive(answers)
                    while struct.unpack_from("<i", answer, 8) != struct.unpack_from("<i", message, 4):
                        answer = receive(answers)
                    if "saslSupportedMechs" in command:
                        begin = 21 if struct.unpack_from("<i", answer, 12)[0] == OP_MSG else 36
                        answer = answer_to(message, bson.decode(answer[begin:]) | {"saslSupportedMechs": [MECHANISM]})
                    client.sendall(answer)
        except (Closed, OSError):
            pass

    def find(self, collection, query=None):
        with pymongo.MongoClient(HOST, self._behind, serverSelectionTimeoutMS=5000) as client:
            return list(client[DATABASE][collection].find(query or {}))

    def update(self, collection, query, change):
        with pymongo.MongoClient(HOST, self._behind) as client:
            assert client[DATABASE][collection].update_one(query, change).matched_count == 1

    def close(self):
        self._listener.close()
        super().close()

"""The gateway's web page as a program sees it: requests, the live stream, and a raw socket for what no client would send."""

import http.client
import json
import socket
import ssl
import threading
import urllib.parse

from peers import free_port, wait_until

API = "/api/v1"


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class Web:
    """Asks the page on one port of 127.0.0.1."""

    def __init__(self, port, tls=False, cookie=None, token=None, source="127.0.0.1"):
        self.port, self.tls, self.cookie, self.token, self.source = port, tls, cookie, token, source

    def of(self, source):
        """The same page, asked from another address of this machine."""
        return Web(self.port, tls=self.tls, cookie=self.cookie, token=self.token, source=source)

    def connect(self, timeout=10.0):
        if not self.tls:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout, source_address=(self.source, 0))
        context = ssl._create_unverified_context()
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=context)

    def ask(self, path, method="GET", body=None, headers=None, timeout=10.0):
        headers = dict(headers or {})
        if self.cookie:
            headers.setdefault("Cookie", self.cookie)
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        connection = self.connect(timeout)
        try:
            connection.request(method, path, body=body, headers=headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **options):
        """What the API answers; the status must be 200."""
        answer = self.ask(API + path, **options)
        assert answer.status == 200, answer
        return answer.json

    def post(self, path, body, **options):
        return self.ask(API + path, "POST", body, **options)

    def login(self, password):
        """Logs in; returns the role."""
        answer = self.post("/login", {"password": password})
        assert answer.status == 200, answer
        self.cookie = answer.headers["Set-Cookie"].split(";")[0]
        return answer.json["role"]

    def is_there(self):
        try:
            return self.ask("/healthz", timeout=2.0).status == 200
        except OSError:
            return False

    def wait(self):
        wait_until(self.is_there, what="the web page to answer")
        return self

    def open(self, timeout=10.0):
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout, source_address=(self.source, 0))

    def raw(self, data, timeout=10.0):
        """Sends bytes as they are and returns what comes back until the gateway closes or is silent."""
        with self.open(timeout) as connection:
            connection.sendall(data)
            received = b""
            try:
                while chunk := connection.recv(65536):
                    received += chunk
            except (TimeoutError, ConnectionResetError):
                pass
            return received


class Stream:
    """A live stream: its events as they come."""

    def __init__(self, web, query="", last=None):
        headers = {"Last-Event-ID": last} if last else {}
        if web.cookie:
            headers["Cookie"] = web.cookie
        self.connection = web.connect(timeout=60.0)
        self.connection.request("GET", f"{API}/stream{query}", headers=headers)
        self.socket = self.connection.sock
        self.response = self.connection.getresponse()
        assert self.response.status == 200, self.response.status
        self.events = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        event = {}
        try:
            for line in self.response:
                line = line.decode().rstrip("\n")
                if not line:
                    if "data" in event:
                        self.events.append((event.get("event"), event.get("id"), json.loads(event["data"])))
                    event = {}
                elif not line.startswith(":"):
                    key, _, value = line.partition(": ")
                    event[key] = value
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass

    def of(self, kind):
        return [data for event, _, data in list(self.events) if event == kind]

    def wait(self, kind, test=lambda data: True, timeout=15.0):
        """The first event of this kind that passes the test."""
        wait_until(lambda: any(map(test, self.of(kind))), timeout, lambda: f"an event {kind}: {self.events[-3:]}")
        return next(filter(test, self.of(kind)))

    def last_id(self):
        return next((number for _, number, _ in reversed(list(self.events)) if number), None)

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.connection.close()
        self.reader.join(5)


def http_table(port=None, more=""):
    """`[http]` on a free port of 127.0.0.1, and the page that will be there."""
    port = port or free_port()
    return f'[http]\nlisten = "127.0.0.1:{port}"\n{more}\n', Web(port)


def quoted(name):
    return urllib.parse.quote(name, safe="")

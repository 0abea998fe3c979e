"""A TCP proxy between the gateway and a server that breaks the connection in the ways of a bad network.

| mode | what happens |
|---|---|
| `pass` | everything is forwarded |
| `refuse` | nothing listens, and the connections of now are cut |
| `hang` | connections are accepted, nothing is forwarded; with the next mode it goes on |
| `hole` | as `hang`, but connections from before its end never come back, and the client hears nothing of that |
| `slow` | answers come in pieces, with pauses |
| `answer` | in the middle of an answer (`part` of it is forwarded), the connection is cut: the server has done its work |
| `request` | the same in the middle of a request |

With `answer` and `request`, each connection passes `after` of them first.
"""

import contextlib
import socket
import threading

from peers import HOST, free_port

PIECES, PAUSE = 20, 0.02


class Link:
    """One connection, with both its ends."""

    def __init__(self, client, server):
        self.ends = (client, server)
        self.is_open = True
        self.is_lost = False
        self.passed = 0

    def close(self):
        self.is_open = False
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class FaultyProxy:
    """Listens on `port`; `target` is the server's port, which may change."""

    def __init__(self, target, port=None):
        self.port, self.target = port or free_port(), target
        self.mode, self.part, self.after = "pass", 0.5, 0
        self.cuts = self.accepted = 0
        self._links, self._alarm = set(), None
        self._changed = threading.Condition()
        self._is_closed = threading.Event()
        self._listener = None
        self._listen()

    def set(self, mode, part=0.5, after=0):
        if mode != "refuse":
            self._listen()
        with self._changed:
            for link in self._links:
                link.passed = 0
                link.is_lost |= self.mode == "hole"
            self.mode, self.part, self.after = mode, part, after
            self._changed.notify_all()
        if mode == "refuse":
            self._stop_listening()
            self.cut()

    def heal(self):
        self.set("pass")

    def cut(self):
        """All connections of now."""
        with self._changed:
            links, self._links = self._links, set()
            self._changed.notify_all()
        for link in links:
            link.close()

    def alarm(self, packet, act):
        """Calls `act` once, when the next answer or request (`packet`) has come and is not forwarded yet. None: not any more."""
        with self._changed:
            self._alarm = packet and (packet, act)

    def close(self):
        self._is_closed.set()
        self._stop_listening()
        self.cut()

    def _listen(self):
        if self._listener is None and not self._is_closed.is_set():
            self._listener = socket.create_server((HOST, self.port))
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _stop_listening(self):
        listener, self._listener = self._listener, None
        if listener:
            # Wakes the thread that waits in accept().
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._open, args=(client,), daemon=True).start()

    def _open(self, client):
        try:
            server = socket.create_connection((HOST, self.target), timeout=5)
        except OSError:
            client.close()
            return
        for end in (client, server):
            end.settimeout(None)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = Link(client, server)
        with self._changed:
            self._links.add(link)
        if self.mode == "refuse" or self._is_closed.is_set():
            self.cut()
        threading.Thread(target=self._pump, args=(link, server, client, "answer"), daemon=True).start()
        self._pump(link, client, server, "request")

    def _pump(self, link, source, sink, packet):
        with contextlib.suppress(OSError, ValueError):
            while data := source.recv(65536):
                self._ring(packet)
                self._hold(link)
                if not link.is_open or not self._forward(link, data, sink, packet):
                    break
        # Of what happens behind a hole, the client hears nothing.
        with contextlib.suppress(OSError, ValueError):
            self._hold(link, is_end=True, is_client=packet == "request")
        link.close()
        with self._changed:
            self._links.discard(link)
            self._changed.notify_all()

    def _ring(self, packet):
        with self._changed:
            if not self._alarm or self._alarm[0] != packet:
                return
            (_, act), self._alarm = self._alarm, None
        act()

    def _hold(self, link, is_end=False, is_client=False):
        def is_held():
            is_stuck = link.is_lost or self.mode in ("hang", "hole")
            return link.is_open and is_stuck and not self._is_closed.is_set() and not (is_end and is_client)

        with self._changed:
            self._changed.wait_for(lambda: not is_held())

    def _forward(self, link, data, sink, packet):
        if self.mode == packet:
            link.passed += 1
            if link.passed > self.after:
                self.cuts += 1
                sink.sendall(data[: int(len(data) * self.part)])
                return False
        if self.mode == "slow" and packet == "answer":
            size = max(1, -(-len(data) // PIECES))
            for begin in range(0, len(data), size):
                self._is_closed.wait(PAUSE)
                sink.sendall(data[begin : begin + size])
            return True
        sink.sendall(data)
        return True

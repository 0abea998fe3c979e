"""A TCP proxy in front of a broker: forwards everything, or plays a broker that does not work."""

import contextlib
import selectors
import socket
import threading

from peers import HOST, free_port


class TcpProxy:
    """Listens on its port. `mode` decides what a new connection gets:

    pass     the broker
    garbage  bytes that are not MQTT, then the end
    silent   a server that reads everything and sends nothing
    """

    def __init__(self, target, mode="pass"):
        self.port = free_port()
        self.mode = mode
        self._target = target
        self._frozen = []
        self._open = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server((HOST, self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze(self):
        """The connections of now stay open, but forward nothing any more. New connections work."""
        with self._lock:
            self._frozen.append(set(self._open))

    def close(self):
        self._listener.close()
        with self._lock:
            for pair in self._open:
                for end in pair:
                    end.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client, self.mode), daemon=True).start()

    def _serve(self, client, mode):
        with contextlib.suppress(OSError), client:
            if mode == "pass":
                self._pass(client)
            elif mode == "garbage":
                client.recv(4096)
                client.sendall(b"220 mail.example.com ESMTP ready\r\n" * 3)
            else:
                while client.recv(4096):
                    pass

    def _pass(self, client):
        with socket.create_connection((HOST, self._target)) as broker, selectors.DefaultSelector() as ready:
            pair = (client, broker)
            with self._lock:
                self._open.add(pair)
            ready.register(client, selectors.EVENT_READ, broker)
            ready.register(broker, selectors.EVENT_READ, client)
            try:
                while True:
                    for key, _ in ready.select(0.1):
                        if any(pair in frozen for frozen in self._frozen):
                            # Nothing is read, so neither side sees what the other does.
                            threading.Event().wait(0.1)
                            continue
                        data = key.fileobj.recv(65536)
                        if not data:
                            return
                        key.data.sendall(data)
            finally:
                with self._lock:
                    self._open.discard(pair)

"""An HTTP server that keeps what is posted to it and answers as a test says; and one that speaks no protocol at all."""

import gzip
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from peers import HOST


class Server:
    """Answers what `answer(number of the request)` says: a status, or a status and headers, or these and a body."""

    def __init__(self, port=0):
        self.requests, self.answer = [], lambda number: 200
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers["Content-Encoding"] == "gzip":
                    body = gzip.decompress(body)
                server.requests.append((self.path, dict(self.headers), body))
                answer = server.answer(len(server.requests))
                status, headers, text = (*answer, b"")[:3] if isinstance(answer, tuple) else (answer, {}, b"")
                self.send_response(status)
                for name, value in {"Content-Length": str(len(text)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            def do_HEAD(self):
                self.send_response(405)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer((HOST, port), Handler)
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    @property
    def address(self):
        return f"http://{HOST}:{self.port}"

    @property
    def url(self):
        return f"{self.address}/records?from=riser"

    def batches(self):
        return [[json.loads(line) for line in body.splitlines()] for _, _, body in list(self.requests)]

    def close(self):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class BadServer:
    """Answers every connection with `answer`, then with `more` without an end, whatever the client sends."""

    def __init__(self, answer, more=b""):
        self.connections = 0
        self._answer, self._more = answer, more
        self._listener = socket.create_server((HOST, 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # It is closed.
            self.connections += 1
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client):
        with client:
            try:
                client.recv(65536)
                client.sendall(self._answer)
                while self._more:
                    client.sendall(self._more)
            except OSError:
                pass  # The client has gone.

    def close(self):
        # Wakes the thread that waits in accept.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

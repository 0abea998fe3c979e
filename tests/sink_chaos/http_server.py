"""A program that takes what the sink `http` posts, and remembers the keys of its batches in a file: each batch is there once.

    python -m sink_chaos.http_server PORT FOLDER

A batch is acknowledged when its line is in FOLDER/batches. While there is a file FOLDER/busy, everything is answered with 503, and
every second batch is taken all the same, as by a server behind a gateway that has given up waiting.
"""

import json
import pathlib
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST = "127.0.0.1"


def read(folder):
    """Each batch: its key, and its records. What a kill has cut off was not acknowledged."""
    path = folder / "batches"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


class Store:
    def __init__(self, folder):
        self.folder, self._lock, self._count = folder, threading.Lock(), 0
        batches = read(folder)
        self._keys = {key: body for key, body in batches}
        # Without the part of a line that a kill has left.
        (folder / "new").write_text("".join(json.dumps(batch) + "\n" for batch in batches))
        (folder / "new").rename(folder / "batches")
        self._file = open(folder / "batches", "a", buffering=1)

    def take(self, key, body):
        """The status of the answer."""
        with self._lock:
            self._count += 1
            is_busy = (self.folder / "busy").exists()
            if not is_busy or self._count % 2:
                self._add(key, body)
            return 503 if is_busy else 200

    def _add(self, key, body):
        if key not in self._keys:
            self._keys[key] = body
            self._file.write(json.dumps([key, body]) + "\n")
        elif self._keys[key] != body:
            (self.folder / "problem").write_text(f"{key} came with two contents:\n{self._keys[key]}\n{body}")


def main():
    store = Store(pathlib.Path(sys.argv[2]))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) < length:
                # Cut off on the way.
                self.close_connection = True
                return
            self.send_response(store.take(self.headers["Idempotency-Key"], body.decode()))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    ThreadingHTTPServer.daemon_threads = True
    ThreadingHTTPServer((HOST, int(sys.argv[1])), Handler).serve_forever()


if __name__ == "__main__":
    main()

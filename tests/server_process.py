"""A server that a test starts: a process with a folder of its own, in which its log stands, and a free port."""

import socket
import subprocess

from peers import HOST, free_port


class ServerProcess:
    STOP_TIMEOUT = 20

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port, self.process = folder, free_port(), None

    def launch(self, command, **options):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, **options)

    def assert_running(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()

    def listens(self, port):
        self.assert_running()
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return True
        except OSError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(self.STOP_TIMEOUT)

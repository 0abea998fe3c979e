"""A real PostgreSQL in a folder of its own (Debian's 15), with passwords by SCRAM, and TLS where a certificate is given."""

import glob
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from peers import HOST, wait_until
from server_process import ServerProcess

USER, PASSWORD, DATABASE = "the owner", "grün & 'x' 1", "build ing"
ACCOUNT = "postgres"


class Postgres(ServerProcess):
    """`certificate` and `key`: PEM files of the server."""

    def __init__(self, certificate=None, key=None):
        # The server does not run as root: its folder must be reachable for another account.
        super().__init__(Path(tempfile.mkdtemp(prefix="riser-postgres-")))
        self.folder.chmod(0o755)
        self.programs = Path(sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))[-1]).parent
        (self.folder / "password").write_text(PASSWORD)
        self.settings = ["-c", "listen_addresses=" + HOST, "-c", f"port={self.port}", "-c", "unix_socket_directories="]
        if certificate:
            for source, name in ((certificate, "server.crt"), (key, "server.key")):
                shutil.copy(source, self.folder / name)
                (self.folder / name).chmod(0o600)
            files = [f"ssl_cert_file={self.folder}/server.crt", f"ssl_key_file={self.folder}/server.key"]
            self.settings += ["-c", "ssl=on", "-c", files[0], "-c", files[1]]
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", ACCOUNT, self.folder], check=True)
        command = [self.programs / "initdb", "-D", self.folder / "data", "-A", "scram-sha-256", "-U", USER, "-N", "-E", "UTF8"]
        initdb = subprocess.run(
            [*self._as_account(), *command, "--locale=C", "--pwfile", self.folder / "password"], capture_output=True, text=True
        )
        assert initdb.returncode == 0, initdb.stderr

    @staticmethod
    def _as_account():
        return ["setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups"] if os.geteuid() == 0 else []

    @property
    def url(self):
        return f"postgres://{HOST}:{self.port}/{DATABASE.replace(' ', '%20')}"

    def start(self):
        command = [*self._as_account(), self.programs / "postgres", "-D", self.folder / "data", *self.settings]
        self.launch(command, cwd=self.folder)
        wait_until(self._answers, 30, what="PostgreSQL")
        if not self.rows("SELECT datname FROM pg_database WHERE datname = 'build ing'", database="postgres"):
            self.run(f'CREATE DATABASE "{DATABASE}"', database="postgres")
        return self

    def _answers(self):
        self.assert_running()
        return self._psql("SELECT 1", "postgres").returncode == 0

    def _psql(self, sql, database):
        environment = os.environ | {"PGPASSWORD": PASSWORD, "PGTZ": "UTC"}
        command = ["psql", "-X", "-h", HOST, "-p", str(self.port), "-U", USER, "-d", database, "-v", "ON_ERROR_STOP=1"]
        return subprocess.run(
            [*command, "-q", "-A", "-t", "-F", "\t", "-c", sql], capture_output=True, text=True, env=environment, timeout=30
        )

    def run(self, sql, database=DATABASE):
        done = self._psql(sql, database)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self, sql, database=DATABASE):
        """Each row as a list of texts; none while there is no such table."""
        done = self._psql(sql, database)
        if "does not exist" in done.stderr:
            return []
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    def kill(self):
        """As a crash: its children end when they see that it is gone."""
        super().kill()
        # A new one refuses to start while one of them holds the shared memory.
        lock = self.folder / "data/postmaster.pid"
        wait_until(lambda: not self._children(), 20, what="the server's processes to end")
        lock.unlink(missing_ok=True)

    def _children(self):
        found = []
        for entry in glob.glob("/proc/[0-9]*/cwd"):
            try:
                if os.readlink(entry) == str(self.folder / "data"):
                    found.append(entry)
            except OSError:
                # It ended meanwhile.
                continue
        return found

    def close(self):
        if self.process and self.process.poll() is None:
            # SIGINT: its fast stop.
            self.process.send_signal(2)
            self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)

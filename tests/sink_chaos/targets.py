"""The receivers that keep messages: NATS, Kafka, HTTP, the cloud's broker and files. `databases.py` has the others.

A target has a table of the configuration, a server that can be killed, and what it holds at the end. `lock` makes it refuse logins
until `unlock`.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys

import kafka_server
import nats_server
from peers import HOST, Collector, Mosquitto, Publisher, free_port, wait_until
from server_process import ServerProcess
from sink_chaos import http_server
from sink_chaos.content import from_bodies
from sink_chaos.proxy import FaultyProxy

EVERYTHING = 'send = ["aggregates", "alerts", "readings"]'
OTHER_PASSWORD = "quite another"


class Target:
    """A server behind a proxy. A subclass sets `server`, which has `port`, `start`, `kill` and `close`."""

    has_readings = True

    def __init__(self, kind, server, **more):
        self.kind, self.server = kind, server
        self.proxy = FaultyProxy(server.port, **more)

    @property
    def name(self):
        """As in `riser audit`."""
        return f"{self.kind}.x"

    def start(self):
        self.server.start()

    def kill(self):
        self.server.kill()

    def close(self):
        self.proxy.close()
        self.server.close()

    def heal(self):
        self.proxy.heal()

    def _table(self, keys):
        return f"[sinks.{self.kind}.x]\n{EVERYTHING}\n{keys}"


class Nats(Target):
    def __init__(self, folder):
        super().__init__("nats", nats_server.NatsServer(folder))
        self._file = folder / "nats.conf"

    def table(self):
        login = f'username = "{nats_server.USER}"\npassword = "{nats_server.PASSWORD}"'
        return self._table(f'url = "nats://{HOST}:{self.proxy.port}"\n{login}')

    def lock(self):
        self._set_password(nats_server.PASSWORD, OTHER_PASSWORD)

    def unlock(self):
        self._set_password(OTHER_PASSWORD, nats_server.PASSWORD)

    def _set_password(self, old, new):
        """The server sends those away who have logged in with the old one."""
        log = self._file.with_name("log")
        reloads = log.read_bytes().count(b"Reloaded server configuration")
        self._file.write_text(self._file.read_text().replace(f'password: "{old}"', f'password: "{new}"'))
        self.server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: log.read_bytes().count(b"Reloaded server configuration") > reloads, 30, "a reload of NATS")

    def content(self):
        return from_bodies(body for _, _, body in nats_server.messages([self.server]))


class Kafka(Target):
    """A second listener of the broker knows another password: there the real broker refuses the login."""

    def __init__(self, folder):
        port = free_port()
        super().__init__("kafka", kafka_server.Kafka(folder, has_login=True, advertised=port, locked=free_port()), port=port)

    def table(self):
        login = f'username = "{kafka_server.USER}"\npassword = "{kafka_server.PASSWORD}"'
        return self._table(f'brokers = ["{HOST}:{self.proxy.port}"]\n{login}\ntopic = "riser.{{kind}}"')

    def lock(self):
        self._switch(self.server.locked)

    def unlock(self):
        self._switch(self.server.port)

    def _switch(self, port):
        self.proxy.target = port
        self.proxy.cut()

    def content(self):
        kinds = ("readings", "aggregates", "alerts")
        return from_bodies((body for kind in kinds for _, body, _ in self.server.messages(f"riser.{kind}")), may_repeat=True)


class HttpServer(ServerProcess):
    def start(self):
        environment = os.environ | {"PYTHONPATH": str(pathlib.Path(__file__).parent.parent)}
        self.launch([sys.executable, "-m", http_server.__name__, str(self.port), self.folder], env=environment)
        wait_until(lambda: self.listens(self.port), 30, what="the HTTP server")


class Http(Target):
    """A login that is refused (401) loses records, as it is documented: this server is busy (503) instead."""

    def __init__(self, folder):
        super().__init__("http", HttpServer(folder))

    def table(self):
        return self._table(f'url = "http://{HOST}:{self.proxy.port}/records"')

    def lock(self):
        (self.server.folder / "busy").touch()

    def unlock(self):
        (self.server.folder / "busy").unlink()

    def content(self):
        batches = http_server.read(self.server.folder)
        content = from_bodies(json.loads(line) for _, body in batches for line in body.splitlines())
        problem = self.server.folder / "problem"
        content.problems += [problem.read_text()] if problem.exists() else []
        return content


class Upstream(Target):
    """The cloud's broker, and an application that reads there. What was published counts as arrived when the application has it."""

    has_readings = False
    USER, PASSWORD = "hq-north", "secret"
    READER = "reader"

    def __init__(self, folder):
        users = {self.USER: self.PASSWORD, self.READER: self.READER}
        super().__init__("upstream", Mosquitto(folder, users=users, persistent=True, log="error warning notice information"))
        self._users, self._application, self._marks = folder / "users", None, 0

    @property
    def name(self):
        return "mqtt.upstream"

    def upstream(self):
        """Lines of [upstream]."""
        return f'username = "{self.USER}"\npassword = "{self.PASSWORD}"\nkeep_alive = "4s"'

    def start(self):
        """Nobody may publish before the application is back: a killed broker does not know what it subscribed to."""
        self.proxy.set("refuse")
        self.server.start()
        login = {"username": self.READER, "password": self.READER}
        if self._application is None:
            self._application = Collector(self.server.port, "#", session="application", **login)
        wait_until(self._mark_arrives, 60, "the cloud's application")
        self.proxy.heal()

    def kill(self):
        """With all that it has acknowledged delivered: the rest would be mosquitto's loss."""
        self.proxy.set("refuse")
        wait_until(self._mark_arrives, 60, "the cloud's application")
        self.server.kill()

    def _mark_arrives(self):
        self._marks += 1
        mark = str(self._marks)
        publisher = Publisher(self.server.port, username=self.READER, password=self.READER)
        try:
            publisher.send("mark", mark)
        finally:
            publisher.close()

        def is_there():
            return any(m.topic == "mark" and m.raw.decode() == mark for m in self._application.messages[-500:])

        try:
            return wait_until(is_there, 2)
        except AssertionError:
            return False

    def lock(self):
        self._set_password(OTHER_PASSWORD)

    def unlock(self):
        self._set_password(self.PASSWORD)

    def _set_password(self, password):
        subprocess.run(["mosquitto_passwd", "-b", self._users, self.USER, password], check=True, capture_output=True)
        self._users.chmod(0o644)
        self.server.process.send_signal(signal.SIGHUP)
        self.proxy.cut()

    def content(self):
        bodies = [m.body for m in list(self._application.messages) if isinstance(m.body, dict) and "seq" in m.body]
        return from_bodies(bodies, may_repeat=True)

    def close(self):
        if self._application:
            self._application.close()
        super().close()


class File:
    """Below the gateway's folder; `disk` stands between the two."""

    has_readings, kind, name = True, "file", "file.x"
    proxy = None

    def __init__(self, disk, data_dir):
        self._disk, self._folder = disk, data_dir / "export"

    def table(self):
        return f'[sinks.file.x]\n{EVERYTHING}\nrotate = "20s"\nmax_size = "100KiB"'

    def begin(self, what):
        {
            "full": self._disk.full,
            "broken": self._disk.fail_writes,
            "slow": lambda part: self._disk.slow(0.3, part),
        }[what]("export")

    def start(self):
        pass

    def heal(self):
        self._disk.heal()

    def close(self):
        pass

    def content(self):
        paths = sorted(self._folder.iterdir()) if self._folder.is_dir() else []
        return from_bodies(json.loads(line) for path in paths for line in path.read_text().splitlines())

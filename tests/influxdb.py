"""A real InfluxDB 1 in a folder of its own (Debian's 1.6.7), with users switched on."""

import base64
import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from peers import HOST, free_port, wait_until

USER, PASSWORD = "admin", "grün & 1"


class InfluxDb:
    def __init__(self, folder):
        folder.mkdir(parents=True)
        self.folder = folder
        self.port = free_port()
        self.process = None
        (folder / "influxdb.conf").write_text(
            f"""reporting-disabled = true
bind-address = "{HOST}:{free_port()}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
[http]
  bind-address = "{HOST}:{self.port}"
  auth-enabled = true
  log-enabled = false
  max-body-size = 200000
[monitor]
  store-enabled = false
"""
        )

    @property
    def url(self):
        return f"http://{HOST}:{self.port}"

    def start(self):
        with open(self.folder / "log", "ab") as log:
            command = ["influxd", "-config", self.folder / "influxdb.conf"]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(self._answers, 30, what="influxd")
        self.query(f"CREATE USER {USER} WITH PASSWORD '{PASSWORD}' WITH ALL PRIVILEGES", login=False)
        return self

    def _answers(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            urllib.request.urlopen(f"{self.url}/ping", timeout=2).close()
            return True
        except OSError:
            return False

    def _login(self):
        return "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    def write(self, line, database="building"):
        """One line of the line protocol, in milliseconds."""
        request = urllib.request.Request(f"{self.url}/write?db={database}&precision=ms", line.encode())
        request.add_header("Authorization", self._login())
        urllib.request.urlopen(request, timeout=10).close()

    def query(self, text, database=None, login=True):
        fields = {"q": text, **({"db": database} if database else {})}
        request = urllib.request.Request(f"{self.url}/query", urllib.parse.urlencode(fields).encode())
        if login:
            request.add_header("Authorization", self._login())
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)["results"][0]
        except urllib.error.HTTPError as error:
            return {"error": error.read().decode()}

    def rows(self, text, database="building"):
        """Each row as a dictionary, tags included."""
        series = self.query(text, database).get("series", [])
        return [
            dict(zip(one["columns"], values, strict=True)) | one.get("tags", {}) for one in series for values in one["values"]
        ]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)

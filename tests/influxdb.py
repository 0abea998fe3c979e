"""Real databases that take InfluxDB's line protocol, each in a folder of its own: InfluxDB 1 (Debian's 1.6.7) with users switched on, and
VictoriaMetrics (Debian's 1.79.5), which has the interface of InfluxDB 2 too."""

import base64
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request

from peers import HOST, free_port, wait_until
from server_process import ServerProcess

USER, PASSWORD = "admin", "grün & 1"


class InfluxDb(ServerProcess):
    """`certificates`: it speaks TLS."""

    def __init__(self, folder, certificates=None):
        super().__init__(folder)
        self.scheme, tls = "http", ""
        self._trust = None
        if certificates:
            self.scheme = "https"
            self._trust = ssl.create_default_context(cafile=certificates.ca)
            files = f'https-certificate = "{certificates.server_cert}"\n  https-private-key = "{certificates.server_key}"'
            tls = f"https-enabled = true\n  {files}"
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
  {tls}
[monitor]
  store-enabled = false
"""
        )

    @property
    def url(self):
        return f"{self.scheme}://{HOST}:{self.port}"

    def start(self):
        self.launch(["influxd", "-config", self.folder / "influxdb.conf"])
        wait_until(self._answers, 30, what="influxd")
        self.query(f"CREATE USER {USER} WITH PASSWORD '{PASSWORD}' WITH ALL PRIVILEGES", login=False)
        return self

    def _answers(self):
        self.assert_running()
        try:
            urllib.request.urlopen(f"{self.url}/ping", timeout=2, context=self._trust).close()
            return True
        except OSError:
            return False

    def _login(self):
        return "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    def write(self, line, database="building"):
        """One line of the line protocol, in milliseconds."""
        request = urllib.request.Request(f"{self.url}/write?db={database}&precision=ms", line.encode())
        request.add_header("Authorization", self._login())
        urllib.request.urlopen(request, timeout=10, context=self._trust).close()

    def query(self, text, database=None, login=True):
        fields = {"q": text, **({"db": database} if database else {})}
        request = urllib.request.Request(f"{self.url}/query", urllib.parse.urlencode(fields).encode())
        if login:
            request.add_header("Authorization", self._login())
        try:
            with urllib.request.urlopen(request, timeout=10, context=self._trust) as answer:
                return json.load(answer)["results"][0]
        except urllib.error.HTTPError as error:
            return {"error": error.read().decode()}

    def rows(self, text, database="building"):
        """Each row as a dictionary, tags included."""
        series = self.query(text, database).get("series", [])
        return [
            dict(zip(one["columns"], values, strict=True)) | one.get("tags", {}) for one in series for values in one["values"]
        ]


class VictoriaMetrics(ServerProcess):
    @property
    def url(self):
        return f"http://{HOST}:{self.port}"

    def start(self):
        place = [f"-storageDataPath={self.folder}/data", f"-httpListenAddr={HOST}:{self.port}", "-retentionPeriod=100y"]
        self.launch(["victoria-metrics", *place])
        wait_until(lambda: self._get("/health") == "OK", 30, what="VictoriaMetrics")
        return self

    def _get(self, path):
        self.assert_running()
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    def values(self, name):
        """Of all series with this name: their labels, and their values."""
        self._get("/internal/force_flush")
        lines = self._get("/api/v1/export?" + urllib.parse.urlencode({"match[]": name})).splitlines()
        return [(series["metric"], series["values"]) for series in map(json.loads, lines)]

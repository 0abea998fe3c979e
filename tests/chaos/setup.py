"""The processes of a run, each with the faults it can have."""

import contextlib
import json
import pathlib
import signal
import subprocess

import paho.mqtt.client as mqtt

from chaos.packets import PUBACK, PUBLISH
from chaos.proxy import BOTH, Network, Proxy
from chaos.reading import BASE, METRIC, SLOTS, WINDOW_MS
from chaos.records import Deliveries, Uploads
from chaos.sender import Sender, Senders
from gateway import Riser, config
from peers import HOST, Collector, Mosquitto, free_port, wait_until

PACKETS = {"PUBLISH": PUBLISH, "PUBACK": PUBACK}
# Durable, but not so much that mosquitto does nothing but save: all it holds is written after every 100 changes.
MOSQUITTO = {
    "persistent": True,
    "log": "error warning notice information",
    "lines": ("autosave_on_changes true", "autosave_interval 100"),
}
KEEP_ALIVE = 'keep_alive = "4s"'
# Two devices raise and clear an alert all the time, so that urgent messages overtake.
ALERT = f'metric = "{METRIC}"\nabove = {BASE ** (SLOTS - 2)}\ndevices = ["floor5-0", "local-v5-0"]'


class Setup:
    """Everything, started; a context that ends it."""

    def __init__(self, folder, schedule):
        self._open = contextlib.ExitStack()
        try:
            self._build(folder, schedule)
        except BaseException:
            self._open.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._open.close()

    def _keep(self, thing):
        self._open.callback(thing.close)
        return thing

    def _build(self, folder, schedule):
        self.network = self._keep(Network())
        self.floor, self.cloud = (self._keep(Mosquitto(folder / n, **MOSQUITTO)) for n in ("floor", "cloud"))
        self.floor.set("max_inflight_messages", schedule.floor_in_flight)
        self.floor.start()
        self.cloud.start()
        broker = free_port()
        self.ways = {
            "floor5": Deliveries("floor5", marks_repetition=True),
            "floor4": Deliveries("floor4", marks_repetition=True),
            "local": Deliveries("local", marks_repetition=False),
        }
        self.uploads = Uploads()
        self.proxies = {
            "floor5": self._proxy("floor5", self.floor.port, "down", self.ways["floor5"]),
            "floor4": self._proxy("floor4", self.floor.port, "down", self.ways["floor4"]),
            "local": self._proxy("local", broker, "up", self.ways["local"]),
            "upstream": self._proxy("upstream", self.cloud.port, "up", self.uploads),
        }
        self.cloud_application = self._keep(Collector(self.cloud.port, "building/#", session="cloud-application"))
        riser = self._keep(Riser(folder / "riser", self._config(schedule, broker)))
        self.gateway = Gateway(riser, self.proxies)
        self.gateway.start()
        self.senders = self._keep(self._senders())

    def _proxy(self, name, target, publishes, record):
        return self._keep(Proxy(self.network, name, target, publishes, record))

    def _config(self, schedule, broker):
        def topics(name):
            return f'topics = [{{ filter = "{name}/sensors/{{device}}/telemetry", format = "json" }}]'

        more = [
            f'[adapters.mqtt.floor4]\nurl = "mqtt://{HOST}:{self.proxies["floor4"].port}"\nprotocol = "3.1.1"',
            f"{KEEP_ALIVE}\n{topics('floor4')}",
            f"[adapters.mqtt.local]\n{topics('local')}",
            f'[broker]\nlisten = "{HOST}:{broker}"\nanonymous = true',
            f"[alerts.high]\n{ALERT}",
        ]
        return config(
            cloud=self.proxies["upstream"].port,
            floor=self.proxies["floor5"].port,
            topics=[("floor5/sensors/{device}/telemetry", "json")],
            upstream=f'protocol = "{schedule.upstream_protocol}"\n{KEEP_ALIVE}',
            adapter=KEEP_ALIVE,
            journal=schedule.journal,
            aggregate=f'window = "{WINDOW_MS}ms"\nlateness = "300ms"',
            more="\n".join(more),
        )

    def _senders(self):
        local = self.proxies["local"].port
        senders = [
            Sender("floor5", self.floor.port, mqtt.MQTTv5, devices=6),
            Sender("floor4", self.floor.port, mqtt.MQTTv5, devices=4),
            Sender("local-v5", local, mqtt.MQTTv5, devices=3),
            Sender("local-v4", local, mqtt.MQTTv311, devices=3),
        ]
        return Senders(senders)

    def line_fault(self, fault):
        proxy = self.proxies[fault.target]
        if fault.what == "cut":
            proxy.cut(fault.detail)
        elif fault.what == "silence":
            proxy.silence(BOTH if fault.detail == "both" else {fault.detail})
        else:
            proxy.open_hole()

    def acked(self):
        """How many readings Riser has acknowledged."""
        return sum(len(way.acked()) for way in self.ways.values())

    def deliveries(self):
        return {reading: of for way in self.ways.values() for reading, of in way.of.items()}

    def problems(self):
        """What the proxies noticed."""
        return [problem for record in (*self.ways.values(), self.uploads) for problem in record.problems]

    def pass_last_readings(self, timeout):
        """Sends a last reading every way and waits for Riser's PUBACK: all that a broker still held came before it."""
        last = self.senders.send_last()

        def missing():
            return last.difference(*(way.acked() for way in self.ways.values()))

        wait_until(lambda: not missing(), timeout, lambda: f"Riser's PUBACK for {missing()}")


class Gateway:
    """The gateway's faults, and its ledger under them."""

    def __init__(self, riser, proxies):
        self.riser = riser
        self.kills = 0
        self._proxies = proxies
        self._frozen = False
        self._lateness = 300

    def start(self):
        self._frozen = False
        self.riser.start()

    def running(self):
        return self.riser.process.poll() is None

    def begin(self, fault):
        assert self.running(), f"the gateway has ended by itself, exit code {self.riser.process.returncode}"
        if fault.what == "kill" and fault.detail != "at once":
            self._kill_at(*fault.detail.split(" on "))
        elif fault.what == "kill":
            self.kill()
        elif "terminate" in fault.what:
            self._wait_until_it_catches(signal.SIGTERM)
            self.riser.process.terminate()
        elif fault.what == "reload":
            self._reload()
        else:
            self.riser.freeze()
            self._frozen = True

    def undo(self, fault):
        if fault.what == "terminate":
            code = self.riser.process.wait(30)
            assert code == 0, f"exit code {code} after SIGTERM"
        if fault.what.endswith("and kill"):
            self.kill()
        if fault.what == "freeze":
            self.riser.thaw()
            self._frozen = False
        elif fault.what != "reload":
            self.start()

    def kill(self):
        self.riser.kill()
        self.kills += 1

    def _kill_at(self, packet, proxy):
        """Right after such a packet; where none comes within a second, then."""
        self._proxies[proxy].alarm(PACKETS[packet], self.riser.process.kill)
        try:
            self.riser.process.wait(1.0)
        except subprocess.TimeoutExpired:
            self._proxies[proxy].alarm(None, None)
        self.kill()

    def _wait_until_it_catches(self, number):
        """Straight after its start a process dies of any signal."""
        status = pathlib.Path(f"/proc/{self.riser.process.pid}/status")

        def caught():
            return int(next(li for li in status.read_text().splitlines() if li.startswith("SigCgt")).split()[1], 16)

        wait_until(lambda: caught() >> number - 1 & 1, what=f"the gateway's handler of signal {number}")

    def _reload(self):
        self._wait_until_it_catches(signal.SIGHUP)
        new = 700 - self._lateness
        self.riser.rewrite(f'lateness = "{self._lateness}ms"', f'lateness = "{new}ms"')
        self._lateness = new
        self.riser.reload()

    def audit(self):
        """The ledger, which must balance; None where the gateway is starting, ending or frozen."""
        if self._frozen:
            return None
        was_running = self.running()
        done = self.riser.cli("audit", "--config", self.riser.config, "--json", timeout=30)
        if was_running and done.returncode not in (0, 1):
            return None
        assert done.returncode == 0, f"riser audit: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

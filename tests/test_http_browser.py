"""The page in a real browser (Debian's chromium): tests/web runs against this gateway, with a building that lives."""

import pathlib
import subprocess
import sys
import threading

import pytest

from gateway import config
from peers import wait_until
from readings import now_millis
from web import http_table

TESTS = pathlib.Path(__file__).parent / "web"
NODE = pathlib.Path(sys.prefix) / "bin"

MINUTE = 60_000
DAY = 24 * 60 * MINUTE
ROOMS = [f"room-{number:02}" for number in range(1, 25)]
TABLES = """
[history]
[alerts.damp]
metric = "humidity"
above = 90.0
[upstream]
url = "mqtt://127.0.0.1:1"
password = "geheim-1234"
username = "hq"
"""


@pytest.fixture(scope="session")
def node_modules():
    """playwright-core and axe-core, as their lock file has them."""
    done = subprocess.run([NODE / "npm", "ci", "--no-audit", "--no-fund", "--prefix", TESTS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return TESTS / "node_modules"


class Living:
    """Devices whose values move twice a second; one is too damp now and then, one has been broken since the start."""

    def __init__(self, sensor):
        self.sensor, self.stopped, self.step = sensor, threading.Event(), 0
        self.teach()
        self.thread = threading.Thread(target=self.live, daemon=True)
        self.thread.start()

    def teach(self):
        """Four ordinary days of one room, and then what an unplugged sensor shows: the model finds it odd."""
        begin = now_millis() // DAY * DAY - 4 * DAY
        rows = []
        for minute in range((now_millis() - begin) // MINUTE - 30):
            day = abs(minute % 1440 - 720) / 720
            value = round(20.2 + 1.6 * day + (minute * 7919 % 11 - 5) * 0.02, 2)
            rows.append(("sensors/lab/telemetry", {"temperature": value, "ts": begin + minute * MINUTE}))
        rows += [("sensors/lab/telemetry", {"temperature": 85.0, "ts": now_millis() - (20 - n) * MINUTE}) for n in range(15)]
        # A day of the other rooms, a value every five minutes.
        for minute in range(-24 * 60, -5, 5):
            at = now_millis() + minute * MINUTE
            rows += [(f"sensors/{room}/telemetry", {"temperature": 20 + n % 7 / 3, "humidity": 40, "ts": at}) for n, room in enumerate(ROOMS)]
        self.sensor.send_all(rows)

    def live(self):
        while not self.stopped.wait(0.5):
            self.step += 1
            rows = [
                (f"sensors/{room}/telemetry", {"temperature": 20 + (self.step + n) % 10 / 7, "humidity": 40, "battery": 80})
                for n, room in enumerate(ROOMS)
            ]
            damp = 95 if self.step // 8 % 2 else 50
            rows.append(("sensors/cellar/telemetry", {"humidity": damp}))
            self.sensor.send_all(rows)

    def close(self):
        self.stopped.set()
        self.thread.join(10)


@pytest.mark.timeout(600)
def test_the_page_works_in_a_browser(floor, sensor, riser, started, node_modules):
    table, web = http_table()
    devices = "".join(f'[devices.{room}]\nzone = "floor-{1 + n // 8}/{room}"\n' for n, room in enumerate(ROOMS))
    text = config(
        floor=floor.port,
        aggregate='window = "5m"\nlateness = "10s"\ncorrect_for = "1h"',
        anomaly="enabled = true",
        journal='sync_every = "1s"',
        more=table + TABLES + devices,
    )
    gateway = riser(text).start()
    web.wait()
    started.keep(Living(sensor))
    wait_until(lambda: any(alert["kind"] == "anomaly" for alert in web.get("/alerts")["alerts"]), 60.0, "an anomaly")
    files = sorted(TESTS.glob("*.test.mjs"))
    done = subprocess.run(
        [NODE / "node", "--test", "--test-concurrency=1", *files],
        capture_output=True, text=True, cwd=TESTS,
        env=gateway.env | {"RISER_URL": f"http://127.0.0.1:{web.port}", "RISER_PATIENCE_MS": "30000"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2000:]
    assert "# skipped 0" in done.stdout or "ℹ skipped 0" in done.stdout
    assert "panicked" not in gateway.log()

"""schemathesis asks every path of the running gateway's API, within its document and beyond: what the document promises holds."""

import subprocess
import sys

from gateway import config
from peers import wait_until
from web import http_table


def test_the_api_is_what_its_document_says(floor, cloud, sensor, riser, tmp_path):
    table, web = http_table()
    more = table + '[history]\nkeep = "30d"\n[alerts.hot]\nmetric = "temperature"\nabove = 30.0\n'
    gateway = riser(config(cloud=cloud.port, floor=floor.port, more=more)).start()
    web.wait()
    rows = [(f"sensors/device {n}/telemetry", {"temperature": 20 + 5 * n, "humidity": 40}) for n in range(5)]
    sensor.send_all(rows)
    wait_until(lambda: web.get("/devices")["total"] == 5, what="five devices")
    # A stream has no end: test_http_api.py reads it.
    asked = subprocess.run(
        [
            f"{sys.prefix}/bin/schemathesis", "run", f"http://127.0.0.1:{web.port}/api/v1/openapi.json",
            "--exclude-path", "/api/v1/stream", "--max-examples", "20", "--seed", "7", "--no-color",
            "--generation-database", "none", "--request-timeout", "20",
        ],
        capture_output=True, text=True, cwd=tmp_path, timeout=110,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stdout[-6000:] + asked.stderr[-2000:]
    assert "panicked" not in gateway.log()
    assert web.is_there() and gateway.stop() == 0

"""docs/http.md, docs/metrics.md and the Grafana dashboard say what the gateway answers."""

import json
import pathlib
import re

ROOT = pathlib.Path(__file__).parent.parent


def test_the_grafana_dashboard_asks_for_metrics_that_there_are():
    dashboard = json.loads((ROOT / "packaging/grafana/riser.json").read_text())
    documented = set(re.findall(r"^\| `(riser_\w+)`", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))
    asked = re.findall(r"riser_\w+", json.dumps(dashboard))
    assert len(asked) > 10 and set(asked) - documented == set()

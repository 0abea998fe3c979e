"""The page's API: devices, series, alerts, the ledger, the live stream, metrics; everything that is known, and no more."""

import json
import urllib.parse

import pytest

from gateway import HEALTH_EVERY_SECOND, config
from peers import free_port, wait_until
from readings import now_millis, rfc3339
from web import API, Stream, Web, http_table, quoted

DEVICES = """
[devices.lounge]
zone = "floor-1/lounge"
[devices.cellar]
address = "c-1"
zone = "cellar"
[alerts.hot]
metric = "temperature"
above = 30.0
severity = "critical"
"""


@pytest.fixture
def page(cloud, floor, received, riser, started):
    """A factory: a running gateway, and its page."""

    def run(more="", http="", **parts):
        def text(table):
            return config(cloud=cloud.port, floor=floor.port, more=table + DEVICES + more, **parts)

        table, web = http_table(more=http)
        web.gateway, web.text = riser(text(table)).start(), text
        web.wait()
        received.wait_online()
        return web

    return run


@pytest.fixture
def stream(started):
    """A factory of live streams."""
    return lambda web, *arguments, **options: started.keep(Stream(web, *arguments, **options))


def test_devices_have_names_zones_values_and_states(page, sensor):
    web = page()
    sensor.send_all(
        [
            ("sensors/lounge/telemetry", {"temperature": 21.5, "battery": 80, "linkquality": 120}),
            ("sensors/c-1/telemetry", {"temperature": 35.0}),
            ("sensors/made up/telemetry", {"humidity": 40}),
        ]
    )
    wait_until(lambda: web.get("/devices")["total"] == 3, what="three devices")
    found = {device["name"]: device for device in web.get("/devices")["devices"]}
    assert set(found) == {"lounge", "cellar", "made up"}
    lounge, cellar, other = found["lounge"], found["cellar"], found["made up"]
    assert lounge["zone"] == "floor-1/lounge" and lounge["named"] and lounge["state"] == "ok"
    assert lounge["metrics"]["temperature"]["value"] == 21.5 and lounge["protocol"] == "mqtt"
    assert lounge["battery"] == 80 and lounge["link"] == {"linkquality": 120}
    assert cellar["address"] == "c-1" and cellar["state"] == "alert" and cellar["severity"] == "critical"
    assert cellar["metrics"]["temperature"]["raised"] == "critical"
    assert not other["named"] and "zone" not in other

    def names(query):
        return [device["name"] for device in web.get(f"/devices?{query}")["devices"]]

    assert names("search=LOU") == ["lounge"] and names("search=floor-1") == ["lounge"]
    assert names("zone=cellar") == ["cellar"] and names("named=false") == ["made up"]
    assert names("state=alert") == ["cellar"] and names("protocol=coap") == []
    first = web.get("/devices?limit=2")
    assert len(first["devices"]) == 2 and first["total"] == 3
    assert names(f"limit=2&after={quoted(first['next'])}") == ["made up"]


def test_a_device_shows_its_rules_alerts_and_what_it_sent(page, sensor):
    web = page()
    sensor.send_all([("sensors/c-1/telemetry", {"temperature": 35.0}), ("sensors/c-1/telemetry", b"no json \x01")])
    web.gateway.wait_ledger(taken=2, bad_payload=1)
    wait_until(lambda: web.get("/devices")["total"] == 1, what="the device")
    device = web.get("/devices/cellar")
    assert [rule["name"] for rule in device["rules"]] == ["hot"]
    assert device["rules"][0]["text"] == "temperature above 30 (critical)"
    assert [alert["alert"] for alert in device["alerts"]] == ["hot"]
    bad, good = device["messages"]
    assert bytes.fromhex(good["payload_hex"]) == good["payload_text"].encode() == b'{"temperature": 35.0}'
    assert good["codec"] == "json" and good["metrics"] == {"temperature": 35.0} and "error" not in good
    assert "error" in bad and "payload_text" not in bad and bytes.fromhex(bad["payload_hex"]) == b"no json \x01"
    assert device["ledger"] == {"received": 2, "refused": {"bad_payload": 1}}
    missing = web.ask(f"{API}/devices/nobody")
    assert missing.status == 404 and missing.headers["Content-Type"] == "application/problem+json"
    assert missing.json["status"] == 404 and "nobody" in missing.json["detail"]


def test_history_has_windows_with_gaps_and_the_last_minutes_as_values(page, sensor):
    web = page(more='[history]\nkeep = "30d"\n')
    start = now_millis() // 60_000 * 60_000 - 600_000
    rows = [
        ("sensors/lounge/telemetry", {"temperature": 20 + i % 2, "ts": start + i * 250})
        for i in [*range(0, 40), *range(80, 120)]
    ]
    sensor.send_all(rows)
    query = f"metric=temperature&from={start}&to={rfc3339(start + 60_000)}"

    def points():
        return web.get(f"/devices/lounge/history?{query}&points=60")

    web.gateway.wait_ledger(taken=len(rows), published=len(rows))
    wait_until(lambda: sum(point["count"] for point in points()["points"]) == len(rows), 20.0, "all windows")
    series = points()
    assert series["device"] == "lounge" and series["metric"] == "temperature"
    for point in series["points"]:
        assert point["min"] <= point["avg"] <= point["max"] and point["count"] >= 1
        assert not rfc3339(start + 10_000) <= point["start"] < rfc3339(start + 20_000), "there is a gap"
    assert series["source"] == "windows" and sum(point["count"] for point in series["points"]) == len(rows)
    now = now_millis()
    sensor.send_all([("sensors/lounge/telemetry", {"temperature": 25.5})])

    def recent():
        return web.get(f"/devices/lounge/history?metric=temperature&from={now}")

    wait_until(lambda: recent()["points"], what="the value of now")
    assert recent()["source"] == "recent" and recent()["points"][-1]["avg"] == 25.5


def test_alerts_are_open_then_past_and_anomalies_can_be_acknowledged(page, sensor):
    web = page(more='[history]\nkeep = "30d"\n')
    sensor.send_all([("sensors/lounge/telemetry", {"temperature": 35.0})])
    wait_until(lambda: web.get("/alerts")["alerts"], what="an open alert")
    (alert,) = web.get("/alerts?state=open")["alerts"]
    assert alert["alert"] == "hot" and alert["device"] == "lounge" and alert["state"] == "raised"
    assert alert["value"] == 35.0 and alert["message"] == "temperature 35 is above 30" and not alert["can_acknowledge"]
    refused = web.post("/alerts/acknowledge", {"device": "lounge", "for": "1h"}).json
    assert [other["alert"] for other in refused["others"]] == ["hot"] and refused["acknowledged"] == []
    sensor.send_all([("sensors/lounge/telemetry", {"temperature": 20.0})])
    wait_until(lambda: not web.get("/alerts")["alerts"], what="no open alert")
    wait_until(lambda: web.get("/alerts?state=past")["alerts"], 30.0, "a past alert")
    (past,) = web.get("/alerts?state=all&device=lounge")["alerts"]
    assert past["id"] == alert["id"] and past["state"] == "cleared" and past["cleared"] >= past["time"]
    assert web.get("/alerts?state=past&device=cellar")["alerts"] == []
    assert web.post("/alerts/acknowledge", {"device": "nobody"}).status == 404
    assert web.post("/alerts/acknowledge", {"device": "lounge", "for": "soon"}).status == 400


def test_the_ledger_and_the_overview_say_where_every_reading_is(page, sensor):
    web = page(gateway=HEALTH_EVERY_SECOND)
    sensor.send_all([("sensors/lounge/telemetry", {"temperature": 20.0}), ("sensors/lounge/telemetry", b"{")])
    web.gateway.wait_ledger(taken=2, published=1)
    ledger = web.get("/ledger")
    audit = web.gateway.audit()
    for key in ("in", "published", "queued", "open", "dropped", "balanced", "adapters", "sinks"):
        assert ledger[key] == audit[key], key
    wait_until(lambda: web.get("/overview")["ledger"]["in"] == 2, what="the overview's ledger")
    overview = web.get("/overview")
    assert overview["well"] and overview["upstream"]["connected"] and overview["gateway"]["id"] == "hq-north"
    assert overview["adapters"]["mqtt.floor"]["state"] == "up" and overview["sinks"]["mqtt.upstream"]["delivered"] >= 1
    assert overview["counts"]["devices"] == 1 and overview["zones"] == ["floor-1/lounge"]


def test_the_stream_tells_values_and_alerts_and_goes_on_where_it_was(page, sensor, stream):
    web = page()
    live = stream(web)
    live.wait("hello")
    sensor.send_all([("sensors/lounge/telemetry", {"temperature": 20.25})])
    values = live.wait("devices", lambda data: data["devices"][0]["name"] == "lounge")
    assert values["devices"][0]["metrics"]["temperature"]["value"] == 20.25
    live.wait("overview")
    last = live.last_id()
    live.close()
    sensor.send_all([("sensors/lounge/telemetry", {"temperature": 33.0})])
    wait_until(lambda: web.get("/alerts")["alerts"], what="an alert while nobody follows")
    again = stream(web, last=last)
    alert = again.wait("alert")
    assert alert["alert"] == "hot" and alert["value"] == 33.0
    assert again.of("reset") == []
    numbers = [int(number.split("-")[1]) for _, number, _ in again.events if number]
    assert numbers[0] == int(last.split("-")[1]) + 1 and numbers == sorted(numbers)
    stream(web, last="0-7").wait("reset")
    one = stream(web, "?devices=cellar")
    sensor.send_all([("sensors/lounge/telemetry", {"temperature": 20.0}), ("sensors/c-1/telemetry", {"temperature": 18.0})])
    one.wait("devices", lambda data: data["devices"][0]["name"] == "cellar")
    assert all(device["name"] == "cellar" for data in one.of("devices") for device in data["devices"])


def test_metrics_are_openmetrics_with_the_documented_names(page, sensor):
    web = page()
    sensor.send_all([("sensors/lounge/telemetry", {"temperature": 20.0}), ("sensors/lounge/telemetry", b"{")])
    web.gateway.wait_ledger(taken=2, published=1)

    def text():
        answer = web.ask("/metrics")
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        return answer.body.decode()

    wait_until(lambda: 'riser_readings_total{adapter="mqtt.floor"} 2\n' in text(), what=text)
    metrics = text()
    assert metrics.endswith("# EOF\n")
    assert 'riser_readings_dropped_total{adapter="mqtt.floor",reason="bad_payload"} 1\n' in metrics
    assert 'riser_adapter_up{adapter="mqtt.floor"} 1\n' in metrics and "riser_upstream_connected 1\n" in metrics
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    names = {family.name for family in text_string_to_metric_families(metrics)}
    assert {"riser_readings", "riser_devices", "riser_alerts_open"} <= names


def test_a_change_of_http_takes_effect_with_a_reload(page, sensor):
    web = page()
    old, new = web.port, free_port()
    web.gateway.rewrite(f"127.0.0.1:{old}", f"127.0.0.1:{new}")
    web.gateway.rewrite('zone = "cellar"', 'zone = "basement"')
    web.gateway.reload()
    moved = Web(new).wait()
    wait_until(lambda: not web.is_there(), what="the old address to be closed")
    sensor.send_all([("sensors/c-1/telemetry", {"temperature": 20.0})])
    wait_until(lambda: moved.get("/devices?zone=basement")["total"] == 1, what="a device in its new zone")
    web.gateway.write(web.text(""))
    web.gateway.reload()
    wait_until(lambda: not moved.is_there(), what="the page to be gone")
    web.gateway.audit()


def test_setup_shows_the_configuration_without_secrets_and_checks_another(page, sensor):
    web = page(upstream='username = "hq"\npassword = "geheim-1234"')
    shown = web.get("/config")
    assert "geheim-1234" not in json.dumps(shown) and 'password = "***"' in shown["toml"]
    assert shown["file"] == str(web.gateway.config)
    wrong = web.post("/config/check", "[adapters.mqtt.floor]\ntopcs = []\n", headers={"Content-Type": "text/plain"}).json
    (finding,) = [finding for finding in wrong["findings"] if finding["key"].endswith("topcs")]
    assert finding["severity"] == "error" and finding["line"] == 2 and 'did you mean "topics"?' in finding["message"]
    assert web.post("/config/check", "x = 1").status == 415
    decoded = web.post("/decode", {"codec": "cayenne-lpp", "bytes": "036700dc"}).json
    assert decoded["metrics"] == {"temperature_3": 22} and decoded["errors"] == []
    assert "cayenne-lpp" in web.get("/codecs")["codecs"]
    assert web.post("/decode", {"codec": "/etc/passwd", "bytes": "00"}).status == 404


def test_an_answer_that_is_known_already_is_not_sent_again(page, sensor):
    web = page()
    sensor.send_all([("sensors/lounge/telemetry", {"temperature": 20.0})])
    wait_until(lambda: web.get("/devices")["total"] == 1, what="a device")
    first = web.ask(f"{API}/devices")
    again = web.ask(f"{API}/devices", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status == 304 and again.body == b""


def test_the_page_is_compressed_for_browsers_that_take_that(page):
    web = page()
    for accepts, coding in [("gzip, br", "gzip"), ("gzip;q=0", None), ("identity", None), ("*", "gzip")]:
        answer = web.ask("/assets/app.js", headers={"Accept-Encoding": accepts})
        assert answer.headers["Content-Encoding"] == coding, accepts


def test_devices_of_any_name_are_reached_by_a_query(page, sensor):
    web = page(more="[history]\n")
    names = [".", "..", "a b", "ü?&=", "%2e%2e"]
    sensor.send_all([(f"sensors/{name}/telemetry", {"temperature": 20.0}) for name in names])
    wait_until(lambda: web.get("/devices")["total"] == len(names), what="devices")
    for name in names:
        assert web.get(f"/device?name={quoted(name)}")["name"] == name
        series = lambda: web.get(f"/device/history?name={quoted(name)}&metric=temperature")
        wait_until(lambda: series()["points"], what="its value among those of the last minutes")
        assert series()["device"] == name and series()["points"][0]["avg"] == 20.0
    assert web.ask(f"{API}/device?name=nobody").status == 404
    assert web.ask(f"{API}/device").status == 400


def test_an_alert_has_the_limit_that_was_passed(page, sensor, stream):
    web = page(more="[history]\n[alerts.cold]\nmetric = \"temperature\"\nbelow = 5.0\nabove = 60.0\n")
    live = stream(web)
    live.wait("overview")
    now = now_millis()
    send = lambda value, at: sensor.send_all([("sensors/lounge/telemetry", {"temperature": value, "time": rfc3339(at)})])
    send(20.0, now - 2000)
    send(31.5, now - 1900)
    open_one = lambda: web.get("/alerts")["alerts"]
    wait_until(lambda: len(open_one()) == 1, what="an open alert")
    assert open_one()[0]["limit"] == 30.0
    assert live.wait("alert", lambda alert: alert["state"] == "raised")["limit"] == 30.0
    send(2.5, now - 1000)
    wait_until(lambda: [alert["alert"] for alert in open_one()] == ["cold"], what="the other alert")
    assert open_one()[0]["limit"] == 5.0
    web.gateway.stop()
    web.gateway.start()
    web.wait()
    wait_until(lambda: len(open_one()) == 1, what="the alert after a restart")
    assert open_one()[0]["limit"] == 5.0
    past = web.get("/alerts?state=past")["alerts"]
    assert [(alert["alert"], alert["limit"]) for alert in past] == [("hot", 30.0)]


def test_readiness_follows_the_adapters(riser):
    table, web = http_table()
    gateway = riser(config(floor=free_port(), more=table)).start()
    web.wait()
    not_ready = web.ask("/readyz")
    assert not_ready.status == 503 and not_ready.body == b"mqtt.floor\n"
    assert web.ask("/healthz").status == 200
    overview = web.get("/overview")
    assert not overview["well"] and overview["upstream"] is None
    gateway.stop()


def test_paths_that_are_not_there_are_problems_and_views_are_the_page(page):
    web = page()
    for path, status in [("/api/v1/nothing", 404), ("/api/v1/devices?colour=red", 400), ("/missing.js", 404)]:
        answer = web.ask(path)
        assert answer.status == status and answer.headers["Content-Type"] == "application/problem+json", path
    for path in ("/", "/alerts", f"{API}/devices"):
        answer = web.ask(path, "DELETE")
        assert answer.status == 405 and answer.json["status"] == 405, path
        assert set(answer.headers["Allow"].split(",")) == {"GET", "HEAD"}, path
    for path in ("/", "/device/lounge", "/device/hall.temperature", "/device?name=..", "/alerts"):
        answer = web.ask(path)
        assert answer.status == 200 and answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert urllib.parse.urlparse(web.get("/openapi.json")["openapi"]).path.startswith("3.1")

"""`riser acknowledge`: an acknowledged anomaly is cleared and not reported again, also after a crash."""

import json

from gateway import config
from peers import wait_until
from readings import now_millis, rfc3339

MINUTE = 60_000
DAY = 24 * 60 * MINUTE

RULE = '[alerts.damp]\nmetric = "humidity"\nabove = 90.0\n'


class Sensor:
    """A thermometer that has kept its readings, and sends them with their times."""

    def __init__(self, sensor, device="lounge"):
        self.sensor, self.topic = sensor, f"sensors/{device}/telemetry"
        # From midnight on, so that every run sees the same days.
        self.at = now_millis() // DAY * DAY - 4 * DAY

    def publish(self, value, minutes=1):
        """A reading a minute."""
        rows = []
        for _ in range(minutes):
            self.at += MINUTE
            rows.append((self.topic, {"temperature": value(self.at) if callable(value) else value, "ts": self.at}))
        self.sensor.send_all(rows)


# What an unplugged sensor shows, which is as odd the second time as the first.
BROKEN = 85.0


def ordinary(at):
    """20 to 22 °C over the day, with a last digit that is never at rest."""
    minute = at // MINUTE
    day = abs(minute % 1440 - 720) / 720
    return round(20.2 + 1.6 * day + (minute * 7919 % 11 - 5) * 0.02, 2)


def acknowledge(gateway, *arguments, check=0):
    return gateway.cli("acknowledge", *arguments, "--config", gateway.config, check=check)


def raised(gateway):
    return [json.loads(line) for line in acknowledge(gateway, "--json").stdout.splitlines()]


def reported(received, device="lounge"):
    """What was said of a device; a crash may say it twice, with the same id."""
    return list({a["id"]: (a["kind"], a["state"]) for a in received.alerts(device)}.values())


def test_an_acknowledged_anomaly_is_cleared_and_not_reported_again_even_after_a_crash(cloud, floor, sensor, received, riser):
    text = config(
        cloud=cloud.port,
        floor=floor.port,
        aggregate='window = "1h"\nlateness = "10s"',
        anomaly='enabled = true\nhold = "0s"',
        more=RULE,
    )
    gateway = riser(text).start()
    received.wait_online()
    assert acknowledge(gateway).stdout == "nothing is raised\n"
    lounge, hall = Sensor(sensor), Sensor(sensor, "hall")
    lounge.publish(ordinary, 3 * 1440)
    hall.publish(ordinary, 3 * 1440)
    taken = 2 * 3 * 1440
    gateway.wait_ledger(taken=taken, timeout=90)
    assert reported(received) == reported(received, "hall") == [], received.alerts()

    for device in (lounge, hall):
        device.publish(BROKEN)
    since = rfc3339(lounge.at)
    received.wait_for(lambda: reported(received) and reported(received, "hall"), 15, "the anomalies")
    alert = received.alerts("lounge")[0]
    assert (alert["kind"], alert["state"], alert["value"], alert["since"]) == ("anomaly", "raised", BROKEN, since)
    assert alert["score"] >= 0.5 and alert["detector"] in alert["message"]
    low, high = alert["expected"]
    assert low < 21 < high < BROKEN

    sensor.send("sensors/cellar/telemetry", {"humidity": 95.0})
    received.wait_for(lambda: reported(received, "cellar"), 15, "the damp cellar")
    rows = {row["device"]: row for row in raised(gateway)}
    assert {d: (r["alert"], r["kind"], r["metric"]) for d, r in rows.items()} == {
        "lounge": ("anomaly", "anomaly", "temperature"),
        "hall": ("anomaly", "anomaly", "temperature"),
        "cellar": ("damp", "threshold", "humidity"),
    }
    assert rows["lounge"]["detector"] == alert["detector"] and rows["lounge"]["since"] == since
    assert {"lounge", "temperature", since} <= set(acknowledge(gateway).stdout.split())

    stays = acknowledge(gateway, "cellar").stdout
    assert "no anomaly is raised for cellar" in stays and "stays raised: cellar humidity, damp" in stays
    done = acknowledge(gateway, "lounge", "temperature", "--for", "60d").stdout
    assert done.startswith(f"acknowledged: lounge temperature, anomaly since {since}; no new alert for 60d")
    received.wait_for(lambda: len(reported(received)) == 2, 15, "the alert cleared")
    cleared = received.alerts("lounge")[1]
    assert (cleared["state"], cleared["since"]) == ("cleared", since)
    assert cleared["message"] == "acknowledged; no new alert for 60d unless it gets clearly worse"
    assert {row["device"] for row in raised(gateway)} == {"cellar", "hall"}
    assert "no anomaly is raised for lounge temperature" in acknowledge(gateway, "lounge", "temperature").stdout

    gateway.kill()
    gateway.start()
    wait_until(lambda: "cellar" in listed_when_running(gateway), 30, "the gateway's socket")

    # The hall's anomaly, with the same values, is not acknowledged: it is reported each time, since `hold` is off.
    for device in (lounge, hall):
        device.publish(ordinary, 600)
    received.wait_for(lambda: len(reported(received, "hall")) == 2, 15, "the end of the hall's anomaly")
    for device in (lounge, hall):
        device.publish(BROKEN, 5)
    received.wait_for(lambda: len(reported(received, "hall")) == 3, 15, "the hall's second anomaly")
    gateway.wait_ledger(taken=taken + 2 * 606 + 1)
    assert {row["device"] for row in raised(gateway)} == {"cellar", "hall"}
    assert reported(received) == [("anomaly", "raised"), ("anomaly", "cleared")]


def listed_when_running(gateway):
    done = gateway.cli("acknowledge", "--config", gateway.config)
    assert done.returncode in (0, 69)
    return done.stdout


def test_what_cannot_be_acknowledged_is_said(cloud, floor, sensor, received, riser):
    gateway = riser(config(cloud=cloud.port, floor=floor.port))
    assert "no gateway runs" in acknowledge(gateway, check=69).stderr
    assert "no gateway runs" in acknowledge(gateway, "lounge", check=69).stderr
    gateway.start()
    received.wait_online()
    assert "no device is called `attic`" in acknowledge(gateway, "attic", check=64).stderr
    sensor.send("sensors/attic/telemetry", {"temperature": 20.0})
    gateway.wait_ledger(taken=1)
    assert "no metric is called `co2`" in acknowledge(gateway, "attic", "co2", check=64).stderr
    assert "no anomaly is raised for attic" in acknowledge(gateway, "attic").stdout
    assert "--for must be longer than 0" in acknowledge(gateway, "attic", "--for", "0s", check=64).stderr
    assert acknowledge(gateway, "attic", "--for", "soon", check=64).stderr

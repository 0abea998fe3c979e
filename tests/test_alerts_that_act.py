"""Alerts that act: states and expressions, what is told when, and what is done in the building on raise and on clear."""

from gateway import config
from peers import wait_until
from readings import now_millis
from test_alerts import SLOW_WINDOWS, publish, states

VENTILATION = """
[devices.lounge]
zone = "floor-1/lounge"
[alerts.stuffy]
metric = "co2"
above = 1000.0
clear_by = 200.0
actions = [
  { adapter = "mqtt.floor", topic = "ventilation/{device}/set", payload = '{"mode":"high","co2":{value},"in":"{zone}"}' },
  { adapter = "mqtt.floor", topic = "ventilation/{device}/set", payload = '{"mode":"normal","why":"{state}"}', on = "cleared" },
]
"""


def bodies(collected):
    return [message.body for message in collected.messages]


def test_ventilation_follows_co2_while_the_cloud_is_away_and_the_gateway_is_killed(cloud, floor, sensor, riser, received, collector):
    gateway = riser(config(cloud=cloud.port, floor=floor.port, aggregate=SLOW_WINDOWS, more=VENTILATION))
    gateway.start()
    received.wait_online()
    commands = collector(floor, "ventilation/#")
    cloud.stop()
    publish(sensor, "lounge", co2=1200.5)
    wait_until(lambda: commands.messages, 5)
    assert bodies(commands) == [{"mode": "high", "co2": 1200.5, "in": "floor-1/lounge"}]
    gateway.wait_ledger(taken=1)
    gateway.kill()
    gateway.start()
    gateway.wait_log("state brought back")
    wait_until(lambda: gateway.log().count("connected and subscribed") == 2)
    publish(sensor, "lounge", co2=900.0)
    gateway.wait_ledger(taken=2)
    publish(sensor, "lounge", co2=790.0)
    wait_until(lambda: len(commands.messages) == 2, 5)
    assert bodies(commands)[1] == {"mode": "normal", "why": "cleared"}
    assert {message.topic for message in commands.messages} == {"ventilation/lounge/set"}
    cloud.start()
    received.wait_for(lambda: states(received) == ["raised", "cleared"], 20, "both alerts")
    assert [alert.get("limit") for alert in received.alerts()] == [1000.0, 1000.0]


def test_an_expression_over_several_metrics_raises_and_clears(main_job, sensor, received):
    main_job(
        aggregate=SLOW_WINDOWS,
        more='[alerts.busy]\nwhen = "co2 > 1000 && occupancy == 1"\nseverity = "info"\n[alerts.open]\nmetric = "contact"\nequals = true\n',
    )
    publish(sensor, "lounge", co2=1200, occupancy=False)
    publish(sensor, "lounge", occupancy=True, contact=True)
    received.wait_for(lambda: len(received.alerts()) == 2, 5, "the alerts")
    by_name = {alert["alert"]: alert for alert in received.alerts()}
    assert by_name["busy"]["message"] == "co2 1200, occupancy 1: co2 > 1000 && occupancy == 1"
    assert by_name["busy"]["kind"] == "threshold" and "metric" not in by_name["busy"]
    assert (by_name["open"]["message"], by_name["open"]["limit"]) == ("contact is 1", 1)
    publish(sensor, "lounge", occupancy=False, contact=False)
    received.wait_for(lambda: len(received.alerts()) == 4, 5, "the end of both")
    assert sorted(alert["state"] for alert in received.alerts()) == ["cleared", "cleared", "raised", "raised"]


def test_an_action_that_fails_is_done_once_its_broker_is_back(main_job, cloud, floor, riser, publisher, received, collector):
    """The sensors are at the cloud's broker here, so that the floor's can be away."""
    gateway = main_job(
        more='[alerts.hot]\nmetric = "temperature"\nabove = 40.0\n'
        f'[adapters.mqtt.cloud]\nurl = "mqtt://127.0.0.1:{cloud.port}"\ntopics = [{{ filter = "s/{{device}}", format = "json" }}]\n'
        '[[alerts.hot.actions]]\nadapter = "mqtt.floor"\ntopic = "fan"\npayload = "{state}"\non = "both"\n',
    )
    floor.stop()
    gateway.wait_log("mqtt.floor")
    sensor = publisher(port=cloud.port)
    sensor.send("s/lounge", {"temperature": 41.0, "ts": now_millis()})
    gateway.wait_log("action failed, tried again in")
    floor.start()
    fan = collector(floor, "fan")
    wait_until(lambda: [message.raw for message in fan.messages] == [b"raised"], 30)


def test_check_names_what_is_wrong_with_a_rule(riser):
    gateway = riser('[alerts.a]\nwhen = "co2 > "\n[alerts.b]\nmetric = "t"\nabove = 1.0\nbetween = "Mon-Fri"\n'
                    '[alerts.c]\nmetric = "t"\nabove = 1.0\nbelow = 2.0\n[alerts.d]\nsilent_for = "soon"\n')
    out = gateway.cli("check", check=78).stdout
    assert 'gateway.toml:2:1: error: alerts.a.when: at character 7: it ends here; expected a metric, a number or `(`' in out
    assert "gateway.toml:6:1: error: alerts.b.between: days without times at the end; hours look like" in out
    assert "warning: alerts.c.above: lies under `below`" in out
    assert 'alerts.d.silent_for' in out and '"auto"' in out

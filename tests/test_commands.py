"""Commands from the cloud: to a device that allows them, once, answered, and refused with a reason."""

import pytest

from gateway import ID
from peers import wait_until
from test_alerts import publish

COMMANDS = f"building/gateways/{ID}/commands"
RESPONSES = f"building/gateways/{ID}/responses"
VALVE = """
[devices.valve]
address = "kitchen/valve"
commands = ["state", "setpoint"]
command_limits = { setpoint = { min = 5, max = 30 } }
"""


@pytest.fixture
def valve(main_job, cloud, floor, publisher, collector, received):
    """A gateway with a Zigbee valve; what the valve is sent; a cloud that commands."""
    gateway = main_job(more=VALVE)
    sent = collector(floor, "zigbee2mqtt/#")
    hq = publisher(port=cloud.port)

    def command(device="valve", **body):
        hq.send(f"{COMMANDS}/{device}", body)

    def answers(count, device="valve"):
        received.wait_for(lambda: len(received.on(f"{RESPONSES}/{device}")) >= count, 10, f"{count} answers")
        return received.on(f"{RESPONSES}/{device}")

    return gateway, sent, command, answers


def test_a_command_reaches_its_zigbee_device_once_and_is_answered(valve):
    gateway, sent, command, answers = valve
    command(id="a1", command={"state": "ON", "setpoint": 21.5}, expires="2099-01-01T00:00:00Z")
    assert answers(1) == [{"id": "a1", "status": "done"}]
    command(id="a1", command={"state": "ON", "setpoint": 21.5})
    assert answers(2)[1] == {"id": "a1", "status": "done"}, "answered again, and not done again"
    command(id="a2", command={"state": "OFF"})
    answers(3)
    wait_until(lambda: len(sent.messages) == 2, 5)
    assert [(m.topic, m.body) for m in sent.messages] == [
        ("zigbee2mqtt/kitchen/valve/set", {"state": "ON", "setpoint": 21.5}),
        ("zigbee2mqtt/kitchen/valve/set", {"state": "OFF"}),
    ]


def test_what_is_not_allowed_is_refused_with_a_reason(valve):
    gateway, sent, command, answers = valve
    command(id="b1", command={"reset": True})
    command(id="b2", command={"setpoint": 40})
    command(id="b3", command={"state": "ON"}, expires="2020-01-01T00:00:00Z")
    command(command={"state": "ON"})
    refused = answers(4)
    assert [(one.get("id"), one["status"]) for one in refused] == [
        ("b1", "refused"), ("b2", "refused"), ("b3", "expired"), (None, "refused"),
    ]
    assert "devices.valve.commands" in refused[0]["reason"] and "5 to 30" in refused[1]["reason"]
    command("pump", id="b5", command={"state": "ON"})
    assert "no [devices.*] is called `pump`" in answers(1, "pump")[0]["reason"]
    assert sent.messages == []


def test_a_storm_of_commands_is_refused_and_harms_nothing(valve, sensor):
    gateway, sent, command, answers = valve
    for number in range(2000):
        command(id=f"c{number}", command={"state": "ON"})
    publish(sensor, "lounge", temperature=21.0)
    gateway.wait_ledger(taken=1)
    answered = answers(60)
    assert any(one["status"] == "done" for one in answered)
    assert any(one["status"] == "refused" and "too many commands" in one["reason"] for one in answered)
    assert len(sent.messages) < 500
    wait_until(lambda: commanded_again(command, answers), 30)


def commanded_again(command, answers):
    command(id="after", command={"state": "OFF"})
    return any(one.get("id") == "after" and one["status"] == "done" for one in answers(1))


def test_a_reload_changes_what_is_allowed(valve):
    gateway, sent, command, answers = valve
    gateway.rewrite('commands = ["state", "setpoint"]', 'commands = ["brightness"]')
    gateway.reload()
    gateway.wait_log("the new configuration is in force")
    command(id="d1", command={"state": "ON"})
    command(id="d2", command={"brightness": 100})
    assert [one["status"] for one in answers(2)] == ["refused", "done"]
    wait_until(lambda: [message.body for message in sent.messages] == [{"brightness": 100}], 5)

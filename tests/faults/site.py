"""A gateway on a disk that can be broken, with all that a test wants to know of it."""

import re

from gateway import ID
from peers import wait_until
from readings import Sent, counted

STATUS = f"building/gateways/{ID}/status"
HEALTH = f"building/gateways/{ID}/health"
# No topic that the gateway itself listens to: what it hears of its own would be one more message to acknowledge.
ACTION = "actions/fan"
ALERT = f"""[alerts.hot]
metric = "temperature"
above = 40.0
actions = [ {{ adapter = "mqtt.floor", topic = "{ACTION}", payload = "on" }} ]
"""

# What the disk does -> what must be reported, in the kernel's words or SQLite's (the history).
REFUSALS = {
    "full": "No space left|disk is full",
    "fail_writes": "Input/output error|disk I/O error",
    "fail_syncs": "Input/output error|disk I/O error",
    "read_only": "Read-only|readonly|disk I/O error",
}


class Site:
    """A gateway on a disk that can be broken, between a floor and the cloud, and the readings that it was sent."""

    def __init__(self, gateway, disk, floor, sensor, received, actions):
        self.gateway, self.disk, self.floor, self.sensor, self.received = gateway, disk, floor, sensor, received
        self.sent = Sent(ID)
        self._actions = actions

    def start(self):
        # Of a run before, the last that is received is `offline`, of the gateway's own or by its will.
        self.received.wait_for(lambda: self.received.statuses()[-1:] in ([], ["offline"]), 15, "offline")
        said = len(self.received.statuses())
        self.gateway.start()
        self.received.wait_for(lambda: "online" in self.received.statuses()[said:], 20, "online")

    def send(self, seconds=5):
        self.sensor.send_all(self.sent.more(seconds))

    def send_and_wait(self):
        """Readings that go all the way, so that what follows meets a gateway at work."""
        self.send()
        self.everything_arrives()
        self.all_acknowledged()

    def fire(self):
        """A hot reading; its alert's action comes back although the disk is broken."""
        boiler, actions = f"boiler-{len(self.sent.windows)}", len(self._actions.messages)
        self.sensor.send_all(self.sent.more(1, [boiler], value=60.0))
        self._actions.wait_for(lambda: len(self._actions.messages) > actions, 5, "the alert's action")

    def is_hit(self, times=1):
        wait_until(lambda: self.disk.hits >= times, what="calls that the disk refuses or holds up")

    def unacknowledged(self):
        """Readings (each is a message) whose PUBACK the floor's broker waits for."""
        client = f"riser-{ID}-floor"
        connection = self.floor.log().rpartition(f" as {client} (")[2]
        return connection.count(f"Sending PUBLISH to {client} ") - connection.count(f"Received PUBACK from {client} ")

    def all_acknowledged(self):
        wait_until(lambda: self.unacknowledged() == 0, what="all PUBACKs")

    def problems(self):
        return next((status.get("problems", []) for status in reversed(self.received.on(STATUS))), [])

    def reports(self, part, words):
        """A problem of this part of the store, in these words, in the status and in the log."""

        def reported():
            return [p for p in self.problems() if p.startswith(part) and re.search(words, p)]

        wait_until(reported, 30, lambda: f"a problem of {part or 'the disk'}: {words}; reported: {self.problems()}")
        assert re.search(words, self.gateway.log())

    def audit(self):
        """The ledger balances, and is printed although the disk hangs: one that waited for the disk would never come."""
        return self.gateway.audit()

    def everything_arrives(self, timeout=20):
        what = f"{self.sent.total} readings"
        arrived = lambda: counted(self.received)
        try:
            self.received.wait_for(lambda: arrived() >= self.sent.total, timeout, what, arrived)
        except AssertionError as late:
            raise AssertionError(f"{arrived()} of {what} arrived; ledger: {self.audit()}") from late
        ledger = self.gateway.wait_ledger(timeout, published=self.sent.total, queued=0, open=0)
        # After a crash the broker sends again what it has no PUBACK for.
        assert all(n == 0 or reason == "duplicate" for reason, n in ledger["dropped"].items()), ledger
        self.sent.assert_arrived(self.received)

    def is_well(self):
        wait_until(lambda: not self.problems(), 60, lambda: f"no problems, not {self.problems()}")

    def loses_power(self):
        """What no sync has covered is gone; the disk works again."""
        self.gateway.kill()
        self.disk.heal()
        self.disk.cut_power()

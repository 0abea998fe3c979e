"""The schedule of faults: drawn from the seed before the run starts, so that the seed determines the whole plan."""

import random
from dataclasses import dataclass

PROXIES = ("floor5", "floor4", "local", "upstream")
BROKERS = ("floor", "cloud")
GATEWAY_FAULTS = ("kill", "freeze and kill", "terminate and kill", "terminate", "freeze", "reload")


@dataclass(frozen=True, order=True)
class Fault:
    at: float
    """Seconds since the run began."""
    target: str
    what: str
    lasts: float = 0.0
    """Seconds until it is undone: started again, thawed, closed."""
    detail: str = ""

    def __str__(self):
        lasts = f" for {self.lasts:.1f} s" if self.lasts else ""
        return f"{self.at:7.2f} {self.target}: {self.what} {self.detail}{lasts}"


class Schedule:
    """The plan of one run with so many SIGKILLs of the gateway. Faults of one target never overlap, others do."""

    def __init__(self, seed, kills):
        self.seed, self.kills = seed, kills
        chance = random.Random(seed)
        self.journal = f'sync_every = "{chance.choice(("0s", "100ms", "1s"))}"'
        self.upstream_protocol = chance.choice(("5", "3.1.1"))
        # What the floor's broker lets be under way unacknowledged: mosquitto's default, and no limit.
        self.floor_in_flight = chance.choice((20, 0))
        faults = _gateway(chance, kills)
        self.length = faults[-1].at + faults[-1].lasts
        for broker in BROKERS:
            faults += _others(chance, self.length, broker, _broker_fault, (4, 14))
        for proxy in PROXIES:
            faults += _others(chance, self.length, proxy, _line_fault, (1, 8))
        faults += _others(chance, self.length, "audit", lambda _: ("run", 0.0, ""), (3, 8))
        self.faults = sorted(faults)

    def __str__(self):
        head = f"seed {self.seed}, {self.kills} kills, [journal] {self.journal}, upstream MQTT {self.upstream_protocol}"
        return "\n".join([f"{head}, floor's max_inflight_messages {self.floor_in_flight}", *map(str, self.faults)])


def _gateway(chance, kills):
    faults, now = [], 2.0
    while kills:
        what = chance.choices(GATEWAY_FAULTS, (12, 2, 2, 2, 3, 2))[0]
        lasts, detail = 0.0, ""
        if what == "kill":
            # Half of them at a moment that matters: right after a packet that the gateway has sent or was sent.
            packet = f"{chance.choice(('PUBLISH', 'PUBACK'))} on {chance.choice(PROXIES)}"
            detail = chance.choice(("at once", packet))
        if what in ("kill", "terminate"):
            lasts = chance.choice((0.0, chance.uniform(0.0, 2.0)))
        elif what == "terminate and kill":
            lasts = chance.uniform(0.0, 0.4)
        elif "freeze" in what:
            lasts = chance.choice((chance.uniform(0.1, 2.0), chance.uniform(2.0, 7.0)))
        faults.append(Fault(now, "gateway", what, lasts, detail))
        kills -= "kill" in what
        # Now and then during the start; mostly when readings flow again.
        now += lasts + chance.choice((chance.uniform(0.02, 1.0), chance.uniform(1.0, 7.0)))
    return faults


def _others(chance, length, target, draw, pause):
    faults, now = [], chance.uniform(*pause)
    while now < length:
        what, lasts, detail = draw(chance)
        faults.append(Fault(now, target, what, lasts, detail))
        now += lasts + chance.uniform(*pause)
    return faults


def _broker_fault(chance):
    if chance.random() < 0.5:
        return "kill", chance.choice((0.0, chance.uniform(0.0, 3.0))), ""
    return "freeze", chance.uniform(0.1, 6.0), ""


def _line_fault(chance):
    what = chance.choices(("cut", "silence", "hole"), (6, 2, 1))[0]
    if what == "cut":
        return what, 0.0, chance.choice(("now", "after-publish", "in-publish", "before-puback", "before-puback"))
    if what == "silence":
        return what, 0.0, chance.choice(("up", "down", "both"))
    return what, chance.uniform(0.5, 5.0), ""

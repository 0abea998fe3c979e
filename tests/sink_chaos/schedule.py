"""The schedule of faults: drawn from the seed before the run starts, so that the seed determines the whole plan."""

import random
import zlib
from dataclasses import dataclass

# How often each fault comes, against the others of a server.
FAULTS = {
    "kill": 3,
    "cut": 2,
    "refuse": 2,
    "hang": 2,
    "hole": 1,
    "slow": 2,
    "answer": 4,
    "request": 2,
    "login": 2,
}
# A Kafka takes seconds and much of the processor to start.
RARER = {"kafka": {"kill": 1}}
FILE_FAULTS = {"full": 2, "broken": 1, "slow": 1}
# A kill at such a moment: the server has got the request, or has done it, and the other side does not know yet.
MOMENTS = ("at once", "answer", "request")
# Below this, a run is to be short: a connection that never comes back is noticed after 30 s only.
KILLS_FOR_HOLES = 20
# After so many kills the gateway runs for so long: a sink must also recover from what lasts without a start.
LIFE_EVERY, LIFE = 25, 60.0


@dataclass(frozen=True, order=True)
class Fault:
    at: float
    """Seconds since the run began."""
    target: str
    what: str
    lasts: float = 0.0
    detail: tuple = ()

    def __str__(self):
        lasts = f" for {self.lasts:.1f} s" if self.lasts else ""
        return f"{self.target}: {self.what} {' '.join(map(str, self.detail))}{lasts}"


class Schedule:
    """The plan of one run with so many SIGKILLs of the gateway. Faults of one target never overlap, others do."""

    def __init__(self, seed, kills, sinks):
        self.seed, self.kills, self.sinks = seed, kills, tuple(sinks)
        self.has_holes = kills >= KILLS_FOR_HOLES
        self.gateway = self._gateway()
        # The last faults come after the last kill: what they broke must heal without a start.
        self.length = self.gateway[-1].at + (LIFE if self.has_holes else 6.0)
        self.of = {sink: self._of_sink(sink) for sink in self.sinks}

    def _chance(self, name):
        # A sink has the same faults whichever others take part.
        return random.Random(self.seed << 32 | zlib.crc32(name.encode()))

    def __str__(self):
        every = sorted([*self.gateway, *(fault for faults in self.of.values() for fault in faults)])
        return "\n".join(f"{fault.at:8.2f} {fault}" for fault in every)

    def count(self):
        return len(self.gateway) + sum(map(len, self.of.values()))

    def _gateway(self):
        chance, faults, now = self._chance("gateway"), [], 2.0
        for number in range(1, self.kills + 1):
            moment = chance.choice(MOMENTS)
            detail = (moment,) if moment == "at once" else (moment, chance.random())
            lasts = chance.choice((0.0, chance.uniform(0.0, 2.0)))
            faults.append(Fault(now, "gateway", "kill", lasts, detail))
            # Now and then during the start; mostly when records flow again.
            now += lasts + chance.choice((chance.uniform(0.1, 1.0), chance.uniform(1.0, 6.0), chance.uniform(2.0, 8.0)))
            now += LIFE if number % LIFE_EVERY == 0 else 0.0
        return faults

    def _of_sink(self, sink):
        weights = FILE_FAULTS if sink == "file" else FAULTS | RARER.get(sink, {})
        if not self.has_holes:
            weights = {what: weight for what, weight in weights.items() if what != "hole"}
        chance, faults = self._chance(sink), []
        now = chance.uniform(0.5, 4.0)
        while now < self.length:
            (what,) = chance.choices(list(weights), list(weights.values()))
            lasts, detail = 0.0, ()
            if what != "cut":
                lasts = chance.choice((chance.uniform(0.1, 1.0), chance.uniform(1.0, 4.0)))
            if what in ("answer", "request"):
                detail = (chance.choice((0.0, 0.5, 0.9)), chance.randrange(6))
            faults.append(Fault(now, sink, what, lasts, detail))
            now += lasts + chance.uniform(0.5, 5.0)
        return faults

"""A Sparkplug host for the tests: reads payloads with Eclipse Tahu's protobuf classes, and checks what a host relies on."""

from dataclasses import dataclass

from tahu.sparkplug_b_pb2 import Payload

from gateway import ID

GROUP = "building"
NCMD = f"spBv1.0/{GROUP}/NCMD/{ID}"
INT64, DOUBLE, BOOLEAN, STRING, DATETIME = 4, 10, 11, 12, 13
FIELDS = {INT64: "long_value", DOUBLE: "double_value", BOOLEAN: "boolean_value", STRING: "string_value"}


@dataclass
class Event:
    """A message of the edge node: `device` is empty in those about the node itself."""

    kind: str
    device: str
    payload: Payload
    at: float

    @property
    def values(self):
        """Metrics by name; what is null is None."""
        return {metric.name: value(metric) for metric in self.payload.metrics}

    @property
    def historical(self):
        flags = {metric.is_historical for metric in self.payload.metrics}
        assert len(flags) == 1, "some metrics are historical and some are not"
        return flags == {True}

    def __str__(self):
        return f"{self.kind}/{self.device} {self.payload.seq}"


def value(metric):
    if metric.is_null:
        return None
    return getattr(metric, FIELDS.get(metric.datatype, "long_value"))


def rebirth():
    payload = Payload()
    metric = payload.metrics.add()
    metric.name, metric.datatype, metric.boolean_value = "Node Control/Rebirth", BOOLEAN, True
    return payload.SerializeToString()


class Host:
    """What arrives on the topics of one group, in order. What the broker delivers again, after an acknowledgement that it
    did not get, counts once: the gateway never sends the same number and time again."""

    def __init__(self, collector):
        self.collector = collector

    def events(self, kind=None, device=None):
        events, seen = [], set()
        for message in list(self.collector.messages):
            namespace, group, its_kind, node, *rest = message.topic.split("/")
            assert (namespace, group, node) == ("spBv1.0", GROUP, ID) and not message.retained
            if its_kind == "NCMD" or (message.topic, message.raw) in seen:
                continue
            seen.add((message.topic, message.raw))
            assert message.body is not None, "no protobuf of Sparkplug"
            event = Event(its_kind, "".join(rest), message.body, message.at)
            if kind in (None, event.kind) and device in (None, event.device):
                events.append(event)
        return events

    def wait(self, kind, count=1, device=None, timeout=20.0):
        """Waits for so many messages of a kind, and returns them."""
        self.collector.wait_for(
            lambda: len(self.events(kind, device)) >= count,
            timeout,
            f"{count} {kind} of {device or 'any'}, not {[str(e) for e in self.events()][-20:]}",
        )
        return self.events(kind, device)

    def latest(self, device):
        """The highest revision of each aggregate of a device, by its id."""
        best = {}
        for event in self.events("DDATA", device):
            values = event.values
            if "aggregate/id" not in values:
                continue
            known = best.get(values["aggregate/id"])
            if known is None or values["aggregate/revision"] > known["aggregate/revision"]:
                best[values["aggregate/id"]] = values
        return [best[id] for id in sorted(best, key=lambda id: int(id.split("/")[-2]))]

    def readings(self, device, metric="temperature"):
        return sum(values.get(f"{metric}/count", 0) for values in self.latest(device))

    def check(self):
        """Births before data with every metric in them, `seq` without a gap, deaths with the number of their birth."""
        seq, bd_seq, born = None, None, {}
        for event in self.events():
            where = f"{event} of {[str(e) for e in self.events()]}"
            if event.kind == "NDEATH":
                assert event.values == {"bdSeq": bd_seq} and not event.payload.HasField("seq"), where
                seq, born = None, {}
                continue
            if event.kind == "NBIRTH":
                seq, born, bd_seq = -1, {}, event.values["bdSeq"]
                assert event.payload.seq == 0 and event.values["Node Control/Rebirth"] is False, where
            seq = (seq + 1) % 256
            assert event.payload.seq == seq and event.payload.timestamp, where
            if event.kind == "DBIRTH":
                born[event.device] = {metric.name: metric.datatype for metric in event.payload.metrics}
            if event.kind == "DDATA":
                types = {metric.name: metric.datatype for metric in event.payload.metrics}
                assert types.items() <= born[event.device].items(), where
            if event.kind == "DDEATH":
                del born[event.device]
        return born

"""What must be true when all faults are over and everything has drained: sent = delivered + accounted.

The oracle believes neither Riser nor the brokers, only what the proxies saw pass (`records.py`):

- A reading is *acknowledged* where Riser's own PUBACK for it was seen, even one that was then lost on the way. What
  mosquitto acknowledged to a sensor and lost itself, before Riser acknowledged it, is not Riser's loss.
- A reading may be counted as often as there were *deliveries* of it that reached Riser: a delivery is one PUBLISH with
  all its repetitions, which carry DUP and the same packet id (decision 0003). The embedded broker does not report DUP,
  so there each PUBLISH is a delivery; a client repeats one only where it saw no PUBACK.
- The cloud *has* an aggregate when its broker's PUBACK for it was seen.

Each check returns its findings as lines of text. For the windows, with `counted(r)` = how often reading r is in them:

    1 where r was acknowledged, else 0   <=   counted(r)   <=   deliveries of r that reached Riser

`reading.py` describes how a window's avg, min, max and count name the readings in it. A consumer that keeps the highest revision of
each id, as the contract says, must see exactly that.
"""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass

from chaos.reading import METRIC, WINDOW_MS, Undecodable, decode, way
from readings import rfc3339

GATEWAY = "hq-north"
RULE = "high"


@dataclass
class Evidence:
    """Everything that the oracle judges by."""

    sent: set
    """Readings that the sensors tried to send."""
    sensor_acked: set
    """Those whose PUBACK a sensor of the embedded broker saw."""
    deliveries: dict
    """reading -> its deliveries (records.Delivery)"""
    uploads: list
    """records.Upload, in order"""
    received: list
    """(topic, payload) that the cloud's application got"""
    ledger: dict
    """`riser audit --json`"""


class Verdict:
    """Findings, and the numbers of the run."""

    def __init__(self, evidence):
        numbered = _numbered(evidence.uploads)
        aggregates = _acked_aggregates(numbered)
        held, undecodable = decode_all(aggregates)
        latest = keep_highest_revision(held)
        counted = Counter()
        for key in latest:
            counted.update(held[key])
        self.findings = [
            *undecodable,
            *check_corrections(held),
            *check_seq(numbered),
            *check_ids(numbered, evidence.sent),
            *check_revisions(numbered),
            *check_counts(counted, evidence),
            *check_sensors(evidence),
            *check_ledger(evidence.ledger, counted, evidence),
            *check_heard(evidence),
        ]
        self.counted = counted
        self.windows = len(latest)
        self.corrections = sum(revision > 0 for _, revision in latest)
        self.twice = Counter(way(reading.device) for reading, times in counted.items() if times > 1)


def _numbered(uploads):
    """(upload, body) of each aggregate and alert; the status and health messages have no number."""
    bodies = [(upload, json.loads(upload.payload)) for upload in uploads]
    return [(upload, body) for upload, body in bodies if "seq" in body]


def _acked_aggregates(numbered):
    return [body for upload, body in numbered if upload.acked and upload.topic.endswith("/aggregated")]


def decode_all(aggregates):
    """(id, revision) -> Counter of the readings in it; and the findings about those that no readings can explain."""
    held, findings = {}, []
    for body in aggregates:
        name, revision = body["id"], body["revision"]
        try:
            held[name, revision] = decode(body["device"], int(name.split("/")[-2]), body["metrics"][METRIC])
        except (Undecodable, KeyError) as error:
            held[name, revision] = Counter()
            findings.append(f"wrong window: {name} revision {revision}: {error!r}")
    return held, findings


def keep_highest_revision(held):
    """The messages that the contract requires the cloud to keep."""
    highest = {}
    for name, revision in held:
        highest[name] = max(revision, highest.get(name, 0))
    return highest.items()


def check_corrections(held):
    """A correction adds readings and takes none away."""
    findings = []
    for (name, revision), readings in held.items():
        if taken_away := held.get((name, revision - 1), Counter()) - readings:
            findings.append(f"a correction lost readings: {name} revision {revision}: {dict(taken_away)}")
    return findings


def check_counts(counted, evidence):
    """No acknowledged reading lost, none counted too often, none invented."""
    findings = []
    for reading in evidence.deliveries.keys() | counted.keys():
        deliveries = evidence.deliveries.get(reading, [])
        least = int(any(delivery.acked for delivery in deliveries))
        most = sum(delivery.forwarded for delivery in deliveries)
        if not least <= counted[reading] <= most:
            fault = "lost" if counted[reading] < least else "counted too often" if most else "invented"
            story = "; ".join(map(str, deliveries))
            findings.append(f"{fault}: {reading} counted {counted[reading]} times, not {least} to {most}; {story}")
    return findings


def check_sensors(evidence):
    """What a sensor took for acknowledged, Riser has acknowledged: else the proxies' records are wrong."""
    unseen = [r for r in evidence.sensor_acked if not any(d.acked for d in evidence.deliveries.get(r, []))]
    return [f"a sensor has a PUBACK that no proxy saw: {reading}" for reading in unseen]


def check_seq(numbered):
    """`seq` counts up by one over all that arrived; one seq always has the same topic and payload."""
    first, findings = {}, []
    for upload, body in numbered:
        known = first.setdefault(body["seq"], upload)
        if (known.topic, known.payload) != (upload.topic, upload.payload):
            findings.append(f"seq {body['seq']} has two payloads: {known.payload} and {upload.payload}")
    arrived = {body["seq"] for upload, body in numbered if upload.acked}
    if missing := set(range(1, max(arrived, default=0) + 1)) - arrived:
        findings.append(f"holes in seq: {sorted(missing)[:20]}, {len(missing)} in all of {max(arrived)}")
    return findings


def check_ids(numbered, sent):
    """Every id is one that the sent readings explain, and says what its message says."""
    windows = {(reading.device, reading.window) for reading in sent}
    findings = []
    for upload, body in numbered:
        expected = _alert_id(body) if "alert" in body else _aggregate_id(body, windows)
        if body["id"] != expected:
            findings.append(f"unknown id: {body['id']}, seq {body['seq']}, on {upload.topic}; expected {expected}")
    return findings


def _aggregate_id(body, windows):
    start = int(body["id"].split("/")[-2])
    window = {"start": rfc3339(start), "end": rfc3339(start + WINDOW_MS)}
    if (body["device"], start) not in windows or body["window"] != window or body["gateway"] != GATEWAY:
        return "none: nothing was sent for such a window"
    return f"{GATEWAY}/{body['device']}/{start}/{WINDOW_MS}"


def _alert_id(body):
    head = f"{GATEWAY}/alerts/{RULE}/{body['device']}/{METRIC}/"
    since, state = body["id"].removeprefix(head).split("/")
    return f"{head}{since}/{body['state']}" if rfc3339(int(since)) == body["since"] else f"{head}{body['since']}"


def check_revisions(numbered):
    """One (id, revision) is one message; the revisions of an id count up from 0 as `seq` does."""
    seqs = defaultdict(set)
    for _, body in numbered:
        seqs[body["id"], body.get("revision", 0)].add(body["seq"])
    findings = [f"sent under several seqs {sorted(s)}: {what}" for what, s in seqs.items() if len(s) > 1]
    revisions = defaultdict(list)
    for name, revision in sorted(seqs, key=lambda key: min(seqs[key])):
        revisions[name].append(revision)
    findings += [f"revisions out of order: {n}: {r}" for n, r in revisions.items() if r != list(range(len(r)))]
    return findings


def check_ledger(ledger, counted, evidence):
    """in = published + dropped, nothing is left under way, and only what was sent again was dropped."""
    acked = sum(any(d.acked for d in deliveries) for deliveries in evidence.deliveries.values())
    duplicates = ledger["dropped"].get("duplicate", 0)
    rules = {
        "balanced": ledger["balanced"],
        "nothing queued or open": ledger["queued"] == ledger["open"] == 0,
        "in = published + dropped": ledger["in"] == ledger["published"] + sum(ledger["dropped"].values()),
        f"published = the {counted.total()} in the windows": ledger["published"] == counted.total(),
        f"in >= the {acked} acknowledged": ledger["in"] >= acked,
        "dropped only duplicates": sum(ledger["dropped"].values()) == duplicates,
    }
    return [f"the ledger breaks `{rule}`: {ledger}" for rule, holds in rules.items() if not holds]


def check_heard(evidence):
    """The cloud's application got nothing but what Riser sent."""
    uploaded = {(upload.topic, upload.payload) for upload in evidence.uploads}
    # The status comes also as the last will, which Riser deposits with the broker when it connects.
    received = [(topic, payload) for topic, payload in evidence.received if not topic.endswith("/status")]
    strange = [message for message in received if message not in uploaded]
    return [f"the cloud's application got what Riser did not send: {message}" for message in strange[:10]]

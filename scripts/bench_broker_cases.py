"""What scripts/bench-broker measures: each case takes a broker's class, and gives its figures by name."""

import contextlib
import json
import math
import os
import pathlib
import random
import resource
import subprocess
import time

from bench_broker_servers import PASSWORD, TARGET, Failed, on_core, running

RETAINED, LARGE = 2_000, 1_800
TOPICS, SMALL = 20_000, 100
# Of a publisher before its last subscriber.
AHEAD = 100
FLOOD = 600
LOGINS_EVERY = 0.1
ROUNDS = 20
# Of the memory of a broker that has nothing to do any more.
STEADY = 256 * 1024


def client(server, mode, **values):
    """The load client on the other core."""
    program = pathlib.Path(os.environ.get("MQTT_EXAMPLES", TARGET / "release/examples")).resolve() / "mqtt_load"
    words = [f"{name}={value}" for name, value in values.items()]
    return subprocess.Popen(
        on_core(1, [program, mode, f"127.0.0.1:{server.port}", *words]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process, timeout=60):
    """What a client has measured."""
    try:
        said, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise Failed(f"the client was not done after {timeout} s") from None
    if process.returncode:
        raise Failed(f"the client: {errors.strip() or process.returncode}")
    return json.loads(said.splitlines()[-1])


def load(server, mode, **values):
    return finished(client(server, mode, **values))


def steady(server, timeout=10):
    """The resident memory, when it hardly changes any more."""
    deadline, last = time.monotonic() + timeout, server.resident()
    while time.monotonic() < deadline:
        time.sleep(1.5)
        now = server.resident()
        if abs(now - last) < STEADY:
            break
        last = now
    return server.resident()


def idle(kind, options):
    figures = {}
    for count in (1_000, 10_000):
        with running(kind, options.logs) as server:
            before = steady(server)
            during, left, again = before, before, before
            with connected(server, count):
                during = steady(server)
            left = steady(server)
            with connected(server, count):
                again = steady(server)
            figures |= {
                f"base_{count}": before / 2**20,
                f"each_{count}": (during - before) / count,
                f"left_{count}": (left - before) / count,
                f"again_{count}": (again - before) / count,
            }
    return figures


@contextlib.contextmanager
def connected(server, count):
    """So many clients, which must still be there at the end of the block, and are closed then."""
    clients = client(server, "idle", clients=count)
    try:
        ready = clients.stdout.readline().split(maxsplit=3)
        if ready[:2] != ["ready", "0"]:
            raise Failed(f"{count} clients: {' '.join(ready[1:])}")
        yield
        kept = finished(clients)["connected"]
    finally:
        clients.kill()
        clients.wait()
    if kept != count:
        raise Failed(f"of {count} idle clients {count - kept} lost their connection")


def fan_out(kind, options):
    values = {"publishers": 20, "subscribers": 5, "each": "all", "size": 100, "window": 20, "rate": 0, "slow": "none"}
    with running(kind, options.logs, queue="unbounded") as server:
        began, children = server.cpu_seconds(), cpu_of_children()
        said = load(server, "exchange", seconds=options.seconds, ahead=AHEAD, **values)
        cpu, children = server.cpu_seconds() - began, cpu_of_children() - children
        figures = {
            "rate": said["received"] / said["seconds"],
            "cpu": cpu / said["received"] * 1e6,
            "busy": cpu / said["seconds"] * 100,
            "client": children / said["seconds"] * 100,
            "lost": said["lost"] + said["unanswered"],
            "twice": said["again"],
            "cut": said["cut"],
            "p99": said["latency_us"][1] / 1e3,
            "peak": server.peak() / 2**20,
        }
    with running(kind, options.logs) as server:
        said = load(server, "exchange", seconds=options.seconds / 2, ahead=0, **values)
        figures |= {
            "hurried_rate": said["received"] / said["seconds"],
            "hurried_lost": said["lost"] / (said["lost"] + said["received"]) * 100,
            "hurried_peak": server.peak() / 2**20,
        }
    return figures


def cpu_of_children():
    """Of those that have ended: of a load client, between its start and its end."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def retained(kind, options):
    with running(kind, options.logs, queue="unbounded") as server:
        written = server.written()
        seconds = load(server, "retain", count=RETAINED, size=LARGE, window=20, topic="homeassistant/sensor")["seconds"]
        server.save()
        time.sleep(1)
        figures = {
            "discovery": seconds,
            "stored": server.stored() / 2**20,
            "written": (server.written() - written) / 2**20,
        }
    with running(kind, options.logs, queue="unbounded") as server:
        written = server.written()
        load(server, "retain", count=TOPICS, size=SMALL, window=20, topic="building/floor")
        server.save()
        # The pages of what was written last go to the disk with the next sync.
        time.sleep(2.5)
        figures["flash"] = (server.written() - written) / TOPICS
        server.kill()
        figures["start"] = server.start() * 1e3
        said = load(server, "retained", count=TOPICS)
        figures |= {"subscribe": said["seconds"] * 1e3, "missing": TOPICS - said["received"]}
    return figures


def passwords(kind, options):
    logins = math.ceil(options.seconds / LOGINS_EVERY)
    users = ["known", *(f"new-{number:03}" for number in range(max(100, logins)))]
    with running(kind, options.logs, users=users) as server:
        right = {"password": PASSWORD, "every": LOGINS_EVERY}
        load(server, "login", user="known", seconds=LOGINS_EVERY, **right)
        before = server.peak()
        flood = client(server, "flood", clients=FLOOD, seconds=options.seconds + 1, source="127.0.0.2")
        time.sleep(0.5)
        known, new = (client(server, "login", user=user, seconds=options.seconds, **right) for user in ("known", "new-{}"))
        known, new, flood = finished(known), finished(new), finished(flood)
        if flood["admitted"]:
            raise Failed(f"{flood['admitted']} wrong passwords were taken")
        of = lambda said, place: said["us"][place] / 1e3 if said["logins"] else float("nan")
        return {
            "known_p50": of(known, 0),
            "known_p99": of(known, 1),
            "new_p50": of(new, 0),
            "new_p99": of(new, 1),
            "known_failed": known["failed"],
            "new_failed": new["failed"],
            "refused": (flood["refused"] + flood["failed"]) / (options.seconds + 1),
            "base": before / 2**20,
            "peak": server.peak() / 2**20,
            "after": steady(server) / 2**20,
        }


def slow_reader(kind, options):
    figures = {}
    for slow in ("none", 0, 1):
        with running(kind, options.logs) as server:
            values = {"publishers": 10, "subscribers": 10, "each": "own", "seconds": options.seconds * 0.6, "size": 10_000}
            said = load(server, "exchange", **values, window=100, ahead=0, rate=2_000, slow=slow)
            figures |= {
                f"p50_{slow}": said["latency_us"][0] / 1e3,
                f"p99_{slow}": said["latency_us"][1] / 1e3,
                f"peak_{slow}": server.peak() / 2**20,
                f"lost_{slow}": said["lost"] + said["unanswered"],
            }
    return figures


def flood(kind, options):
    figures = {}
    for what in ("none", "subscribe", "publish"):
        with running(kind, options.logs) as server:
            pouring = None
            if what != "none":
                pouring = client(server, "pour", kind=what, topic="flood", seconds=options.seconds)
                time.sleep(0.5)
            said = load(server, "ping", seconds=options.seconds * 0.6, every=0.01)
            figures |= {f"p50_{what}": said["us"][0] / 1e3, f"p99_{what}": said["us"][1] / 1e3}
            if pouring:
                pouring.kill()
                pouring.wait()
    return figures


def durable(kind, options):
    rows = []
    with running(kind, options.logs, queue="unbounded") as server:
        publisher = client(server, "durable", rounds=ROUNDS)
        try:
            for _ in range(ROUNDS):
                if publisher.stdout.readline() != "publishing\n":
                    raise Failed(f"the client: {publisher.stderr.read().strip()}")
                time.sleep(random.uniform(0.05, 0.5))
                server.kill()
                server.start()
                line = publisher.stdout.readline()
                if not line:
                    raise Failed(f"the client: {publisher.stderr.read().strip()}")
                rows.append(json.loads(line))
        finally:
            publisher.kill()
            publisher.wait()
    total = lambda name: sum(row[name] for row in rows)
    return {"acknowledged": total("acknowledged"), "lost": total("lost"), "retained_lost": total("retained_lost")}

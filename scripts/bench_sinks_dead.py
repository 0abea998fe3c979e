"""What 50,000 records that wait for one dead sink cost the others: `scripts/bench-sinks --dead`.

Delay: one gateway after another sends 140 readings a second to a cloud (aggregates of windows of 1 s) and to an HTTP server
(single readings). Each second one has a third sink besides, for which `--records` records wait: its server refuses connections, or
takes them and never answers. The delay of an aggregate is counted from the end of its window, that of a reading from its
sending. Throughput: a backlog for InfluxDB or PostgreSQL is written, with and without the dead sink.
"""

import datetime
import json
import pathlib
import socket
import statistics
import tempfile
import time

RATE = 140
DEVICES = 140
BATCH = 5000
KINDS = ("influxdb", "postgres")


class Dead:
    """A sink that takes nothing. `hangs`: its server takes connections."""

    def __init__(self, hangs):
        from peers import HOST, free_port

        self.listener = socket.create_server((HOST, 0), backlog=128) if hangs else None
        port = self.listener.getsockname()[1] if hangs else free_port()
        send = 'send = ["aggregates", "alerts", "readings"]'
        self.table = f'[sinks.influxdb.dead]\nurl = "http://{HOST}:{port}"\ndatabase = "building"\n{send}'

    def close(self):
        if self.listener:
            self.listener.close()


def delays(count, seconds, folder, beside):
    """Medians of the delays of aggregates and of readings, in seconds, after `count` records."""
    from gateway import Riser, config
    from http_server import Server
    from peers import Collector, Mosquitto, Publisher, wait_until

    floor, cloud, server = Mosquitto(folder / "floor", log="information"), Mosquitto(folder / "cloud"), Server()
    floor.start()
    cloud.start()
    arrivals = []
    server.answer = lambda _number: arrivals.append(time.time()) or 200
    live = f'[sinks.http.live]\nurl = "{server.url}"\nsend = ["readings"]\n{beside}'
    gateway = Riser(folder / "riser", config(cloud=cloud.port, floor=floor.port, more=live)).start()
    try:
        gateway.wait_log("connected and subscribed")
        received = Collector(cloud.port, "building/sensors/#")
        sensor = Publisher(floor.port)
        for first in range(0, count, BATCH):
            sensor.send_all([message(number) for number in range(first, min(first + BATCH, count))])
        gateway.wait_ledger(taken=count, open=0, timeout=120)
        queued = lambda name: gateway.audit()["sinks"][name]["queued"]
        wait_until(lambda: queued("http.live") == 0 and queued("mqtt.upstream") == 0, 120, what="what the others have")
        if beside:
            assert queued("influxdb.dead") >= count, gateway.audit()["sinks"]
        begun = time.time()
        for number in range(int(RATE * seconds)):
            time.sleep(max(0.0, begun + number / RATE - time.time()))
            sensor.client.publish(*message_now(number), qos=1)
        ended = time.time()
        gateway.wait_ledger(taken=count + int(RATE * seconds), open=0, timeout=60)
        wait_until(lambda: queued("http.live") == 0 and queued("mqtt.upstream") == 0, 60, what="the last ones")
        aggregates = [
            message.at - seconds_of(message.body["window"]["end"])
            for message in list(received.messages)
            if begun + 1 < message.at < ended and message.body["revision"] == 0
        ]
        readings = [
            at - seconds_of(record["time"])
            for at, batch in zip(arrivals, server.batches())
            for record in batch
            if begun <= seconds_of(record["time"]) < ended
        ]
        assert len(readings) >= int(RATE * seconds) - 2 and aggregates, (len(readings), len(aggregates))
        return statistics.median(aggregates), statistics.median(readings)
    finally:
        gateway.close()
        server.close()
        floor.close()
        cloud.close()


def message(number):
    return f"sensors/device-{number % DEVICES}/telemetry", {"temperature": 20.0 + number % 100 / 10}


def message_now(number):
    topic, body = message(number)
    return topic, json.dumps(body | {"ts": int(time.time() * 1000)})


def seconds_of(text):
    return datetime.datetime.fromisoformat(text).timestamp()


def compare(options, throughput):
    """`throughput`: measures a backlog's records a second and CPU, with tables of further sinks."""
    for hangs in (False, True) if options.seconds else ():
        name = "hangs" if hangs else "refuses"
        found = {False: [], True: []}
        for pair in range(options.pairs):
            for is_there in (False, True) if pair % 2 else (True, False):
                with tempfile.TemporaryDirectory(prefix="riser-bench-") as folder:
                    dead = Dead(hangs)
                    beside = dead.table if is_there else ""
                    found[is_there].append(delays(options.records, options.seconds, pathlib.Path(folder), beside))
                    dead.close()
        for place, what in enumerate(("aggregates", "readings")):
            print_pair(f"delay of {what}, server {name}, s", found, place, "{:.3f}")
    for kind in options.kinds or KINDS:
        found = {False: [], True: []}
        for pair in range(options.pairs):
            for is_there in (False, True) if pair % 2 else (True, False):
                with tempfile.TemporaryDirectory(prefix="riser-bench-") as folder:
                    dead = Dead(False)
                    found[is_there].append(
                        throughput(kind, options.records, pathlib.Path(folder), dead.table if is_there else "")
                    )
                    dead.close()
        print_pair(f"{kind}, records/s", found, 0, "{:,.0f}")
    return 0


def print_pair(what, found, place, form):
    columns = []
    for is_there in (False, True):
        values = sorted(run[place] for run in found[is_there])
        middle, low, high = (form.format(value) for value in (statistics.median(values), values[0], values[-1]))
        columns.append(f"{'with' if is_there else 'without'} {middle} ({low} to {high})")
    print(f"{what}: {', '.join(columns)}", flush=True)

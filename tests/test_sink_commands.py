"""`riser sink`: records sent again, sinks forgotten; where a new sink begins, and how far one is behind."""

import json
import shutil
import time

from gateway import config
from peers import HOST, free_port, wait_until
from readings import now_millis

AWAY = "http.away"


def file_sink(name, folder, more=""):
    return f'[sinks.file.{name}]\npath = "{folder}"\nsend = ["readings"]\n{more}\n'


def away(more=""):
    """A sink whose server is not there: what it has not had stays in the store."""
    return f'[sinks.http.away]\nurl = "http://{HOST}:{free_port()}/"\nsend = ["aggregates", "readings"]\n{more}\n'


def values(folder):
    """Of all files of a sink, also those that are not complete."""
    lines = [line for file in sorted(folder.rglob("*")) if file.is_file() for line in file.read_text().splitlines()]
    return sorted(json.loads(line)["metrics"]["temperature"] for line in lines if line.startswith("{"))


def send(sensor, values):
    sensor.send_all([("sensors/lounge/telemetry", {"temperature": value, "ts": now_millis()}) for value in values])


def queued(gateway, sink):
    return gateway.audit()["sinks"][sink]["queued"]


def utc(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def test_what_a_sink_has_had_is_sent_again_from_a_time_on(floor, sensor, riser, tmp_path):
    out = tmp_path / "out"
    gateway = riser(config(floor=floor.port, more=away() + file_sink("export", out))).start()
    gateway.wait_log("connected and subscribed")
    send(sensor, [1.0, 2.0])
    wait_until(lambda: values(out) == [1.0, 2.0], 20, what="the first two")
    time.sleep(1.1)
    between = time.time()
    time.sleep(1.1)
    send(sensor, [3.0, 4.0])
    wait_until(lambda: values(out) == [1.0, 2.0, 3.0, 4.0], 20, what="all four")
    refused = gateway.cli("sink", "rewind", "file.export", "--to", utc(between), "--config", gateway.config)
    assert refused.returncode == 69 and "stop it first" in refused.stderr, refused.stderr
    assert gateway.stop() == 0
    before = gateway.audit()["sinks"]["file.export"]
    done = gateway.cli("sink", "rewind", "file.export", "--to", utc(between), "--config", gateway.config)
    assert (done.returncode, done.stdout) == (0, "2 records that file.export has had are queued again\n"), done
    after = gateway.audit()["sinks"]["file.export"]
    assert (after["delivered"], after["queued"]) == (before["delivered"] - 2, 2)
    # What a file ends with already would not be written twice.
    shutil.rmtree(out)
    gateway.start()
    wait_until(lambda: values(out) == [3.0, 4.0], 20, lambda: str(values(out)))
    wait_until(lambda: queued(gateway, "file.export") == 0, 20, what="everything acknowledged")
    assert gateway.audit()["sinks"]["file.export"]["delivered"] == before["delivered"]
    gateway.stop()
    for arguments, words in (
        (["rewind", "file.export", "--to", "yesterday"], "is no time"),
        (["rewind", "file.other", "--to", "2026-01-01"], "there are: http.away, file.export"),
        (["forget", "file.export"], "remove the table [sinks.file.export] first"),
    ):
        wrong = gateway.cli("sink", *arguments, "--config", gateway.config)
        assert wrong.returncode == 64 and words in wrong.stderr, wrong.stderr


def test_the_cloud_gets_again_what_it_has_had_and_the_ledger_stays_balanced(cloud, floor, sensor, riser, received):
    gateway = riser(config(cloud=cloud.port, floor=floor.port, more=away())).start()
    received.wait_online()
    send(sensor, [1.0, 2.0, 3.0])
    gateway.wait_ledger(published=3, queued=0)
    seqs = [body["seq"] for body in received.numbered()]
    gateway.stop()
    done = gateway.cli("sink", "rewind", "mqtt.upstream", "--to", "2026-01-01", "--config", gateway.config)
    assert done.returncode == 0 and done.stdout.startswith(f"{len(seqs)} records"), done
    gateway.audit()
    gateway.start()
    received.wait_for(lambda: len(received.numbered()) >= 2 * len(seqs), 20, "the same again")
    assert sorted(body["seq"] for body in received.numbered()) == sorted(2 * seqs)
    gateway.wait_ledger(published=3, queued=0)


def test_a_sink_that_is_gone_keeps_its_records_until_it_is_forgotten(floor, sensor, riser, tmp_path):
    out = tmp_path / "out"
    gateway = riser(config(floor=floor.port, more=away() + file_sink("export", out))).start()
    gateway.wait_log("connected and subscribed")
    send(sensor, [float(number) for number in range(50)])
    wait_until(lambda: len(values(out)) == 50, 20, what="all readings in the file")
    wait_until(lambda: queued(gateway, AWAY) >= 50, 20, what="all readings queued")
    wait_until(lambda: gateway.audit()["sinks"][AWAY].get("lag_s", 0) >= 2, 20, what="two seconds of lag")
    records = gateway.audit()["sinks"][AWAY]
    assert records["bytes"] > 1000 and "is out of reach" in records["last_error"], records
    text = gateway.cli("audit", "--config", gateway.config).stdout
    assert "the oldest for " in text and "is out of reach" in text, text
    assert gateway.audit()["sinks"]["file.export"] == {"delivered": 50, "queued": 0, "dropped": 0}
    gateway.stop()
    gateway.config.write_text(config(floor=floor.port, more=file_sink("export", out)))
    gateway.start()
    gateway.wait_log("connected and subscribed")
    assert queued(gateway, AWAY) >= 50
    gateway.stop()
    done = gateway.cli("sink", "forget", AWAY, "--config", gateway.config)
    assert done.returncode == 0 and done.stdout.startswith(f"{AWAY} is forgotten, with "), done
    assert list(gateway.audit()["sinks"]) == ["file.export"]
    gateway.start()
    gateway.wait_log("connected and subscribed")
    send(sensor, [50.0])
    wait_until(lambda: len(values(out)) == 51, 20, what="the next reading")


def test_a_new_sink_begins_now_or_with_the_oldest_stored_record(floor, sensor, riser, tmp_path):
    gateway = riser(config(floor=floor.port, more=away())).start()
    gateway.wait_log("connected and subscribed")
    send(sensor, [1.0, 2.0])
    gateway.wait_ledger(taken=2)
    wait_until(lambda: queued(gateway, AWAY) >= 2, 20, what="stored readings")
    gateway.stop()
    both = file_sink("now", tmp_path / "now") + file_sink("old", tmp_path / "old", 'start = "oldest"')
    gateway.config.write_text(config(floor=floor.port, more=away() + both))
    gateway.start()
    gateway.wait_log("connected and subscribed")
    send(sensor, [3.0])
    wait_until(lambda: values(tmp_path / "old") == [1.0, 2.0, 3.0], 20, lambda: str(values(tmp_path / "old")))
    wait_until(lambda: values(tmp_path / "now") == [3.0], 20, lambda: str(values(tmp_path / "now")))

def test_the_ledger_is_balanced_whichever_sinks_there_are(cloud, floor, sensor, riser, tmp_path):
    export = f'[sinks.file.export]\npath = "{tmp_path / "out"}"\n'
    gateway = riser(config(floor=floor.port, more=export)).start()
    gateway.wait_log("connected and subscribed")
    send(sensor, [1.0, 2.0, 3.0])
    gateway.wait_ledger(published=3, queued=0)
    gateway.stop()
    # `audit` fails if the ledger does not balance; that of a stopped gateway is of its files.
    assert gateway.audit()["published"] == 3
    for text, expected in (
        (config(cloud=cloud.port, floor=floor.port, more=export), 0),
        (config(floor=floor.port, more=export), 4),
        (config(floor=floor.port, more=file_sink("readings", tmp_path / "readings")), 1),
        (config(floor=floor.port, more=export), 5),
    ):
        gateway.config.write_text(text)
        # The outbox learns of the sinks here, the ledger only at the start.
        assert gateway.cli("sink", "forget", "file.unknown", "--config", gateway.config).returncode == 64
        assert gateway.audit()["published"] == expected, text
        gateway.start()
        assert gateway.audit()["published"] == expected, text
        send(sensor, [4.0])
        if "readings" in text:
            wait_until(lambda: values(tmp_path / "readings") == [4.0], 20, what="the reading")
            # Its window ends without a sink; one that is open still would go to the next.
            gateway.wait_ledger(open=0)
        else:
            gateway.wait_ledger(published=expected + 1, queued=0)
        gateway.stop()
        gateway.audit()

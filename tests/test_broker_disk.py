"""The embedded broker on a disk that refuses, and after power cuts: what it acknowledged is there, and it does not spin."""

import os
import pathlib
import time

import paho.mqtt.client as mqtt
import pytest

import faults
from gateway import config
from peers import HOST, Collector, free_port, wait_until


@pytest.fixture
def setup(riser, cloud, started, faults_library):
    port = free_port()
    gateway = riser(config(cloud=cloud.port, more=f'[broker]\nlisten = "{HOST}:{port}"\nanonymous = true'))
    gateway.disk = faults.Disk(faults_library, gateway.data_dir, gateway.folder)
    gateway.env |= gateway.disk.env
    gateway.port = port
    gateway.start()
    gateway.wait_log("listening for mqtt")
    return gateway


class Client:
    """Publishes one message after the other, retained, and says what became of each."""

    def __init__(self, port, name):
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, name, protocol=mqtt.MQTTv5)
        self._answers = {}
        self._client.on_publish = lambda client, userdata, mid, reason, _: self._answers.update({mid: reason.value})
        self._client.connect(HOST, port)
        self._client.loop_start()

    def publish(self, topic, payload, timeout=10.0):
        """The reason code of the PUBACK; None where none comes."""
        mid = self._client.publish(topic, payload, qos=1, retain=True).mid
        deadline = time.monotonic() + timeout
        while mid not in self._answers and time.monotonic() < deadline:
            time.sleep(0.01)
        return self._answers.get(mid)

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()


def cpu_seconds(gateway):
    fields = pathlib.Path(f"/proc/{gateway.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("trouble", ["full", "fail_writes", "fail_syncs", "read_only"])
def test_a_disk_that_refuses_costs_no_acknowledged_message_and_no_cpu(setup, started, trouble):
    client = started.keep(Client(setup.port, "first"))
    assert client.publish("kept/before", "1") in (0, 0x10)
    getattr(setup.disk, trouble)("broker")
    # The journal holds 8 MiB in memory before it says no. What it holds is not acknowledged.
    payload = bytes(1 << 20)
    answers = [client.publish(f"kept/{number}", payload, timeout=0.3) for number in range(12)]
    if trouble != "fail_syncs":
        # Not the first one: its acknowledgements come in order.
        other = started.keep(Client(setup.port, "other"))
        wait_until(lambda: other.publish("kept/refused", "x", timeout=2) == 0x97, 30, "a refusal")
        assert "acknowledgements wait until it works" in setup.log()
    before = cpu_seconds(setup)
    time.sleep(2)
    assert cpu_seconds(setup) - before < 1, "it spins"
    # Messages that need no disk go on.
    reader = started.keep(Collector(setup.port, "live", decode=bytes.decode, qos=0))
    client._client.publish("live", "1", qos=0)
    reader.wait_for(lambda: reader.messages, what="a live message")
    setup.disk.heal()
    wait_until(lambda: client.publish("kept/after", "2", timeout=2) in (0, 0x10), 30, "an acknowledgement")
    setup.kill()
    setup.start()
    wait_until(lambda: setup.log().count("listening for mqtt") == 2, what="the start after the kill")
    kept = started.keep(Collector(setup.port, "kept/#", decode=lambda body: len(body)))
    wanted = {"kept/before", "kept/after"} | {f"kept/{n}" for n, code in enumerate(answers) if code in (0, 0x10)}
    kept.wait_for(lambda: wanted <= {message.topic for message in kept.messages}, what="all that was acknowledged")

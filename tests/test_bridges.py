"""Bridges between the embedded broker and a real mosquitto: no death of the gateway loses an acknowledged message.

Three deaths by default; more with `BRIDGE_DEATHS=100` in the environment.
"""

import os
import random
import threading
import time

import paho.mqtt.client as mqtt

from gateway import HEALTH_EVERY_SECOND, config
from peers import HOST, Collector, free_port, wait_until

DEATHS = int(os.environ.get("BRIDGE_DEATHS", "3"))


class Sender:
    """Publishes numbers at QoS 1 for as long as it lives, and knows which were acknowledged."""

    def __init__(self, port, topic):
        self._topic, self._sent, self._stop = topic, {}, threading.Event()
        self.acknowledged = set()
        # A session of its own: what was sent and not acknowledged is sent again after a death.
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, f"sender-{topic}", clean_session=False)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_publish = self._on_publish
        self._client.connect(HOST, port)
        self._client.loop_start()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        for number in range(10**9):
            if self._stop.is_set():
                return
            # As many as are on their way at once: more would only wait within the client.
            while len(self._sent) - len(self.acknowledged) > 15 and not self._stop.is_set():
                time.sleep(0.002)
            self._sent[self._client.publish(f"{self._topic}/{number % 7}", str(number), qos=1).mid] = number
            time.sleep(0.001)

    def _on_publish(self, client, userdata, mid, reason, properties):
        number = self._sent.get(mid)
        while number is None:
            number = self._sent.get(mid)
        self.acknowledged.add(number)

    def close(self):
        self._stop.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()


def arrived(collector):
    return {int(message.raw) for message in list(collector.messages)}


def bridge(remote, topics, more=""):
    return f'[broker.bridges.campus]\nurl = "mqtt://{HOST}:{remote}"\ntopics = [{topics}]\n{more}'


def test_no_death_of_the_gateway_loses_an_acknowledged_message_of_a_bridge(mosquitto, riser, started):
    remote, port = mosquitto(), free_port()
    topics = '{ filter = "up/#", remote_prefix = "hq/" }, { filter = "down/#", direction = "in", remote_prefix = "hq/" }'
    broker = f'[broker]\nlisten = "{HOST}:{port}"\nanonymous = true\n{bridge(remote.port, topics)}'
    gateway = riser(config(floor=remote.port, more=broker)).start()
    gateway.wait_log("bridge connected")
    there = started.keep(Collector(remote.port, "hq/up/#", decode=bytes.decode))
    here = started.keep(Collector(port, "down/#", decode=bytes.decode, session="reader"))
    up, down = started.keep(Sender(port, "up")), started.keep(Sender(remote.port, "hq/down"))
    for _ in range(DEATHS):
        time.sleep(random.uniform(0.3, 2))
        gateway.kill()
        time.sleep(random.uniform(0, 0.5))
        gateway.start()
        before = len(up.acknowledged)
        wait_until(lambda: len(up.acknowledged) > before + 50, 30, "messages after the death")
    up.close()
    down.close()
    assert min(len(up.acknowledged), len(down.acknowledged)) > 100 * DEATHS
    there.wait_for(lambda: up.acknowledged <= arrived(there), 60, "all that went out")
    here.wait_for(lambda: down.acknowledged <= arrived(here), 60, "all that came in")
    twice = len(there.messages) - len(arrived(there)) + len(here.messages) - len(arrived(here))
    print(f"{DEATHS} deaths, {len(up.acknowledged)} out, {len(down.acknowledged)} in, {twice} came twice")


def test_health_shows_a_bridge_and_the_brokers_figures(mosquitto, riser, cloud, received):
    remote, port = mosquitto(), free_port()
    table = bridge(remote.port, '{ filter = "#" }')
    broker = f'[broker]\nlisten = "{HOST}:{port}"\nanonymous = true\n{table}'
    gateway = riser(config(cloud=cloud.port, gateway=HEALTH_EVERY_SECOND, more=broker)).start()
    received.wait_online()

    def health():
        shown = [m.body for m in received.messages if m.topic.endswith("/health") and m.body]
        return shown[-1]["adapters"].get("broker", {}) if shown else {}

    def state():
        return health().get("observed", {}).get("bridge campus", {}).get("state")

    received.wait_for(lambda: state() == "up", what="the bridge in health")
    figures = health()["figures"]
    assert health()["state"] == "up" and figures["sessions"] == 1 and figures["dropped_bridge_refused"] == 0, health()
    remote.kill()
    received.wait_for(lambda: state() == "down", what="the bridge's loss in health")
    assert "bridge not connected" in gateway.log()

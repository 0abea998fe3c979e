"""Sensors that send readings to a broker that is not killed, each with another value, until they are stopped.

Every message is acknowledged by the broker before the next ones are sent: what is in `sent` must arrive.
"""

import threading
import time

from peers import Publisher
from readings import now_millis

TICK = 0.1
# Each so many ticks, there are so many messages of each device at once.
BURST_EVERY, BURST = 20, 8
# Their readings get the time of the arrival.
WITHOUT_TIME = tuple(f"device-{n}" for n in range(4))
# These have a time of their own, and the last of them raises and clears an alert every two seconds.
WITH_TIME = ("timed-0", "alarm")
HIGH = 10_000_000.0
ALERT = f'[alerts.high]\nmetric = "temperature"\nabove = {HIGH / 2}\ndevices = ["alarm"]'


class Load:
    def __init__(self, port):
        self.sent = []
        self._publisher = Publisher(port)
        self._stop = threading.Event()
        self._error = None
        self._last_time, self._number = 0, 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        try:
            tick, began = 0, time.time()
            while not self._stop.wait(max(0.0, began + tick * TICK - time.time())):
                self._send(tick)
                tick += 1
        except BaseException as error:  # For `finish` to raise.
            self._error = error

    def _send(self, tick):
        messages = []
        for _ in range(BURST if tick % BURST_EVERY == 0 else 1):
            self._last_time = max(self._last_time + 1, now_millis())
            messages += [self._message(device, tick) for device in WITHOUT_TIME + WITH_TIME]
        self._publisher.send_all(messages)
        self.sent += [body["temperature"] for _, body in messages]

    def _message(self, device, tick):
        self._number += 1
        body = {"temperature": self._number + (HIGH if device == "alarm" and tick // 10 % 2 else 0.0)}
        return f"sensors/{device}/telemetry", body | ({"ts": self._last_time} if device in WITH_TIME else {})

    def finish(self):
        """Sends no more. Everything is acknowledged then."""
        self._stop.set()
        self._thread.join()
        if self._error:
            raise self._error
        return self.sent

    def close(self):
        self._stop.set()
        self._thread.join()
        self._publisher.close()

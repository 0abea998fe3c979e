"""ESP32 + BME280 + BH1750 on a battery: wakes up, measures, sends to the ESP-NOW broker and sleeps deeply. Readings that the
broker did not acknowledge wait in the memory of the clock, which deep sleep keeps; sensors that fail leave cells empty."""

import json
import random
import time

import espnow
import machine
import network

import config
from bh1750 import BH1750
from bme280_float import BME280
from node import Backoff, Buffer, Sensor, Watchdog, run

# What machine.RTC().memory keeps on an ESP32.
MEMORY = 2048


class State:
    """What outlives deep sleep. Memory that is empty or damaged gives a fresh one."""

    def __init__(self, data):
        try:
            number, errors, dropped, failures, skip, readings = json.loads(data)
            for reading in readings:
                assert len(reading) == 8
        except Exception:
            # A random number: the broker does not take it for the one that it had last.
            number, errors, dropped, failures, skip, readings = random.getrandbits(16), 0, 0, 0, 0, []
        self.number = number
        self.errors = errors
        self.buffer = Buffer(config.KEEP)
        self.buffer.dropped = dropped
        self.buffer.readings = readings
        self.backoff = Backoff(config.LONGEST_BACKOFF, failures, skip)

    def save(self):
        while True:
            backoff, buffer = self.backoff, self.buffer
            fields = [self.number, self.errors, buffer.dropped, backoff.failures, backoff.skip, buffer.readings]
            data = json.dumps(fields).encode()
            if len(data) <= MEMORY:
                machine.RTC().memory(data)
                return
            buffer.remove(1)
            buffer.dropped += 1


def read_bme280(driver):
    temperature, pascals, humidity = driver.read_compensated_data()
    return temperature, pascals / 100, min(max(humidity, 0), 100) if humidity == humidity else humidity


def start_battery():
    # Without attenuation the converter ends at 1.1 V.
    return machine.ADC(machine.Pin(config.BATTERY_PIN), atten=machine.ADC.ATTN_11DB)


def measure():
    """The values, rounded, and how many sensors failed."""
    bus = machine.I2C(0, sda=machine.Pin(config.SDA), scl=machine.Pin(config.SCL), freq=100_000)
    sensors = [
        Sensor(lambda: BME280(i2c=bus, address=config.BME280), read_bme280, ((-40, 85), (300, 1100), (0, 100))),
        Sensor(lambda: BH1750(bus, config.BH1750), lambda driver: (driver.lux(),), ((0, 100_000),)),
    ]
    if config.BATTERY_PIN is not None:
        sensors.append(Sensor(start_battery, lambda adc: (adc.read_uv() * 2 / 1e6,), ((0, 6),)))
    values = []
    for sensor in sensors:
        values += [value if value is None else round(value, 2) for value in sensor.read()]
    if config.BATTERY_PIN is None:
        values.append(None)
    return values, sum(sensor.errors for sensor in sensors)


def message(reading, dropped):
    """number,age,temperature,pressure,humidity,illuminance,voltage,errors,dropped"""
    number, taken, values = reading[0], reading[1], reading[2:]
    cells = [number, max(0, int(time.time() - taken))] + values + [dropped]
    return ",".join("" if cell is None else str(cell) for cell in cells)


def send(buffer, watchdog):
    """Sends everything in the buffer; what the broker did not acknowledge stays there."""
    broker = bytes(int(part, 16) for part in config.BROKER.split(":"))
    wlan = network.WLAN(network.STA_IF)
    radio = espnow.ESPNow()
    try:
        wlan.active(True)
        wlan.config(channel=config.CHANNEL)
        radio.active(True)
        radio.add_peer(broker)
        while buffer.readings:
            watchdog.feed()
            if not radio.send(broker, message(buffer.readings[0], buffer.dropped), True):
                raise OSError("the broker does not answer")
            buffer.remove(1)
    finally:
        # A radio that is on while the board falls asleep may not work after it.
        radio.active(False)
        wlan.active(False)


def main():
    watchdog = Watchdog(config.WATCHDOG_S)
    state = State(machine.RTC().memory())
    values, failed = measure()
    state.errors += failed
    state.number = (state.number + 1) % 65536
    state.buffer.push([state.number, int(time.time())] + values + [state.errors])
    if state.backoff.due():
        try:
            send(state.buffer, watchdog)
            state.backoff.worked()
        except Exception as error:
            print("broker:", repr(error), len(state.buffer.readings), "readings wait")
            state.backoff.failed()
    state.save()
    # Nodes that were switched on together would send together for ever.
    machine.deepsleep(int(config.EVERY_S * random.uniform(980, 1020)))


run(main)

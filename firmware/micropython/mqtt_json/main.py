"""Pico W + BME280: JSON over MQTT at QoS 1. A reading leaves the buffer once the broker has acknowledged it, so that none is
lost while the broker or the network is away; a sensor that fails leaves its values out and counts in `errors`."""

import json
import time

import machine

import config
from bme280_float import BME280
from mqtt import Client
from node import Backoff, Buffer, Sensor, Watchdog, name, run
from wifi import Wifi, epoch, set_clock

CLIMATE = ("temperature", "pressure", "humidity")
CLIMATE_LIMITS = ((-40, 85), (300, 1100), (0, 100))
# The RP2040's own temperature sensor.
BOARD_CHANNEL = 4


def start_bme280():
    bus = machine.I2C(0, sda=machine.Pin(config.SDA), scl=machine.Pin(config.SCL), freq=100_000)
    return BME280(i2c=bus, address=config.ADDRESS)


def read_bme280(driver):
    temperature, pascals, humidity = driver.read_compensated_data()
    return temperature, pascals / 100, min(max(humidity, 0), 100) if humidity == humidity else humidity


def read_board(channel):
    # RP2040 data sheet, section 4.9.5: 0.706 V at 27 degrees, 1.721 mV less for each more.
    volts = channel.read_u16() * 3.3 / 65535
    return (27 - (volts - 0.706) / 0.001721,)


def payload(reading):
    message = {key: round(value, 2) for key, value in reading[1].items() if value is not None}
    seconds = epoch(reading[0])
    if seconds is not None:
        message["ts"] = seconds
    return json.dumps(message).encode()


def send(device, buffer, watchdog):
    """Sends everything in the buffer; what the broker did not acknowledge stays there."""
    client = Client(config.HOST, config.PORT, device, config.USER, config.USER_PASSWORD, watchdog)
    try:
        while buffer.readings:
            client.publish("sensors/" + device + "/telemetry", payload(buffer.readings[0]))
            buffer.remove(1)
    finally:
        client.close()


def main():
    watchdog = Watchdog(config.WATCHDOG_S)
    device = config.NAME or name("pico")
    climate = Sensor(start_bme280, read_bme280, CLIMATE_LIMITS)
    board = Sensor(lambda: machine.ADC(BOARD_CHANNEL), read_board, ((-40, 125),))
    buffer = Buffer(config.KEEP)
    backoff = Backoff(config.LONGEST_BACKOFF)
    wifi = Wifi(config.SSID, config.PASSWORD, watchdog)
    sleep_ms = machine.lightsleep if config.SLEEP else time.sleep_ms
    since_sent = config.SEND_EVERY
    while True:
        watchdog.feed()
        values = dict(zip(CLIMATE, climate.read()))
        values["device_temperature"] = board.read()[0]
        values["errors"] = climate.errors + board.errors
        values["dropped"] = buffer.dropped
        buffer.push([time.time(), values])
        since_sent += 1
        if since_sent >= config.SEND_EVERY and backoff.due():
            try:
                wifi.up()
                set_clock(config.NTP_HOST, buffer.readings)
                send(device, buffer, watchdog)
                backoff.worked()
                since_sent = 0
            except Exception as error:
                print("broker:", repr(error), len(buffer.readings), "readings wait")
                backoff.failed()
            if config.SLEEP:
                wifi.down()
        watchdog.wait(config.EVERY_S, sleep_ms)


run(main)

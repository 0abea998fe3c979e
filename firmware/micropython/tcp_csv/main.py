"""ESP32 + BME680: CSV lines to the gateway over TCP. Readings wait in RAM while the gateway or the network is away; a sensor
that fails leaves its cells empty and counts in `errors`."""

import select
import socket
import time

import machine

import config
from bme680 import BME680_I2C
from node import Backoff, Buffer, Sensor, Watchdog, name, run
from wifi import Wifi, epoch, set_clock

LIMITS = ((-40, 85), (300, 1100), (0, 100), (0, 100_000_000))
# Lines that are sent before the connection is looked at.
BATCH = 20


def start_bme680():
    bus = machine.I2C(0, sda=machine.Pin(config.SDA), scl=machine.Pin(config.SCL), freq=100_000)
    return BME680_I2C(bus, address=config.ADDRESS)


def read_bme680(driver):
    return driver.temperature, driver.pressure, driver.humidity, driver.gas


def line(device, reading):
    """device,time,temperature,pressure,humidity,gas,errors,dropped"""
    raw_time, values = reading[0], reading[1:]
    cells = [epoch(raw_time)] + [round(value, 2) if value is not None else None for value in values]
    return device + "," + ",".join("" if cell is None else str(cell) for cell in cells) + "\n"


def send(device, buffer, watchdog):
    """Sends everything in the buffer; what the gateway did not take stays there."""
    connection = socket.socket()
    try:
        connection.settimeout(5)
        connection.connect(socket.getaddrinfo(config.HOST, config.PORT)[0][-1])
        while buffer.readings:
            watchdog.feed()
            batch = buffer.oldest(BATCH)
            data = "".join(line(device, reading) for reading in batch).encode()
            if connection.write(data) != len(data):
                raise OSError("the gateway takes nothing")
            fail_if_closed(connection)
            buffer.remove(len(batch))
    finally:
        connection.close()


def fail_if_closed(connection):
    """TCP has no acknowledgement that a program sees. But a gateway that died, or has too many connections, closes."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    if poll.poll(300) and not connection.recv(64):
        raise OSError("the gateway has closed the connection")


def main():
    watchdog = Watchdog(config.WATCHDOG_S)
    device = config.NAME or name("esp32")
    sensor = Sensor(start_bme680, read_bme680, LIMITS)
    buffer = Buffer(config.KEEP)
    backoff = Backoff(config.LONGEST_BACKOFF)
    wifi = Wifi(config.SSID, config.PASSWORD, watchdog)
    sleep_ms = machine.lightsleep if config.SLEEP else time.sleep_ms
    since_sent = config.SEND_EVERY
    while True:
        watchdog.feed()
        values = sensor.read()
        buffer.push([time.time()] + values + [sensor.errors, buffer.dropped])
        since_sent += 1
        if since_sent >= config.SEND_EVERY and backoff.due():
            try:
                wifi.up()
                set_clock(config.NTP_HOST, buffer.readings)
                send(device, buffer, watchdog)
                backoff.worked()
                since_sent = 0
            except Exception as error:
                print("gateway:", repr(error), len(buffer.readings), "readings wait")
                backoff.failed()
            if config.SLEEP:
                wifi.down()
        watchdog.wait(config.EVERY_S, sleep_ms)


run(main)

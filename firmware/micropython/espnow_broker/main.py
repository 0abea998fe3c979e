"""ESP32 at the gateway's USB port: writes each message of ESP-NOW clients as a line that begins with the client's address.

A message is passed on only if all its cells are numbers, so that no radio can forge a second line or another address's; what
a client sends twice, because it missed the acknowledgement, is written once. It does not sleep: it must hear the clients.
"""

import sys
import time

import espnow
import network

import config
from node import Watchdog, run

# number,age,temperature,pressure,humidity,illuminance,voltage,errors,dropped
CELLS = 9
# Clients whose last number is remembered.
MOST_CLIENTS = 64
# Bytes for messages that arrive while a line is being written; the radio's default is two messages.
RECEIVE_BUFFER = 4096


class Broker:
    def __init__(self, write, clients):
        self.refused = 0
        self._write = write
        self._clients = [client.lower() for client in clients]
        self._last = {}

    def receive(self, address, message, rssi):
        client = text_of(address)
        number, cells = parse(message)
        if cells is None or (self._clients and client not in self._clients):
            self.refused += 1
            return
        if self._last.get(client) == number:
            return
        if client not in self._last and len(self._last) >= MOST_CLIENTS:
            self._last.clear()
        self._last[client] = number
        self.line(client, cells + ["" if rssi is None else str(rssi)])

    def line(self, client, cells):
        self._write(client + "," + ",".join(cells) + "\n")


def text_of(address):
    return ":".join("%02x" % byte for byte in address)


def parse(message):
    """The message's number and its other cells, or None for both if it is none of a client."""
    try:
        cells = bytes(message).decode().split(",")
        if len(cells) == CELLS and all(not cell or is_number(cell) for cell in cells):
            return int(cells[0]), cells[1:]
    except (UnicodeError, ValueError):
        pass
    return None, None


def is_number(cell):
    # float() also accepts spaces, line feeds, nan and underscores.
    return len(cell) <= 16 and all(sign in "0123456789.-+e" for sign in cell) and float(cell) is not None


def rssi_of(radio, address):
    row = radio.peers_table.get(address)
    return row[0] if row else None


def main():
    watchdog = Watchdog(config.WATCHDOG_S)
    wlan = network.WLAN(network.STA_IF)
    wlan.active(True)
    wlan.config(channel=config.CHANNEL, pm=wlan.PM_NONE)
    own = text_of(wlan.config("mac"))
    radio = espnow.ESPNow()
    radio.config(rxbuf=RECEIVE_BUFFER)
    radio.active(True)
    broker = Broker(sys.stdout.write, config.CLIENTS)
    status_at = None
    while True:
        watchdog.feed()
        if status_at is None or time.ticks_diff(time.ticks_ms(), status_at) >= config.STATUS_S * 1000:
            status_at = time.ticks_ms()
            # In the clients' columns: what it refused, and what came faster than it was written.
            broker.line(own, ["", "", "", "", "", "", str(broker.refused), str(radio.stats()[4]), ""])
        address, message = radio.recv(1000)
        if address is not None:
            broker.receive(address, message, rssi_of(radio, address))


run(main)

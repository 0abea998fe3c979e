"""The `espnow` of a board that is not there: datagrams on 127.0.0.1, to the port that the last two bytes of an address are.
As over the air, a message is acknowledged if the receiver's radio is on, and may be heard twice if that gets lost."""

import errno
import select
import socket

import network
from machine import world

_ACK = b"\x06"


def _place(address):
    return socket.getaddrinfo("127.0.0.1", address[4] << 8 | address[5])[0][-1]


class ESPNow:
    def __init__(self):
        self.peers_table = {}
        self._peers = []
        self._socket = None
        self._lost = 0

    def config(self, **values):
        pass

    def active(self, on):
        if on:
            if not network.WLAN.is_active:
                raise OSError(errno.EIO, "ESP_ERR_ESPNOW_IF")
            self._address = network.WLAN().config("mac")
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind(_place(self._address))
        elif self._socket:
            self._socket.close()
            self._socket = None

    def stats(self):
        return 0, 0, 0, 0, self._lost

    def add_peer(self, address):
        self._peers.append(address)

    def _wait(self, milliseconds):
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return poll.poll(milliseconds)

    def send(self, address, message, sync=True):
        if address not in self._peers:
            raise OSError(errno.ENOENT, "ESP_ERR_ESPNOW_NOT_FOUND")
        if len(message) > 250:
            raise ValueError("message too long")
        data = message.encode() if isinstance(message, str) else bytes(message)
        self._socket.sendto(self._address + data, _place(address))
        if not self._wait(500):
            return False
        return self._socket.recvfrom(300)[0] == _ACK and not world().get("acknowledgements_lost")

    def recv(self, timeout):
        if not self._wait(timeout):
            return None, None
        data = self._socket.recvfrom(300)[0]
        address, message = data[:6], data[6:]
        if data == _ACK:
            return None, None
        try:
            self._socket.sendto(_ACK, _place(address))
        except OSError:
            pass
        self.peers_table[address] = [-55, 0]
        return address, message

"""LoRaWAN peers of the gateway: a packet forwarder (Semtech's PROTOCOL.TXT) and nodes (LoRaWAN 1.0.x), written anew from
these documents, so that gateway and peers share no mistake."""

import base64
import json
import os
import socket
import struct
import time

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from peers import HOST

PUSH_DATA, PUSH_ACK, PULL_DATA, PULL_RESP, PULL_ACK, TX_ACK = range(6)
UP, DOWN = 0, 1


def aes(key, block):
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)


def cmac(key, message):
    code = CMAC(algorithms.AES(key))
    code.update(message)
    return code.finalize()[:4]


def crypt(key, direction, address, fcnt, payload):
    """FRMPayload from or to the clear (LoRaWAN 1.0.4, 4.3.3)."""
    stream = b""
    for i in range(1, (len(payload) + 15) // 16 + 1):
        stream += aes(key, struct.pack("<B4xB4sIxB", 1, direction, address, fcnt, i))
    return bytes(a ^ b for a, b in zip(payload, stream, strict=False))


def data_mic(key, direction, address, fcnt, message):
    return cmac(key, struct.pack("<B4xB4sIxB", 0x49, direction, address, fcnt, len(message)) + message)


class Node:
    """A device: with a session (`address`, `nwk`, `app`), or with `app_key` to join with."""

    def __init__(self, dev_eui, *, address=None, nwk=None, app=None, join_eui="70b3d57ed0000001", app_key=None):
        self.dev_eui, self.join_eui = dev_eui, join_eui
        self.address = bytes.fromhex(address)[::-1] if address else None
        self.nwk, self.app = nwk and bytes.fromhex(nwk), app and bytes.fromhex(app)
        self.app_key = app_key and bytes.fromhex(app_key)
        self.fcnt = self.nonce = 0

    def uplink(self, payload, port=2, confirmed=False, fopts=b"", acknowledges=False):
        """The next data frame; `payload` None: without a port."""
        fcnt, self.fcnt = self.fcnt, self.fcnt + 1
        control = len(fopts) | (0x20 if acknowledges else 0)
        head = bytes([0x80 if confirmed else 0x40]) + self.address + struct.pack("<BH", control, fcnt & 0xFFFF) + fopts
        if payload is not None:
            key = self.nwk if port == 0 else self.app
            head += bytes([port]) + crypt(key, UP, self.address, fcnt, payload)
        return head + data_mic(self.nwk, UP, self.address, fcnt, head)

    def join_request(self):
        self.nonce += 1
        numbers = bytes.fromhex(self.join_eui)[::-1] + bytes.fromhex(self.dev_eui)[::-1]
        message = b"\0" + numbers + struct.pack("<H", self.nonce)
        return message + cmac(self.app_key, message)

    def open_accept(self, frame):
        """Takes the session of a join accept; returns its fields."""
        assert frame[0] == 0x20, frame.hex()
        # A node decrypts by encrypting (6.2.5).
        body = b"".join(aes(self.app_key, frame[i : i + 16]) for i in range(1, len(frame), 16))
        assert cmac(self.app_key, frame[:1] + body[:-4]) == body[-4:]
        app_nonce, net_id, address = body[:3], body[3:6], body[6:10]
        seed = app_nonce + net_id + struct.pack("<H", self.nonce) + bytes(7)
        self.nwk, self.app = aes(self.app_key, b"\1" + seed), aes(self.app_key, b"\2" + seed)
        self.address, self.fcnt = address, 0
        return {"net_id": net_id[::-1].hex(), "delay": body[11], "address": address[::-1].hex()}

    def open_downlink(self, frame):
        """What a data frame says: its counter, whether it acknowledges, and port and payload in the clear."""
        assert frame[0] in (0x60, 0xA0) and frame[1:5] == self.address, frame.hex()
        control, fcnt = frame[5], struct.unpack_from("<H", frame, 6)[0]
        assert data_mic(self.nwk, DOWN, self.address, fcnt, frame[:-4]) == frame[-4:]
        rest = frame[8 + (control & 15) : -4]
        port = rest[0] if rest else None
        payload = crypt(self.nwk if port == 0 else self.app, DOWN, self.address, fcnt, rest[1:])
        return {"fcnt": fcnt, "ack": bool(control & 0x20), "port": port, "payload": payload, "confirmed": frame[0] == 0xA0}


class Forwarder:
    """A packet forwarder, version 2; `pull` before it can be sent to."""

    def __init__(self, port, eui="aa555a0000000101", host=HOST):
        self.eui = bytes.fromhex(eui)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.connect((HOST, port))
        self.waiting = []
        self.tmst = 1_000_000

    def send(self, kind, body=b"", version=2):
        token = os.urandom(2)
        self.socket.send(bytes([version]) + token + bytes([kind]) + self.eui + body)
        return token

    def _receive(self, timeout):
        self.socket.settimeout(timeout)
        datagram = self.socket.recv(65536)
        return datagram[3], datagram[1:3], datagram[4:]

    def _answered(self, kind, token):
        while True:
            found, theirs, body = self._receive(10)
            if (found, theirs) == (kind, token):
                return
            self.waiting.append((found, theirs, body))

    def pull(self):
        self._answered(PULL_ACK, self.send(PULL_DATA))

    def rxpk(self, frame, **fields):
        self.tmst = (self.tmst + 1_000_000) % 2**32
        rxpk = {"tmst": self.tmst, "freq": 868.1, "chan": 0, "rfch": 0, "stat": 1, "modu": "LORA", "datr": "SF7BW125"}
        rxpk |= {"codr": "4/5", "rssi": -90, "lsnr": 5.5, "size": len(frame), "data": base64.b64encode(frame).decode()}
        return {name: value for name, value in (rxpk | fields).items() if value is not None}

    def push(self, *frames, **fields):
        """One PUSH_DATA with these frames, acknowledged."""
        rows = [self.rxpk(frame, **fields) for frame in frames]
        self._answered(PUSH_ACK, self.send(PUSH_DATA, json.dumps({"rxpk": rows}).encode()))

    def downlink(self, timeout=20, error="NONE"):
        """The next frame that is to be sent, and how (txpk); its sending is confirmed."""
        deadline = time.monotonic() + timeout
        while True:
            if self.waiting:
                kind, token, body = self.waiting.pop(0)
            else:
                kind, token, body = self._receive(max(0.01, deadline - time.monotonic()))
            if kind == PULL_RESP:
                answer = json.dumps({"txpk_ack": {"error": error}}).encode()
                self.socket.send(bytes([2]) + token + bytes([TX_ACK]) + self.eui + answer)
                txpk = json.loads(body)["txpk"]
                return base64.b64decode(txpk["data"] + "=="), txpk

    def answer(self, node, timeout=20):
        """The next downlink to `node` with a payload or an acknowledgement, opened, and its txpk; MAC commands alone
        (the network asks for the battery once a day) and other nodes' frames are passed over."""
        deadline = time.monotonic() + timeout
        while True:
            frame, txpk = self.downlink(max(0.01, deadline - time.monotonic()))
            if frame[0] != 0x20 and frame[1:5] == node.address:
                said = node.open_downlink(frame)
                if said["ack"] or said["port"]:
                    return said, txpk

    def hears_nothing(self, seconds):
        """Whether it is asked to send neither a join accept nor anything else in that time."""
        try:
            frame, _ = self.downlink(seconds)
        except TimeoutError:
            return True
        raise AssertionError(f"asked to send {frame.hex()}")

    def hears_nothing_for(self, node, seconds):
        """The same of payloads and acknowledgements to one node."""
        try:
            said, _ = self.answer(node, seconds)
        except TimeoutError:
            return True
        raise AssertionError(f"asked to send {said}")

    def close(self):
        self.socket.close()


ABP = {"address": "26011bda", "nwk": "11" * 16, "app": "22" * 16}
APP_KEY = "33" * 16


def abp_table(name, dev_eui, more="", extra=""):
    """[devices.<name>] of a node made with `ABP`; `more` goes into its `lorawan`, `extra` into its table."""
    keys = f'dev_eui = "{dev_eui}", dev_addr = "{ABP["address"]}", nwk_skey = "{ABP["nwk"]}", app_skey = "{ABP["app"]}"'
    return f'[devices.{name}]\ncodec = "node"\n{extra}\nlorawan = {{ {keys}, rx_delay = 5{more} }}\n'


def otaa_table(name, dev_eui, more="", extra=""):
    keys = f'dev_eui = "{dev_eui}", join_eui = "70b3d57ed0000001", app_key = "{APP_KEY}"'
    return f'[devices.{name}]\ncodec = "node"\n{extra}\nlorawan = {{ {keys}{more} }}\n'


def adapter_table(port, more=""):
    return f'[adapters.lorawan.roof]\nlisten = "{HOST}:{port}"\nregion = "EU868"\n{more}\n'

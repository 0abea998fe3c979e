"""TCP proxies that know MQTT: they record what passes, lose connections at the worst moment, and fall silent.

All proxies of a run live in one thread, on one event loop. Directions: `up` is from who connected to who listens.
"""

import asyncio
import threading

from chaos import packets
from chaos.packets import PUBACK, PUBLISH
from peers import HOST, free_port

BOTH = frozenset(("up", "down"))


class Network:
    """The event loop of all proxies."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def call(self, function, *arguments):
        """On the proxies' thread; returns when it is done."""

        async def called():
            return function(*arguments)

        return self.run(called())

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)


class Connection:
    """One client's connection: two pairs of streams."""

    def __init__(self, number, silent):
        self.name = number
        self.version = None
        self.silent = set(silent)
        self.writers = []

    def end(self, *, abruptly):
        for writer in self.writers:
            if abruptly:
                writer.transport.abort()
            else:
                writer.close()


class Proxy:
    """Listens on `port`, passes on to `target`. What goes in direction `publishes`, and its PUBACKs, are recorded."""

    def __init__(self, network, name, target, publishes, record):
        self.name, self.port, self.target = name, free_port(), target
        self._network, self._publishes, self._record = network, publishes, record
        self._connections, self._count = set(), 0
        self._hole = frozenset()
        self._cut = None
        self._alarm = None
        self._server = network.run(asyncio.start_server(self._accept, HOST, self.port))

    # Faults. Each may be called from any thread.

    def cut(self, how):
        """Ends connections: all `now`; or one, at its next PUBLISH or PUBACK.

        `after-publish`: the PUBLISH still arrives. `in-publish`: half of it does. `before-puback`: the PUBACK does not.
        """
        self._network.call(self._set_cut, how)

    def _set_cut(self, how):
        if how == "now":
            self._end_all(self._connections)
        else:
            self._cut = how

    def silence(self, directions):
        """Half-open: the connections that there are pass nothing on any more in these directions, and stay open."""
        self._network.call(lambda: [c.silent.update(directions) for c in self._connections])

    def open_hole(self):
        """As if the cable were pulled: nothing passes, nothing is closed, new connections lead nowhere."""
        self._hole = BOTH
        self.silence(BOTH)

    def close_hole(self):
        """New connections work; those that fell silent stay so, until one of their ends gives up."""
        self._hole = frozenset()

    def alarm(self, kind, call):
        """Calls once, on the proxies' thread, straight after the next PUBLISH or PUBACK was passed on."""
        self._alarm = (kind, call)

    def calm(self):
        """No more faults; what cannot recover by itself is closed."""
        self._hole, self._cut, self._alarm = frozenset(), None, None
        self._network.call(lambda: self._end_all(c for c in self._connections if c.silent))

    def close(self):
        self._network.call(self._server.close)
        self._network.call(self._end_all, self._connections)

    # Connections.

    def _end_all(self, connections):
        for connection in list(connections):
            connection.end(abruptly=True)

    async def _accept(self, reader, writer):
        self._count += 1
        connection = Connection(f"{self.name}#{self._count}", self._hole)
        connection.writers.append(writer)
        self._connections.add(connection)
        try:
            target_reader, target_writer = await asyncio.open_connection(HOST, self.target)
            connection.writers.append(target_writer)
            await asyncio.gather(
                self._pump(connection, "up", reader, target_writer),
                self._pump(connection, "down", target_reader, writer),
            )
        except OSError:
            pass
        except Exception as error:  # This thread is the only one that sees it.
            self._record.problems.append(f"proxy {self.name}: {error!r}")
        finally:
            connection.end(abruptly=True)
            self._connections.discard(connection)

    async def _pump(self, connection, direction, reader, writer):
        splitter = packets.Splitter()
        try:
            while data := await reader.read(65536):
                for packet in splitter.feed(data):
                    self._pass(connection, direction, packet, writer)
                await writer.drain()
        except OSError:
            pass
        # The end of a connection is not visible over a dead line.
        if not connection.silent:
            connection.end(abruptly=False)

    def _pass(self, connection, direction, packet, writer):
        if packet.kind == packets.CONNECT:
            connection.version = packet.version
        is_publish = packet.kind == PUBLISH and direction == self._publishes
        is_puback = packet.kind == PUBACK and direction != self._publishes
        passed = packet.raw
        cut = self._take_cut(is_publish, is_puback)
        if direction in connection.silent or writer.is_closing() or cut == "before-puback":
            passed = b""
        elif cut == "in-publish":
            passed = packet.raw[: len(packet.raw) // 2]
        if passed:
            writer.write(passed)
        whole = len(passed) == len(packet.raw)
        if is_publish:
            self._record.publish(connection.name, packets.publish(packet, connection.version), whole)
        if is_puback:
            self._note_puback(connection, packet, whole)
        if cut:
            # Not abruptly: what was written is to arrive.
            connection.end(abruptly=False)
        if (is_publish or is_puback) and self._alarm and self._alarm[0] == packet.kind:
            (_, call), self._alarm = self._alarm, None
            call()

    def _note_puback(self, connection, packet, whole):
        packet_id, granted = packets.puback(packet)
        if granted:
            self._record.puback(connection.name, packet_id, whole)

    def _take_cut(self, is_publish, is_puback):
        """The cut that was waiting for this packet."""
        waiting_for_this = is_puback if self._cut == "before-puback" else is_publish and self._cut is not None
        if not waiting_for_this:
            return None
        cut, self._cut = self._cut, None
        return cut

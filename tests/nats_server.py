"""Real NATS servers with JetStream in folders of their own, alone or as a cluster, and what their streams hold."""

import asyncio
import json
import sys
from pathlib import Path

import nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError, ServiceUnavailableError

from peers import HOST, wait_until
from server_process import ServerProcess

USER, PASSWORD = "riser", "grün & 1"
PROGRAM = Path(sys.executable).parent / "nats-server"


class NatsServer(ServerProcess):
    """`cluster`: routes of all its servers, this one's first. `certificates`: the server speaks TLS."""

    def __init__(self, folder, name="n0", routes=(), certificates=None):
        super().__init__(folder)
        self.scheme = "tls" if certificates else "nats"
        self.certificates = certificates
        lines = [
            f"server_name: {name}",
            f"listen: {HOST}:{self.port}",
            f'jetstream {{ store_dir: "{folder}/store" }}',
            f'accounts {{ A {{ jetstream: enabled, users: [{{ user: {USER}, password: "{PASSWORD}" }}] }} }}',
        ]
        if routes:
            others = ", ".join(f"nats://{HOST}:{port}" for port in routes)
            lines.append(f"cluster {{ name: c, listen: {HOST}:{routes[0]}, routes: [{others}] }}")
        if certificates:
            lines.append(f'tls {{ cert_file: "{certificates.server_cert}", key_file: "{certificates.server_key}" }}')
        (folder / "nats.conf").write_text("\n".join(lines))

    @property
    def url(self):
        return f"{self.scheme}://{HOST}:{self.port}"

    def start(self):
        self.launch([PROGRAM, "-c", self.folder / "nats.conf"])
        wait_until(lambda: b"Server is ready" in (self.folder / "log").read_bytes().rpartition(b"Starting nats-server")[2], 20)
        return self


def ask(servers, question):
    """What the coroutine `question(js)` returns."""

    async def run():
        servers_ = [server.url for server in servers]
        client = await nats.connect(servers_, user=USER, password=PASSWORD, connect_timeout=5, max_reconnect_attempts=3)
        try:
            return await question(client.jetstream(timeout=10))
        finally:
            await client.close()

    return asyncio.run(run())


def messages(servers, stream="riser"):
    """Subject, headers and JSON of each message of a stream; none while there is no stream."""

    async def read(js):
        try:
            count = (await js.stream_info(stream)).state.messages
        except NotFoundError:
            return []
        setting = ConsumerConfig(ack_policy=AckPolicy.NONE, deliver_policy=DeliverPolicy.ALL, mem_storage=True)
        found = []
        subscription = await js.pull_subscribe("", stream=stream, config=setting)
        while len(found) < count:
            found += await subscription.fetch(min(256, count - len(found)), timeout=10)
        await subscription.unsubscribe()
        return [(message.subject, message.headers, json.loads(message.data)) for message in found]

    # In a cluster that has lost a server, the consumer may be placed on that one.
    for _ in range(5):
        try:
            return ask(servers, read)
        except nats.errors.TimeoutError:
            continue
    return ask(servers, read)


def make_stream(servers, **options):
    """Tried again while the servers of a cluster have not met yet."""

    def is_made():
        try:
            return ask(servers, lambda js: js.add_stream(StreamConfig(**options)))
        except (BadRequestError, ServiceUnavailableError, nats.errors.TimeoutError):
            return None

    wait_until(is_made, 30, what="the stream")

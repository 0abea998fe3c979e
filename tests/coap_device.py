"""CoAP devices for the gateway to talk to: aiocoap in a thread, libcoap's example servers as they come."""

import asyncio
import subprocess
import threading

import aiocoap
import aiocoap.resource

from peers import HOST, free_port, wait_until


class Value(aiocoap.resource.ObservableResource):
    """A resource with a value; PUT changes it."""

    def __init__(self, text, format=0, max_age=60, observable=True, etag=False):
        super().__init__()
        self.payload, self.format, self.max_age = text.encode(), format, max_age
        self.observable, self.etag = observable, etag
        self.asked, self.written, self.valid = 0, [], 0

    async def add_observation(self, request, observation):
        if self.observable:
            await super().add_observation(request, observation)

    async def render_get(self, request):
        self.asked += 1
        answer = aiocoap.Message(payload=self.payload, content_format=self.format, max_age=self.max_age)
        if self.etag:
            aiocoap.resource.hashing_etag(request, answer)
            self.valid += answer.code == aiocoap.VALID
        return answer

    async def render_put(self, request):
        self.written.append((request.opt.content_format, request.payload))
        self.payload = request.payload
        self.updated_state()
        return aiocoap.Message(code=aiocoap.CHANGED)

    @property
    def observers(self):
        return len(self._observations)


class Large(aiocoap.resource.Resource):
    """A resource that is no datagram: aiocoap gives it in blocks where it cannot be observed."""

    def __init__(self, text, format):
        super().__init__()
        self.payload, self.format = text.encode(), format
        self._observations = set()

    async def render_get(self, request):
        return aiocoap.Message(payload=self.payload, content_format=self.format)


class Device:
    """An aiocoap server on a port of its own, which can be switched off and on."""

    def __init__(self, **resources):
        self.port = free_port()
        self.resources = resources
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._context = None
        self.on()

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def on(self):
        """Starts; it remembers no observer."""

        async def start():
            site = aiocoap.resource.Site()
            for name, resource in self.resources.items():
                resource._observations = set()
                site.add_resource([name], resource)
            return await aiocoap.Context.create_server_context(site, bind=(HOST, self.port))

        self._context = self._call(start())

    def off(self):
        """Silent from now on, and without a good-bye."""
        context, self._context = self._context, None
        self._call(context.shutdown())

    def set_value(self, name, text):
        """A new value, of which observers hear."""

        async def update():
            self.resources[name].payload = text.encode()
            self.resources[name].updated_state()

        self._call(update())

    def url(self, name):
        return f"coap://{HOST}:{self.port}/{name}"

    def close(self):
        if self._context:
            self.off()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


class Libcoap:
    """libcoap's example server: `/time` changes every second, `/example_data` takes what it is PUT."""

    def __init__(self, folder, program="coap-server-notls", key=None):
        self.port = free_port()
        self.program = program
        self.arguments = ["-A", HOST, "-p", str(self.port), "-v", "7"] + (["-k", key] if key else [])
        self.output = folder / f"{program}-{self.port}.log"
        self.start()

    def start(self):
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen([self.program, *self.arguments], stdout=output, stderr=output)

    def log(self):
        return self.output.read_text(errors="replace")

    def wait_log(self, text, timeout=20.0):
        wait_until(lambda: text in self.log(), timeout, lambda: f"{text!r} in:\n{self.log()[-3000:]}")

    def url(self, path, secured=False):
        """DTLS is at the next port."""
        return f"coaps://{HOST}:{self.port + 1}/{path}" if secured else f"coap://{HOST}:{self.port}/{path}"

    def stop(self):
        self.process.kill()
        self.process.wait(10)

    def close(self):
        if self.process.poll() is None:
            self.stop()

"""Objects with interfaces, properties and methods on a D-Bus connection, as BlueZ's gdbus serves them."""

import inspect
import threading
from dataclasses import dataclass

from dbus_fast import Message, MessageFlag, MessageType, Variant
from dbus_fast.aio import MessageBus

OBJECTS = "org.freedesktop.DBus.ObjectManager"
PROPERTIES = "org.freedesktop.DBus.Properties"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
UNKNOWN_OBJECT = "org.freedesktop.DBus.Error.UnknownObject"

DOCTYPE = """<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"
"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">
"""


class DBusError(Exception):
    """What a method answers with; `name` is the error's."""

    def __init__(self, name, text):
        super().__init__(text)
        self.name, self.text = name, text


def bluez_error(kind, text):
    return DBusError(f"org.bluez.Error.{kind}", text)


@dataclass
class Call:
    """A call as it came in."""

    path: str
    interface: str
    member: str
    body: list
    sender: str


class Object:
    """An object's interfaces, each a table of properties (Variants). A subclass has methods: `self.methods[member]` is
    called with (sender, *arguments) and returns (signature, body), nothing, or a coroutine of these."""

    def __init__(self, server, path):
        self.server, self.path = server, path
        self.interfaces = {}
        self.methods = {}

    def set_property(self, interface, name, value):
        raise DBusError("org.freedesktop.DBus.Error.PropertyReadOnly", f"Property '{name}' is not writable")

    def change(self, interface, **values):
        """Sets properties and reports them in one signal; None removes one."""
        properties = self.interfaces[interface]
        gone = [name for name, value in values.items() if value is None and name in properties]
        changed = {name: value for name, value in values.items() if value is not None}
        for name in gone:
            del properties[name]
        properties.update(changed)
        if changed or gone:
            self.server.signal(self.path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, changed, gone])

    def sender_gone(self, sender):
        """A client has left the bus."""


class Server:
    """A connection with a well-known name. Runs in one event loop; only `calls` is read from elsewhere."""

    def __init__(self, address, name):
        self._address, self._name = address, name
        self.bus = None
        self.objects = {}
        self.calls = []
        self._calls_lock = threading.Lock()
        self._refusals = {}
        self._hanging = {}

    async def start(self):
        self.bus = await MessageBus(bus_address=self._address).connect()
        self.bus.add_message_handler(self._receive)
        rule = "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'"
        await self.ask("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", "s", [rule])
        await self.bus.request_name(self._name)

    async def stop(self):
        """The process has ended: its name and all its objects are gone, without a signal for each."""
        self.objects.clear()
        self._hanging = {member: [] for member in self._hanging}
        bus, self.bus = self.bus, None
        if bus:
            bus.disconnect()
            await bus.wait_for_disconnect()

    def add(self, thing):
        self.objects[thing.path] = thing
        body = [thing.path, thing.interfaces]
        self.signal("/", OBJECTS, "InterfacesAdded", "oa{sa{sv}}", body)

    def remove(self, path):
        thing = self.objects.pop(path)
        self.signal("/", OBJECTS, "InterfacesRemoved", "oas", [path, [*thing.interfaces]])

    def below(self, path):
        return [thing for other, thing in self.objects.items() if other.startswith(path + "/")]

    def signal(self, path, interface, member, signature, body):
        if self.bus:
            self.bus.send(
                Message(
                    message_type=MessageType.SIGNAL,
                    path=path,
                    interface=interface,
                    member=member,
                    signature=signature,
                    body=body,
                )
            )

    def _message(self, to, path, interface, member, signature, body):
        return Message(destination=to, path=path, interface=interface, member=member, signature=signature, body=body)

    async def ask(self, to, path, interface, member, signature="", body=()):
        reply = await self.bus.call(self._message(to, path, interface, member, signature, [*body]))
        if reply.message_type is MessageType.ERROR:
            raise DBusError(reply.error_name, str(reply.body))
        return reply.body

    def send_call(self, to, path, interface, member, signature="", body=()):
        """A call without an answer."""
        message = self._message(to, path, interface, member, signature, [*body])
        message.flags = MessageFlag.NO_REPLY_EXPECTED
        self.bus.send(message)

    def refuse(self, member, error):
        self._refusals[member] = error

    def allow(self, member):
        self._refusals.pop(member, None)

    def hang(self, member):
        self._hanging.setdefault(member, [])

    def resume(self, member):
        """Answers what has waited too."""
        for message in self._hanging.pop(member, []):
            self._receive(message)

    def _receive(self, message):
        if message.message_type is MessageType.SIGNAL and message.member == "NameOwnerChanged":
            name, _, now = message.body
            if not now:
                for thing in [*self.objects.values()]:
                    thing.sender_gone(name)
            return None
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        with self._calls_lock:
            self.calls.append(Call(message.path, message.interface, message.member, message.body, message.sender))
        held = self._hanging.get(message.member, self._hanging.get("*"))
        if held is not None:
            held.append(message)
            return True
        try:
            result = self._call(message)
        except DBusError as error:
            self._fail(message, error)
            return True
        if inspect.isawaitable(result):
            self.bus._loop.create_task(self._finish(message, result))
        else:
            self._answer(message, result)
        return True

    async def _finish(self, message, coroutine):
        try:
            self._answer(message, await coroutine)
        except DBusError as error:
            self._fail(message, error)

    def _answer(self, message, result):
        signature, body = result or ("", [])
        self._send(message, Message.new_method_return(message, signature, body))

    def _fail(self, message, error):
        self._send(message, Message.new_error(message, error.name, error.text))

    def _send(self, message, reply):
        if self.bus and not message.flags & MessageFlag.NO_REPLY_EXPECTED:
            self.bus.send(reply)

    def _call(self, message):
        if error := self._refusals.get(message.member):
            raise error
        if message.path == "/" and message.member == "GetManagedObjects":
            return "a{oa{sa{sv}}}", [{path: thing.interfaces for path, thing in self.objects.items()}]
        thing = self.objects.get(message.path)
        if thing and message.interface == PROPERTIES:
            return self._property(thing, message.member, *message.body)
        if thing and message.interface == INTROSPECTABLE:
            return "s", [self._introspect(thing)]
        method = thing and message.interface in thing.interfaces and thing.methods.get(message.member)
        if not method:
            text = f'Method "{message.member}" with signature "{message.signature}" on interface'
            raise DBusError(UNKNOWN_OBJECT, f'{text} "{message.interface}" doesn\'t exist\n')
        return method(message.sender, *message.body)

    def _introspect(self, thing):
        """The object's interfaces, and the names of the objects right below it; methods and properties are left out."""
        names = [*thing.interfaces, INTROSPECTABLE, PROPERTIES]
        interfaces = "".join(f'<interface name="{name}"></interface>' for name in names)
        below = [other.path.rsplit("/", 1) for other in self.below(thing.path)]
        nodes = "".join(f'<node name="{name}"/>' for parent, name in below if parent == thing.path)
        return f"{DOCTYPE}<node>{interfaces}{nodes}</node>"

    def _property(self, thing, member, interface, *arguments):
        properties = thing.interfaces.get(interface)
        if properties is None:
            raise DBusError("org.freedesktop.DBus.Error.InvalidArgs", f"No such interface '{interface}'")
        if member == "GetAll":
            return "a{sv}", [properties]
        if arguments[0] not in properties:
            raise DBusError("org.freedesktop.DBus.Error.InvalidArgs", f"No such property '{arguments[0]}'")
        if member == "Get":
            return "v", [properties[arguments[0]]]
        return thing.set_property(interface, arguments[0], arguments[1].value)


def text(value):
    return Variant("s", value)


def flag(value):
    return Variant("b", value)


def octets(value):
    return Variant("ay", bytes(value))

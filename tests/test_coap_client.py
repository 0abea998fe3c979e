"""CoAP from the gateway's side: it observes and polls devices, and alerts' actions switch them."""

import pytest

from coap_device import Device, Large, Libcoap, Value
from gateway import HEALTH_EVERY_SECOND, ID, config
from peers import HOST, wait_until
from readings import now_millis

SLOW_WINDOWS = 'window = "5m"\nlateness = "10s"'
KEY = "sixteen byte key"
JSON, XML = 50, 41


def coap(*observe, more=""):
    """[adapters.coap.lan] with these rows of `observe`: a url and the rest of its keys."""
    rows = ",\n".join(f'  {{ url = "{url}", {keys} }}' for url, keys in observe)
    return f"[adapters.coap.lan]\nobserve = [\n{rows}\n]\n{more}"


@pytest.fixture
def device(started):
    """A factory of aiocoap devices with the named resources."""
    return lambda **resources: started.keep(Device(**resources))


@pytest.fixture
def libcoap(started, tmp_path):
    """A factory of libcoap's servers."""
    return lambda *arguments: started.keep(Libcoap(tmp_path, *arguments))


def values(received, device, metric):
    """The reported values of a series: the last of each window."""
    aggregates = received.aggregates(device)
    return [a["metrics"][metric]["last"] for a in aggregates if metric in a["metrics"]]


def wait_value(received, device, metric, value, timeout=30):
    received.wait_for(lambda: value in values(received, device, metric), timeout, f"{metric} {value} of {device}")


def wait_readings(received, device, metric, count, timeout=30):
    received.wait_for(lambda: received.count(device, metric) >= count, timeout, f"{count} readings of {device} {metric}")


def test_notifications_become_readings_of_the_device_that_the_configuration_names(main_job, received, device):
    ahu = device(
        temperature=Value("20.5"),
        all=Value('{"co2": 415, "fan": {"speed": 3}}', format=JSON),
        senml=Value('[{"n":"humidity","u":"%RH","v":47.5}]', format=110),
    )
    gateway = main_job(
        more=coap(
            (ahu.url("temperature"), 'device = "ahu-3", metric = "temperature"'),
            (ahu.url("all"), 'device = "ahu-3"'),
            (ahu.url("senml"), 'device = "ahu-3"'),
        )
    )
    for metric, value in (("temperature", 20.5), ("co2", 415), ("fan.speed", 3), ("humidity", 47.5)):
        wait_value(received, "ahu-3", metric, value)
    ahu.set_value("temperature", "21.5")
    wait_value(received, "ahu-3", "temperature", 21.5)
    assert ahu.resources["temperature"].asked == 2  # by us, and by aiocoap for the notification
    assert gateway.stop() == 0
    assert ahu.resources["temperature"].observers == 0  # it was told that no observer is left
    ledger = gateway.audit()
    assert ledger["adapters"]["coap.lan"]["in"] == 5 and ledger["dropped"] == {}


def test_a_device_that_restarts_is_observed_again_when_its_value_is_stale(main_job, received, device):
    ahu = device(temperature=Value("20", max_age=1))
    main_job(more=coap((ahu.url("temperature"), 'device = "ahu-3", metric = "temperature"')))
    wait_value(received, "ahu-3", "temperature", 20)
    ahu.off()
    ahu.resources["temperature"].payload = b"30"
    ahu.on()
    wait_value(received, "ahu-3", "temperature", 30)
    ahu.set_value("temperature", "31")
    wait_value(received, "ahu-3", "temperature", 31)


def test_a_device_that_dies_is_heard_again_when_it_is_back_and_others_meanwhile(main_job, received, device):
    dead = device(temperature=Value("20", max_age=1))
    well = device(temperature=Value("1", max_age=1))
    main_job(
        more=coap(
            (dead.url("temperature"), 'device = "dead", metric = "temperature"'),
            (well.url("temperature"), 'device = "well", metric = "temperature"'),
            ("coap://no-such-device.invalid/t", 'device = "nobody"'),
        )
    )
    wait_value(received, "dead", "temperature", 20)
    dead.off()
    asked = well.resources["temperature"].asked
    well.set_value("temperature", "2")
    wait_value(received, "well", "temperature", 2)
    # Long enough for the first questions to the dead one to be lost.
    wait_until(lambda: well.resources["temperature"].asked > asked + 2, 60, "the other device asked again and again")
    dead.resources["temperature"].payload = b"21"
    dead.on()
    wait_value(received, "dead", "temperature", 21, 60)


def test_a_device_that_ignores_observe_is_polled_and_a_value_that_is_still_valid_is_a_reading(main_job, received, device):
    old = device(temperature=Value("20", observable=False), valid=Value("5", observable=False, etag=True))
    main_job(
        more=coap(
            (old.url("temperature"), 'device = "old", metric = "temperature", every = "1s"'),
            (old.url("valid"), 'device = "old", metric = "valid", every = "1s"'),
        )
    )
    wait_readings(received, "old", "temperature", 3)
    wait_readings(received, "old", "valid", 3)
    assert old.resources["valid"].valid >= 2
    old.set_value("temperature", "22")
    wait_value(received, "old", "temperature", 22)


def test_health_says_of_each_resource_how_it_is_and_what_cannot_be_read_is_counted(main_job, received, device):
    odd = device(
        good=Value("1"),
        xml=Value("<t>1</t>", format=XML),
        text=Value("warm"),
        huge=Large('{"t": 1, "pad": "' + "x" * 100_000 + '"}', format=JSON),
        large=Large('{"t": 2, "pad": "' + "x" * 20_000 + '"}', format=JSON),
    )
    gateway = main_job(
        gateway=HEALTH_EVERY_SECOND,
        more=coap(
            (odd.url("good"), 'device = "odd", metric = "good"'),
            (odd.url("xml"), 'device = "odd"'),
            (odd.url("text"), 'device = "odd", metric = "text"'),
            (odd.url("huge"), 'device = "odd"'),
            (odd.url("large"), 'device = "odd"'),
            (odd.url("missing"), 'device = "odd"'),
        )
    )
    wait_value(received, "odd", "t", 2)
    ledger = gateway.wait_ledger(bad_payload=2)
    assert ledger["adapters"]["coap.lan"]["in"] == 4
    topic = f"building/gateways/{ID}/health"

    def reported():
        return {} if not received.on(topic) else received.on(topic)[-1]["adapters"]["coap.lan"].get("observed", {})

    def is_settled():
        return reported() and all(part["state"] != "starting" for part in reported().values())

    received.wait_for(is_settled, 75, "health, once each has answered")
    states = {url.rsplit("/", 1)[1]: part for url, part in reported().items()}
    assert {name: part["state"] for name, part in states.items()} == {
        "good": "observing",
        "xml": "observing",
        "text": "observing",
        "large": "polling",
        "huge": "down",
        "missing": "down",
    }
    assert "last_error" not in states["good"] and states["good"]["since"]
    assert "content format 41" in states["xml"]["last_error"]
    assert "65536 bytes" in states["huge"]["last_error"]
    assert "4.04" in states["missing"]["last_error"] and states["missing"]["last_error_at"]


def test_an_alert_switches_a_device(main_job, received, sensor, device):
    ahu = device(relay=Value("0"), lamp=Value("{}", format=JSON))
    gateway = main_job(
        gateway=HEALTH_EVERY_SECOND,
        aggregate=SLOW_WINDOWS,
        more=coap(more='listen = "127.0.0.1:0"\n').replace("observe = [\n\n]\n", "")
        + '[alerts.too-hot]\nmetric = "temperature"\nabove = 40.0\nclear_by = 0.5\nactions = [\n'
        f'  {{ adapter = "coap.lan", url = "{ahu.url("relay")}", payload = "1" }},\n'
        f'  {{ adapter = "coap.lan", url = "{ahu.url("lamp")}", method = "PUT", format = "json", payload = \'{{"on":true}}\' }},\n'
        f'  {{ adapter = "coap.lan", url = "{ahu.url("none")}", method = "POST", payload = "1" }},\n'
        "]\n",
    )
    sensor.send("sensors/lounge/telemetry", {"temperature": 41.2, "ts": now_millis()})
    wait_until(lambda: ahu.resources["relay"].written, 10, "the relay to be switched")
    wait_until(lambda: ahu.resources["lamp"].written, 10, "the lamp to be switched")
    assert ahu.resources["relay"].written == [(0, b"1")]
    assert ahu.resources["lamp"].written == [(JSON, b'{"on":true}')]
    gateway.wait_log("action taken")
    gateway.wait_log("the device answered 4.04")
    topic = f"building/gateways/{ID}/health"
    received.wait_for(
        lambda: received.on(topic)
        and sum(received.on(topic)[-1]["adapters"]["coap.lan"].get("actions", {}).values()) == 3,
        what="all actions in health",
    )
    assert received.on(topic)[-1]["adapters"]["coap.lan"]["actions"] == {"done": 2, "failed": 1}


def test_libcoaps_clock_is_observed(main_job, received, libcoap):
    server = libcoap()
    gateway = main_job(more=coap((server.url("time?ticks"), 'device = "clock", metric = "seconds"')))
    wait_readings(received, "clock", "seconds", 4)
    gateway.wait_log("coap: observing")
    now = now_millis() / 1000
    assert all(abs(value - now) < 60 for value in values(received, "clock", "seconds"))


@pytest.mark.parametrize("program", ["coap-server-openssl", "coap-server-gnutls"])
def test_a_device_behind_dtls_is_observed_and_switched_with_its_key(cloud, floor, received, sensor, riser, libcoap, program):
    server = libcoap(program, KEY)
    servers = f'servers = {{ "{HOST}:{server.port + 1}" = {{ identity = "riser", key_file = "ahu.psk" }} }}\n'
    clock = (server.url("time?ticks", secured=True), 'device = "clock", metric = "seconds"')
    rule = (
        '[alerts.too-hot]\nmetric = "temperature"\nabove = 40.0\n'
        f'actions = [ {{ adapter = "coap.lan", url = "{server.url("example_data", secured=True)}", payload = "switched" }} ]\n'
    )
    gateway = riser(config(cloud=cloud.port, floor=floor.port, more=coap(clock, more=servers) + rule))
    (gateway.folder / "ahu.psk").write_text(KEY + "\n")
    (gateway.folder / "ahu.psk").chmod(0o600)
    gateway.start()
    received.wait_online()
    wait_readings(received, "clock", "seconds", 3)
    sensor.send("sensors/lounge/telemetry", {"temperature": 41.2, "ts": now_millis()})
    gateway.wait_log("action taken", 20)
    server.wait_log("switched")


def test_a_wrong_key_hurts_only_its_device(main_job, received, libcoap, device):
    server = libcoap("coap-server-openssl", KEY)
    well = device(temperature=Value("20"))
    servers = f'servers = {{ "{HOST}:{server.port + 1}" = {{ identity = "riser", key = "not the key at all" }} }}\n'
    gateway = main_job(
        more=coap(
            (server.url("time?ticks", secured=True), 'device = "clock", metric = "seconds"'),
            (well.url("temperature"), 'device = "well", metric = "temperature"'),
            more=servers,
        )
    )
    wait_value(received, "well", "temperature", 20)
    gateway.wait_log("no DTLS session: ", 60)
    well.set_value("temperature", "21")
    wait_value(received, "well", "temperature", 21)
    assert received.aggregates("clock") == []


def test_check_says_what_is_wrong_with_an_address_a_key_or_an_action(floor, riser):
    gateway = riser(
        config(
            floor=floor.port,
            more=coap(
                ("coap://10.0.0.9/a b", 'device = "x"'),
                ("coaps://10.0.0.9/t", 'device = "x", every = "10ms"'),
                more='servers = { "ahu-3/x" = { identity = "riser", key = "long enough a key" } }\n',
            )
            + '[alerts.hot]\nmetric = "t"\nabove = 1.0\nactions = [\n'
            '  { adapter = "coap.lan", topic = "x", payload = "1" },\n'
            '  { adapter = "mqtt.floor", topic = "x", url = "coap://10.0.0.9/r", method = "PUT", payload = "1" },\n'
            '  { adapter = "coap.lan", url = "http://10.0.0.9/r", payload = "1" },\n'
            "]\n",
        )
    )
    done = gateway.cli("check", "--config", gateway.config)
    text = done.stdout + done.stderr
    assert done.returncode != 0
    for words in (
        'adapters.coap.lan.observe[0].url: "coap://10.0.0.9/a b" holds a space',
        'there is no identity and key for "10.0.0.9"; write them into `servers`',
        "adapters.coap.lan.observe[1].every: is out of range",
        "write the host of a coaps:// address",
        "alerts.hot.actions[0].topic: is not for CoAP adapters",
        "alerts.hot.actions[0].url: missing",
        "alerts.hot.actions[1].url: is not for MQTT adapters",
        "alerts.hot.actions[1].method: is not for MQTT adapters",
        'alerts.hot.actions[2].url: "http://10.0.0.9/r" is not a CoAP address',
    ):
        assert words in text, f"{words!r} is not in:\n{text}"

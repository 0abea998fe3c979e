"""Records in a real Kafka over TLS: the certificate is checked, logins work, and what is wrong is named with what to do."""

import pytest

from gateway import config
from kafka_server import PASSWORD, USER, Kafka
from peers import HOST, wait_until

SINK = "kafka.events"


@pytest.fixture(scope="module")
def server(tmp_path_factory, certificates):
    broker = Kafka(tmp_path_factory.mktemp("kafka") / "broker", certificates=certificates)
    try:
        yield broker.start()
    finally:
        broker.close()


def sink(port, topic, more="", login=None):
    lines = [f'[sinks.kafka.events]\nbrokers = ["{HOST}:{port}"]\ntopic = "{topic}.{{kind}}"\nsend = ["readings"]', more]
    if login:
        lines.append(f'username = "{USER}"\npassword = "{PASSWORD}"\nmechanism = "{login}"')
    return "\n".join(lines)


@pytest.fixture
def failure(floor, sensor, riser):
    """Runs a gateway with a table that cannot work. Returns it and what it and `riser check` say."""

    def run(table):
        gateway = riser(config(floor=floor.port, more=table)).start()
        gateway.wait_log("connected and subscribed")
        sensor.send("sensors/lounge/telemetry", {"temperature": 1.0})
        wait_until(lambda: gateway.audit()["sinks"][SINK].get("last_error"), 30, what="the error")
        said = gateway.audit()["sinks"][SINK]
        assert (said["queued"], said["dropped"]) == (1, 0)
        check = gateway.cli("check", "--config", gateway.config).stdout
        assert PASSWORD not in gateway.log() + check
        return gateway, said["last_error"], "\n".join(line for line in check.splitlines() if SINK in line)

    return run


def delivered(gateway):
    wait_until(lambda: gateway.audit()["sinks"][SINK]["delivered"] == 1, 40, lambda: gateway.audit()["sinks"])


@pytest.mark.parametrize("login", [None, "plain", "scram-sha-256", "scram-sha-512"])
def test_records_are_delivered_over_tls_with_each_kind_of_login(login, server, certificates, floor, sensor, riser):
    port, topic = server.encrypted["login" if login else "open"], f"tls-{login}"
    table = sink(port, topic, f'ca_file = "{certificates.ca}"', login)
    gateway = riser(config(floor=floor.port, more=table)).start()
    gateway.wait_log("connected and subscribed")
    sensor.send("sensors/lounge/telemetry", {"temperature": 21.5})
    delivered(gateway)
    [(key, body, _)] = server.messages(f"{topic}.readings")
    assert key == "hq-north/lounge" and body["metrics"] == {"temperature": 21.5}
    assert SINK not in "".join(line for line in gateway.cli("check", "--config", gateway.config).stdout.splitlines() if "chmod" not in line)


@pytest.mark.parametrize("authority", ["strange_ca", None])
def test_a_certificate_of_an_authority_that_is_not_trusted_is_named(authority, server, certificates, floor, failure):
    more = f'ca_file = "{getattr(certificates, authority)}"' if authority else "tls = true"
    gateway, error, check = failure(sink(server.encrypted["open"], f"strange-{authority}", more))
    for said in (error, check):
        assert "not signed by a trusted authority; check ca_file" in said, said
    assert f"{HOST}:{server.encrypted['open']}" in error
    gateway.stop()
    gateway.config.write_text(
        config(floor=floor.port, more=sink(server.encrypted["open"], "mended", f'ca_file = "{certificates.ca}"'))
    )
    gateway.start()
    delivered(gateway)


def test_a_certificate_of_another_host_is_named(server, certificates, failure):
    _, error, check = failure(sink(server.encrypted["stranger"], "stranger", f'ca_file = "{certificates.ca}"'))
    for said in (error, check):
        assert "certificate is for another name" in said, said


def test_tls_where_the_broker_has_none_is_named(server, certificates, failure):
    _, error, _ = failure(sink(server.port, "plain", f'ca_file = "{certificates.ca}"'))
    assert "speaks no TLS on that port" in error, error


def test_no_tls_where_the_broker_speaks_it_is_named(server, failure):
    _, error, _ = failure(sink(server.encrypted["open"], "none"))
    assert "does that port want TLS? Look at tls and ca_file" in error, error


def test_a_wrong_password_over_tls_is_named(server, certificates, failure):
    table = sink(server.encrypted["login"], "wrong", f'ca_file = "{certificates.ca}"', "scram-sha-256")
    _, error, check = failure(table.replace(f'password = "{PASSWORD}"', 'password = "another"'))
    for said in (error, check):
        assert "look at username and password_file" in said, said

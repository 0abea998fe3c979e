"""Records in a server of MongoDB's protocol over TLS, with a login by SCRAM: the certificate is checked, and what is wrong is named
with what to do. See mongodb.py for what server it is and what stands in front of it."""

import pytest

from gateway import config
from mongodb import DATABASE, PASSWORD, USER, MongoDb
from peers import HOST, wait_until

SINK = "mongodb.lab"


@pytest.fixture
def server(started, tmp_path):
    def start(certificate=None):
        return started.keep(MongoDb(tmp_path / "mongodb", certificate)).start()

    return start


def sink(server, more="", query="", password=PASSWORD):
    login = f'database = "{DATABASE}"\nusername = "{USER}"\npassword = "{password}"'
    return f'[sinks.mongodb.lab]\nurl = "{server.url}{query}"\n{login}\nsend = ["readings"]\n{more}'


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


def test_records_are_delivered_over_tls_with_a_login(server, certificates, floor, sensor, riser):
    database = server((certificates.server_cert, certificates.server_key))
    gateway = riser(config(floor=floor.port, more=sink(database, f'ca_file = "{certificates.ca}"'))).start()
    gateway.wait_log("connected and subscribed")
    sensor.send("sensors/lounge/telemetry", {"temperature": 21.5})
    wait_until(lambda: gateway.audit()["sinks"][SINK]["delivered"] == 1, 30, lambda: gateway.audit()["sinks"])
    assert [document["metrics"] for document in database.find("readings")] == [{"temperature": 21.5}]
    found = gateway.cli("check", "--config", gateway.config).stdout.splitlines()
    assert not [line for line in found if SINK in line and "chmod" not in line], found


@pytest.mark.parametrize("authority", ["strange_ca", None])
def test_a_certificate_of_an_authority_that_is_not_trusted_is_named(authority, server, certificates, floor, failure):
    database = server((certificates.server_cert, certificates.server_key))
    if authority:
        table = sink(database, f'ca_file = "{getattr(certificates, authority)}"')
    else:
        table = sink(database, query="/?tls=true")
    gateway, error, check = failure(table)
    for said in (error, check):
        assert "not signed by a trusted authority; check ca_file" in said and f"{HOST}:{database.port}" in said, said
    gateway.stop()
    gateway.config.write_text(config(floor=floor.port, more=sink(database, f'ca_file = "{certificates.ca}"')))
    gateway.start()
    wait_until(lambda: gateway.audit()["sinks"][SINK]["delivered"] == 1, 30, lambda: gateway.audit()["sinks"])


def test_a_certificate_of_another_host_is_named(server, certificates, failure):
    database = server((certificates.other_cert, certificates.other_key))
    _, error, check = failure(sink(database, f'ca_file = "{certificates.ca}"'))
    for said in (error, check):
        assert "certificate is for another name" in said, said


def test_tls_where_the_server_has_none_is_named(server, certificates, failure):
    _, error, _ = failure(sink(server(), f'ca_file = "{certificates.ca}"'))
    assert "speaks no TLS on that port" in error, error


def test_no_tls_where_the_server_wants_it_is_named(server, certificates, failure):
    _, error, _ = failure(sink(server((certificates.server_cert, certificates.server_key))))
    assert "does the server want TLS? Set ca_file or ?tls=true" in error, error


def test_a_wrong_password_over_tls_is_named(server, certificates, failure):
    database = server((certificates.server_cert, certificates.server_key))
    _, error, check = failure(sink(database, f'ca_file = "{certificates.ca}"', password="another"))
    for said in (error, check):
        assert "look at username and password_file" in said, said

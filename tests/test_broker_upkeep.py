"""The embedded broker in daily life: `riser check` beside it, a renewed certificate, its figures."""

import shutil
import socket
import ssl

import pytest

from gateway import config
from peers import HOST, free_port, wait_until


@pytest.fixture
def own(tmp_path, certificates):
    """The broker's certificate in files that a test may change."""
    for end in ("pem", "key"):
        shutil.copy(certificates.folder / f"server.{end}", tmp_path / f"broker.{end}")
    return tmp_path / "broker.pem"


@pytest.fixture
def gateway(cloud, riser, own):
    ports = [free_port(), free_port()]
    table = (
        f'[broker]\nlisten = "{HOST}:{ports[0]}"\nlisten_tls = "{HOST}:{ports[1]}"\nanonymous = true\n'
        f'cert_file = "{own}"\nkey_file = "{own.with_suffix(".key")}"\n'
    )
    gateway = riser(config(cloud=cloud.port, more=table)).start()
    gateway.port, gateway.tls_port = ports
    gateway.wait_log("listening for mqtt over TLS")
    return gateway


def shown(gateway):
    return ssl.get_server_certificate((HOST, gateway.tls_port))


def certificate(path):
    return ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(path.read_text()))


def test_a_renewed_certificate_is_shown_after_a_reload(gateway, certificates, own):
    before = certificate(own)
    assert shown(gateway) == before
    old = socket.create_connection((HOST, gateway.tls_port))
    for end in ("pem", "key"):
        shutil.copy(certificates.folder / f"client.{end}", own.with_suffix(f".{end}"))
    gateway.reload()
    wait_until(lambda: shown(gateway) == certificate(own) != before, what="the new certificate")
    # A mistake changes nothing.
    own.with_suffix(".key").write_text("none")
    gateway.reload()
    gateway.wait_log("broker.key_file")
    assert shown(gateway) == certificate(own)
    old.close()


def test_check_beside_a_running_gateway_knows_the_gateways_own_ports(gateway):
    assert "taken" not in gateway.cli("check", "--config", gateway.config, check=0).stdout
    # Another program has the port of another listener.
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        text = gateway.config.read_text().replace("anonymous = true\n", f'anonymous = true\nwebsocket = "{HOST}:{port}"\n')
        gateway.config.write_text(text)
        said = gateway.cli("check", "--config", gateway.config, check=0).stdout
        assert [line for line in said.splitlines() if "taken" in line and f"{HOST}:{port}" in line]
        assert said.count("taken") == 1, said
    gateway.stop()
    with socket.create_server((HOST, gateway.port)):
        said = gateway.cli("check", "--config", gateway.config, check=0).stdout
    assert f"{HOST}:{gateway.port} is taken by another program" in said

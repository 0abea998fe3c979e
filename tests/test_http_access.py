"""Who may come in to the page: passwords, tokens, roles, certificates; and what other sites' pages may not."""

import re
import ssl
import time

import pytest

from gateway import config
from peers import free_port, wait_until
from web import API, Web, http_table

PASSWORD, VIEW = "correct horse battery", "just looking"


@pytest.fixture
def guarded(riser, tmp_path):
    """A running gateway whose page wants a password, or a token."""
    table, web = http_table(
        more=f'password = "{PASSWORD}"\nview_password = "{VIEW}"\nhosts = ["riser.example.com"]\n'
        '[http.tokens.grafana]\ntoken = "0123456789abcdef0123"\n'
    )
    gateway = riser(config(floor=free_port(), more=table)).start()
    web.wait()
    web.gateway = gateway
    return web


def test_without_a_login_nothing_is_shown_but_the_page_and_the_probes(guarded):
    for path in ("/devices", "/overview", "/alerts", "/ledger", "/stream", "/config", "/openapi.json", "/codecs"):
        answer = guarded.ask(API + path)
        assert answer.status == 401, path
        assert "WWW-Authenticate" in answer.headers
    assert guarded.ask("/metrics").status == 401
    assert guarded.ask("/").status == 200 and guarded.ask("/healthz").status == 200
    assert guarded.get("/session") | {"version": ""} == {
        "login_required": True,
        "role": None,
        "gateway": "hq-north",
        "version": "",
        "timezone": "UTC",
    }


def test_a_password_gives_a_session_with_its_role_until_it_is_ended(guarded):
    answer = guarded.post("/login", {"password": VIEW})
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and VIEW not in cookie
    assert guarded.login(VIEW) == "view"
    assert guarded.get("/devices")["total"] == 0
    assert guarded.ask(f"{API}/config").status == 403
    assert guarded.post("/alerts/acknowledge", {"device": "x"}).status == 403
    assert guarded.login(PASSWORD) == "operate"
    assert guarded.get("/config")["file"]
    assert guarded.post("/logout", {}).status == 204
    assert guarded.ask(f"{API}/devices").status == 401
    assert PASSWORD not in guarded.gateway.log()


def test_a_token_is_for_programs_and_has_its_role(guarded):
    program = Web(guarded.port, token="0123456789abcdef0123")
    assert program.get("/devices")["total"] == 0
    assert program.ask("/metrics").status == 200
    assert program.ask(f"{API}/config").status == 403
    assert Web(guarded.port, token="0123456789abcdef012").ask(f"{API}/devices").status == 401


def test_wrong_tokens_lock_out_neither_the_right_one_nor_the_probes(guarded):
    program = Web(guarded.port, token="0123456789abcdef0123")
    wrong = Web(guarded.port, token="x")
    assert {wrong.ask(f"{API}/devices").status for _ in range(30)} == {401, 429}
    assert program.get("/devices")["total"] == 0
    assert wrong.ask("/healthz").status == 200 and wrong.ask("/readyz").status in (200, 503)


def test_ten_thousand_wrong_passwords_are_slowed_down_and_harm_nobody(guarded):
    statuses = [guarded.post("/login", {"password": f"guess {n}"}).status for n in range(1000)]
    assert set(statuses) == {401, 429} and statuses.count(401) < 50
    last = guarded.post("/login", {"password": "guess"})
    wait = int(last.headers["Retry-After"])
    assert last.status == 429 and 1 <= wait <= 10
    wait_until(lambda: guarded.post("/login", {"password": PASSWORD}).status == 200, 15.0, "a right password to be taken")
    assert guarded.gateway.memory_mib() < 200


def test_another_sites_page_can_neither_ask_nor_act(guarded):
    guarded.login(PASSWORD)
    own = f"http://127.0.0.1:{guarded.port}"
    for headers in (
        {"Origin": "http://evil.example.com"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        answer = guarded.post("/alerts/acknowledge", {"device": "x"}, headers=headers)
        assert answer.status == 403, headers
    assert guarded.post("/alerts/acknowledge", {"device": "x"}, headers={"Origin": own}).status == 404
    assert guarded.post("/alerts/acknowledge", "device=x", headers={"Content-Type": "text/plain"}).status == 415
    for host in ("evil.example.com", f"127.0.0.1.evil.example.com:{guarded.port}"):
        assert guarded.ask(f"{API}/devices", headers={"Host": host}).status == 421, host
    for host in ("riser.example.com", f"localhost:{guarded.port}", "[::1]:1"):
        assert guarded.ask(f"{API}/devices", headers={"Host": host}).status == 200, host
    for path in (f"{API}/devices", f"{API}/export", "/metrics"):
        assert guarded.ask(path, headers={"Sec-Fetch-Site": "cross-site"}).status == 403, path
    assert guarded.ask("/alerts", headers={"Sec-Fetch-Site": "cross-site"}).status == 200
    answer = guarded.ask(f"{API}/devices", headers={"Origin": "http://evil.example.com"})
    assert answer.status == 403 and "Access-Control-Allow-Origin" not in answer.headers


def test_check_wants_a_password_and_a_certificate_where_the_network_comes_in(riser):
    def findings(http):
        gateway = riser(config(more=f"[http]\n{http}\n"))
        return gateway.cli("check", "--config", gateway.config).stdout

    opened = findings('listen = "0.0.0.0:8090"')
    assert "write `password_file` or `tokens`" in opened and "write `cert_file` and `key_file`" in opened
    assert "error: http.listen" in findings('listen = "0.0.0.0:8090"\npassword = "x"')
    assert "error: http" not in findings('listen = "0.0.0.0:8090"\npassword = "x"\ninsecure = true')
    assert "error: http" not in findings('listen = "127.0.0.1:8090"')
    assert "fewer than 16 characters" in findings('[http.tokens.a]\ntoken = "short"')


def test_enable_opens_the_page_with_a_new_password_and_certificate(riser, tmp_path):
    table, web = http_table()
    gateway = riser(config(floor=free_port(), more="# of ours\n" + table)).start()
    web.wait()
    port = free_port()
    done = gateway.cli("http", "enable", "--config", gateway.config, "--listen", f"127.0.0.1:{port}", check=0)
    password = re.search(r"password: +(\S+)", done.stdout).group(1)
    fingerprint = re.search(r"SHA-256 ([0-9A-F:]+)", done.stdout).group(1)
    assert f"https://127.0.0.1:{port}" in done.stdout and "takes it over now" in done.stdout
    text = gateway.config.read_text()
    assert "# of ours" in text and password not in text
    hash_file = gateway.folder / "http.password"
    assert hash_file.read_text().startswith("$argon2id$") and hash_file.stat().st_mode & 0o007 == 0
    assert (gateway.folder / "http.key").stat().st_mode & 0o007 == 0
    opened = Web(port, tls=True).wait()
    shown = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))
    import hashlib

    assert hashlib.sha256(shown).hexdigest().upper() == fingerprint.replace(":", "")
    context = ssl.create_default_context(cafile=gateway.folder / "http.pem")
    opened.connect = lambda timeout=10.0: __import__("http.client").client.HTTPSConnection(
        "127.0.0.1", port, timeout=timeout, context=context
    )
    assert opened.ask(f"{API}/devices").status == 401
    answer = opened.post("/login", {"password": password})
    assert answer.status == 200 and "Secure" in answer.headers["Set-Cookie"]
    again = gateway.cli("http", "enable", "--config", gateway.config, "--listen", f"127.0.0.1:{port}", check=0)
    assert "the one that there was" in again.stdout
    assert hash_file.read_text().startswith("$argon2id$")


def test_a_certificate_is_made_once_and_replaced_only_by_force(riser):
    gateway = riser(config())
    made = gateway.cli("http", "certificate", "--name", "riser.example.com", "--output", gateway.folder, check=0)
    assert 'cert_file = "http.pem"' in made.stdout
    refused = gateway.cli("http", "certificate", "--output", gateway.folder, check=73)
    assert "--force" in refused.stderr
    gateway.cli("http", "certificate", "--output", gateway.folder, "--force", check=0)


def test_a_tls_handshake_that_never_ends_is_cut_off_and_a_certificate_is_renewed_without_a_logout(riser):
    table, web = http_table(more=f'password = "{PASSWORD}"\ncert_file = "http.pem"\nkey_file = "http.key"\n')
    gateway = riser(config(floor=free_port(), more=table))
    make = lambda: gateway.cli("http", "certificate", "--force", "--output", gateway.folder, check=0)
    make()
    gateway.start()
    web.tls = True
    web.wait()
    began = time.monotonic()
    silent, slow = web.open(30.0), web.open(30.0)
    slow.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
    assert web.login(PASSWORD) == "operate"
    shown = lambda: ssl.get_server_certificate(("127.0.0.1", web.port))
    before = shown()
    make()
    gateway.reload()
    wait_until(lambda: shown() != before, what="the new certificate")
    assert web.get("/devices")["total"] == 0, "the login has stayed"
    (gateway.folder / "http.key").write_text("no key")
    renewed = shown()
    gateway.reload()
    gateway.wait_log("the old one stays in force")
    assert shown() == renewed
    for connection in (silent, slow):
        assert connection.recv(1) == b""
        connection.close()
    assert time.monotonic() - began < 15

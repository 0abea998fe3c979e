"""What is in the package, by the judges that Debian has for it."""

import subprocess


def test_lintian_finds_nothing(package):
    said = subprocess.run(
        ["lintian", "--allow-root", "--info", "--fail-on", "error,warning", package], capture_output=True, text=True
    )
    assert said.returncode == 0, said.stdout + said.stderr


def test_the_unit_is_right_and_hardened(installed):
    unit = "/usr/lib/systemd/system/riser.service"
    assert installed.run("systemd-analyze", "verify", "--man=no", unit) == ""
    # At most 2.0 of 10.
    said = installed.run("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", unit)
    assert "Overall exposure level" in said


def test_installed_files_belong_to_whom_they_should(installed):
    assert installed.run("dpkg", "--verify", "riser") == ""
    assert installed.owner("/etc/riser") == "root:riser 2750"
    assert installed.owner("/etc/riser/codecs") == "root:riser 2750"
    assert installed.owner("/etc/riser/gateway.toml") == "root:riser 0640"
    assert installed.owner("/var/lib/riser") == "riser:riser 0750"
    assert installed.run("id", "-Gn", "riser").split() == ["riser", "dialout"]
    assert installed.run("systemctl", "is-enabled", "riser").strip() == "enabled"


def test_the_gateway_may_read_what_root_puts_beside_the_configuration(root, package):
    root.install(package)
    root.run("sh", "-c", "umask 027; echo secret > /etc/riser/upstream.password")
    root.run("install", "-m", "0640", "/etc/riser/upstream.password", "/etc/riser/codecs/key")
    for path in "/etc/riser/upstream.password", "/etc/riser/codecs/key":
        assert root.owner(path) == "root:riser 0640"
    assert root.run("cat", "/etc/riser/codecs/key", user="riser") == "secret\n"


def test_the_shipped_configuration_has_no_mistake(installed):
    said, code = installed.run("riser", "check", "--no-environment", user="riser", check=False)
    assert code == 0, said
    assert "error" not in said


def test_a_folder_that_the_gateway_may_not_write_is_reported(installed):
    installed.path("/tmp/gateway.toml").write_text('[gateway]\ndata_dir = "/mnt/riser"\n')
    said = installed.run("riser", "check", "--config", "/tmp/gateway.toml", user="riser")
    assert "gateway.data_dir: this user may not write to /mnt: Permission denied" in said


def test_an_owners_choice_of_permissions_stays(root, package):
    root.install(package)
    choice = "root:root 0600"
    root.run("dpkg-statoverride", "--update", "--add", "root", "root", "0600", "/etc/riser/gateway.toml")
    assert root.owner("/etc/riser/gateway.toml") == choice
    root.install(package)
    assert root.owner("/etc/riser/gateway.toml") == choice

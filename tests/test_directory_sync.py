"""On a file system that cannot sync directories (EINVAL) all durable writes still work."""

import pytest

import faults
from gateway import Riser, config
from lorawan import abp_table, adapter_table
from peers import free_port, wait_until
from test_history import HISTORY, stored
from test_lorawan_disk import ROOM
from test_train import history


@pytest.fixture
def limited(site):
    """A factory: a running gateway on such a file system."""

    def start(**options):
        setup = site(start=False, **options)
        setup.disk.cannot_sync_directories()
        setup.start()
        return setup

    return start


def test_journal_outbox_and_checkpoint_are_written(limited):
    setup = limited()
    setup.send_and_wait()
    assert setup.gateway.stop(timeout=15) == 0
    assert setup.disk.hits > 0
    assert (setup.gateway.data_dir / "state.checkpoint").exists()
    assert "checkpoint" not in setup.gateway.log(), setup.gateway.log()
    setup.start()
    setup.send()
    setup.everything_arrives()


def test_a_damaged_history_is_put_aside(limited):
    setup = limited(tables=HISTORY)
    setup.send_and_wait()
    setup.gateway.stop()
    file = setup.gateway.data_dir / "history.db"
    file.write_bytes(b"\x5a" * file.stat().st_size)
    setup.start()
    setup.gateway.wait_log("history.db.damaged-1")
    setup.send()
    setup.everything_arrives()
    assert setup.gateway.stop() == 0
    assert setup.disk.hits > 0
    assert stored(setup.gateway)


def test_a_model_is_written(riser, cloud, floor, faults_library, tmp_path):
    gateway = riser(config(cloud=cloud.port, floor=floor.port, anomaly="enabled = true"))
    disk = faults.Disk(faults_library, gateway.data_dir, gateway.folder)
    gateway.env |= disk.env
    disk.cannot_sync_directories()
    file = history(tmp_path / "week.jsonl", windows=400)
    gateway.cli("train", "--config", gateway.config, "--history", file, check=0, timeout=300)
    assert disk.hits > 0
    assert (gateway.data_dir / "models" / "radiator.model").is_file()


def test_a_damaged_file_of_lorawan_sessions_is_put_aside(started, tmp_path, cloud, faults_library):
    port = free_port()
    tables = adapter_table(port) + abp_table("lounge", ROOM)
    gateway = started.keep(Riser(tmp_path / "gateway", config(cloud=cloud.port, floor=cloud.port, more=tables)))
    disk = faults.Disk(faults_library, gateway.data_dir, gateway.folder)
    gateway.env |= disk.env
    disk.cannot_sync_directories()
    database = gateway.data_dir / "lorawan.db"
    gateway.start()
    gateway.wait_log(f"lorawan: listens on 127.0.0.1:{port}")
    assert gateway.stop() == 0
    database.write_bytes(b"no database any more".ljust(8192, b"!"))
    gateway.start()
    gateway.wait_log("lorawan.db.damaged")
    wait_until(lambda: gateway.log().count(f"lorawan: listens on 127.0.0.1:{port}") == 2, what=gateway.log)
    assert disk.hits > 0

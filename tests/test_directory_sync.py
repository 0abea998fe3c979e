"""A file system that syncs files but not directories (EINVAL): whatever the gateway writes durably is written all the same."""

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
        house = site(start=False, **options)
        house.disk.cannot_sync_directories()
        house.start()
        return house

    return start


def test_journal_outbox_and_checkpoint_are_written(limited):
    house = limited()
    house.send_and_wait()
    assert house.gateway.stop(timeout=15) == 0
    assert house.disk.hits > 0
    assert (house.gateway.data_dir / "state.checkpoint").exists()
    assert "checkpoint" not in house.gateway.log(), house.gateway.log()
    house.start()
    house.send()
    house.everything_arrives()


def test_a_damaged_history_is_put_aside(limited):
    house = limited(tables=HISTORY)
    house.send_and_wait()
    house.gateway.stop()
    file = house.gateway.data_dir / "history.db"
    file.write_bytes(b"\x5a" * file.stat().st_size)
    house.start()
    house.gateway.wait_log("history.db.damaged-1")
    house.send()
    house.everything_arrives()
    assert house.gateway.stop() == 0
    assert house.disk.hits > 0
    assert stored(house.gateway)


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

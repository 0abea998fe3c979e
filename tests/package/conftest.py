"""Fixtures of the package's tests; scripts/test-package names what they need in the environment."""

import os
import pathlib

import pytest
from root import Root


@pytest.fixture(scope="session")
def package():
    """The .deb under test."""
    return pathlib.Path(os.environ["RISER_DEB"]).resolve()


@pytest.fixture
def root(tmp_path):
    """A plain Debian."""
    root = Root(tmp_path / "root", os.environ["RISER_ROOT"])
    yield root
    root.close()


@pytest.fixture(scope="module")
def installed(tmp_path_factory, package):
    """A plain Debian with the package: shared by tests that change nothing that others look at."""
    root = Root(tmp_path_factory.mktemp("installed") / "root", os.environ["RISER_ROOT"])
    root.install(package)
    yield root
    root.close()

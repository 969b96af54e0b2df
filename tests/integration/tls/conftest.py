"""Two authorities that know nothing of each other."""

from pathlib import Path

import pytest

from tests.integration.tls.authority import Authority


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    """Signs the certificates of our servers."""
    return Authority(tmp_path / "ours", "ours")


@pytest.fixture
def theirs(tmp_path: Path) -> Authority:
    """Signs those of clients, or of strangers."""
    return Authority(tmp_path / "theirs", "theirs")

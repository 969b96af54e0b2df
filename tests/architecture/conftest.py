"""What the architecture tests share."""

import pytest

from tests.architecture.sources import Module, all_modules, tracked_files


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    """Every Python file of ours, tests included, generated ones not."""
    return all_modules()


@pytest.fixture(scope="session")
def files() -> list[str]:
    """Every file of the repository."""
    return tracked_files()

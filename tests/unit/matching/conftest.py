"""Markets to test the core on."""

import pytest

from tests.unit.matching.market import Market


@pytest.fixture
def bare() -> Market:
    """A market on which nothing exists yet."""
    return Market()


@pytest.fixture
def market() -> Market:
    """XYZ in continuous trading; ALICE and BOB, each with 1,000,000.00 USD and 1,000 lots. Seven events."""
    return Market().opened()

"""What every test needs to be told the truth: compiled modules are those of the present sources, or none are used."""

import pytest

from native import modules, switch


def pytest_configure() -> None:
    """Runs the modules from their sources when asked to, and refuses binaries that belong to other sources."""
    if switch.is_asked():
        switch.interpret()
    elif modules.is_stale():
        raise pytest.UsageError(
            "compiled modules lie beside sources that are not theirs: `make compile` renews them, "
            f"{switch.VARIABLE}=1 tests the sources"
        )

"""What every test needs to be told the truth: compiled modules are those of the present sources, or none are used.

Decided while this is imported: the conftests of the folders below import the
modules in question right after it.
"""

import pytest

from native import modules, switch

if switch.is_asked():
    switch.interpret()
elif modules.is_stale():
    pytest.exit(
        "compiled modules lie beside sources that are not theirs: `make compile` renews them, "
        f"{switch.VARIABLE}=1 tests the sources",
        returncode=pytest.ExitCode.USAGE_ERROR,
    )

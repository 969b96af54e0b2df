"""A recorded run under faults, held against the journal afterwards."""

import os
from pathlib import Path

from tests.integration.faults.campaign import campaign, summary
from tests.integration.faults.checker import require_truth

SEED = int(os.environ.get("ORDERGATE_TEST_SEED", "20261122"))


async def test_nobody_was_lied_to(tmp_path: Path) -> None:
    """Every acknowledgement is in the journal, every report came once and in order, no lookup lied; `make faults` is
    the same for minutes."""
    print(f"seed {SEED}")
    outcome = await campaign(tmp_path, SEED, rounds=1)
    print(summary(outcome))
    assert len(outcome.faults) == 12
    require_truth(outcome.history, outcome.truth)

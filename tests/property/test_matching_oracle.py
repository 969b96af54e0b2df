"""The core against the plain venue: the same events in full, the same books and money, for any stream of commands."""

import os
import runpy
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulation import sim
from tests.simulation.pair import Mismatch, Pair
from tests.simulation.plain import money
from tests.simulation.plain.state import Venue
from tests.simulation.streams import Stream

SEED = int(os.environ.get("ORDERGATE_TEST_SEED", "20261122"))
LIVES, LIFE_COMMANDS = 3, 7_000
ORDER_EVENTS = ("NEW", "TRADE", "CANCELED", "REPLACED", "EXPIRED", "TRIGGERED", "DENIED", "REJECTED", "RESTATED")
REASONS_FEW = 38
"""Of the reasons that the core gives, how many a short run reaches at least."""


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.randoms(use_true_random=False), st.integers(60, 110))
def test_any_stream_gives_the_plain_venues_events(random: Random, commands: int) -> None:
    """Every event, book and balance is the plain venue's; shrunk to the shortest stream if not."""
    pair = Pair(30)
    stream = Stream(random, pair.plain)
    for _ in range(commands):
        pair.execute(*stream.next())
    pair.check_invariants()
    pair.check_state()


def test_long_streams_give_the_plain_venues_events() -> None:
    """The same for markets that have run for long, until nothing is held; a failure names what repeats it."""
    reached: set[str] = set()
    trades = 0
    for number in range(LIVES):
        pair = sim.Life(SEED, number, LIFE_COMMANDS).live()
        reached |= set(sim.names(pair.tally.kinds))
        trades += pair.tally.kinds["order", 2, 0] // 2
    words = {name.split()[0] for name in reached}
    assert words >= set(ORDER_EVENTS)
    assert len({name.split()[1] for name in reached if " " in name}) >= REASONS_FEW
    assert trades > LIVES * LIFE_COMMANDS // 20, "a market without trades proves nothing"


@pytest.fixture
def planted_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain venue charges one unit too much for a purchase of seven lots."""
    right = money.fee

    def wrong(v: Venue, account: str, value: int, lots: int, *, taker: bool) -> int:
        return right(v, account, value, lots, taker=taker) + (lots == 7 and taker)

    monkeypatch.setattr(money, "fee", wrong)


@pytest.mark.usefixtures("planted_fault")
def test_a_mismatch_is_shrunk_to_a_script(tmp_path: Path) -> None:
    """What fails is shrunk to the few commands that make it fail, and they fail again in a program of their own."""
    with pytest.raises(sim.Failed) as caught:
        sim.Life(SEED, 0).live()
    told = sim.explain(caught.value, tmp_path)
    assert f"seed {SEED}, life 0, command {len(caught.value.life.steps)}: order/2/2/fee_micro" in told
    script = runpy.run_path(str(tmp_path / f"mismatch_{SEED}_0.py"))
    assert len(script["STEPS"]) < 20
    with pytest.raises(Mismatch, match="fee_micro"):
        script["main"]()


def test_the_program_runs_lives_and_counts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`make sim` ends with 0 when both agree, and says what has happened."""
    assert sim.run(600, SEED, tmp_path) == 0
    assert "600 of 600 commands" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())

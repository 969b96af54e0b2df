"""From a long list of commands that ends in a mismatch to a short one, and a script that shows it.

Chunks of commands are left out, large ones first, as long as the same kind of
mismatch is still found; then fields of the orders that are left are taken back
to their defaults.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from matching.core import commands as c
from tests.simulation import traders
from tests.simulation.pair import Mismatch, Pair
from tests.simulation.plain.state import names_of
from tests.simulation.streams import Step, opening

SHRINKING_S_MAX = 120.0
"""How long to go on leaving out commands."""
SAID_ALWAYS = {
    *("account", "symbol", "request_id", "cl_ord_id", "quote_id", "update_mask", "limits", "entries", "orders"),
    *("side", "ord_type", "time_in_force", "self_trade_prevention", "scope", "target", "fee_schedule"),
    *("currency", "amount_micro", "qty_lots", "price_ticks", "session_id", "trading_day", "trading_session"),
    *("asset_class", "tick_size_nano", "lot_size_nano", "multiplier"),
}
"""Fields that have no default, or one that is not zero."""
OPENING_STEPS = sum(1 for _ in opening())
NEWEST_FIRST = 50
"""With how many of the last commands to begin."""
Finds = Callable[[Sequence[Step]], bool]

SCRIPT = '''"""{kind}

{text}
"""

from matching.core import commands as c
from tests.simulation.pair import Pair

STEPS = [
{steps}
]


def main() -> None:
    """Carries the commands out on both venues, and says where they part."""
    pair = Pair({keys_max})
    for command, now in STEPS:
        if isinstance(command.body, c.NewOrder):
            pair.check(command, now)
        for event in pair.execute(command, now):
            print(event)
        pair.check_invariants()
        pair.check_state()
    print("no mismatch")


if __name__ == "__main__":
    main()
'''


def found_by(steps: Sequence[Step], keys_max: int) -> str:
    """The kind of mismatch that the commands end in; empty for none. The state is looked at after the last."""
    return _first(steps, keys_max, looks_from=len(steps) - 1)[1]


def _first(steps: Sequence[Step], keys_max: int, *, looks_from: int) -> tuple[int, str]:
    """The number of commands until the first mismatch, and its kind; the state is looked at from a command on."""
    pair = Pair(keys_max)
    for number, (command, now) in enumerate(steps):
        try:
            if number >= looks_from and isinstance(command.body, c.NewOrder):
                pair.check(command, now)
            pair.execute(command, now)
            if number >= looks_from:
                pair.check_invariants()
                pair.check_state()
        except Exception as error:
            return number + 1, kind_of(error)
    return len(steps), ""


def kind_of(error: Exception) -> str:
    """A name for what went wrong, whoever raised it."""
    return error.kind if isinstance(error, Mismatch) else f"{type(error).__name__}: {error}"


def shrunk(steps: Sequence[Step], kind: str, keys_max: int) -> list[Step]:
    """As few of the commands as still end in this kind of mismatch."""
    steps = steps[: _first(steps, keys_max, looks_from=0)[0]]

    def finds(some: Sequence[Step]) -> bool:
        return found_by(some, keys_max) == kind

    until, left = monotonic() + SHRINKING_S_MAX, _newest(list(steps), finds)
    if not finds(left):
        return left
    left = _without_kinds(left, finds, until)
    size = len(left) // 2
    while size and monotonic() < until:
        shorter = _without_chunks(left, size, finds, until)
        size = size if len(shorter) < len(left) and size > 1 else size // 2
        left = shorter
    return [_simpler(left, index, finds) for index in range(len(left))] if monotonic() < until else left


def _labels(step: Step) -> set[str]:
    """What a command is and is about."""
    body = step.command.body
    about = {f"{name} {getattr(body, name)}" for name in ("account", "symbol") if name in names_of(body)}
    return about | {type(body).__name__}


def _without_kinds(steps: list[Step], finds: Finds, until: float) -> list[Step]:
    """Whatever is of one kind, one account or one instrument is left out together."""
    labels = sorted({label for step in steps for label in _labels(step)})
    for label in labels:
        shorter = [step for step in steps if label not in _labels(step)]
        if monotonic() < until and finds(shorter):
            steps = shorter
    return steps


def _newest(steps: list[Step], finds: Finds) -> list[Step]:
    """The opening and as many of the last commands as are needed: a short list is shrunk quickly."""
    newest = NEWEST_FIRST
    while OPENING_STEPS + newest < len(steps):
        some = steps[:OPENING_STEPS] + steps[-newest:]
        if finds(some):
            return some
        newest *= 2
    return steps


def _without_chunks(steps: list[Step], size: int, finds: Finds, until: float) -> list[Step]:
    left, start = steps, max(0, len(steps) - 1 - size)
    while start >= 0 and monotonic() < until:
        shorter = left[:start] + left[start + size :]
        if finds(shorter):
            left = shorter
        if not start:
            break
        start = max(0, start - size)
    return left


def _simpler(steps: list[Step], index: int, finds: Finds) -> Step:
    """A step whose order says no more than it must."""
    body = steps[index].command.body
    if not isinstance(body, c.NewOrder):
        return steps[index]
    plain = c.NewOrder(body.account, body.cl_ord_id, body.symbol)
    for name in names_of(body):
        simpler = traders.copy(body, **{name: getattr(plain, name)})
        command = steps[index].command
        step = Step(c.Command(simpler, command.actor, 0, command.session_id), steps[index].now)
        if finds([*steps[:index], step, *steps[index + 1 :]]):
            body, steps[index] = simpler, step
    return steps[index]


def source(value: Any) -> str:
    """The Python that makes a command or a part of one."""
    if isinstance(value, c.Command):
        rest = (value.actor, value.received_unix_ns, value.session_id, value.gateway_id)
        return f"c.Command({source(value.body)}, {', '.join(map(repr, rest))})"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(source, value))}]"
    names = names_of(value)
    if not names and type(value).__name__ not in {"TimeTick"}:
        return repr(value)
    given = [name for name in names if getattr(value, name) or name in SAID_ALWAYS]
    return f"c.{type(value).__name__}({', '.join(f'{name}={source(getattr(value, name))}' for name in given)})"


def write_script(path: Path, steps: Sequence[Step], kind: str, text: str, keys_max: int) -> None:
    """A program that shows the mismatch."""
    lines = [f"    ({source(command)}, {now})," for command, now in steps]
    path.parent.mkdir(parents=True, exist_ok=True)
    told = text.replace("\\", "/").replace('"""', "...")
    path.write_text(SCRIPT.format(kind=kind, text=told, steps="\n".join(lines), keys_max=keys_max))

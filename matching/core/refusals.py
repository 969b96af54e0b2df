"""Why not: what a check gives when it does not let a request pass."""

from __future__ import annotations

from mypy_extensions import mypyc_attr

from matching.core.events import RiskNumbers
from matching.core.words import ExecType


@mypyc_attr(acyclic=True)
class Refusal:
    """A reason, the field at fault, and the numbers of a rule. *Denied* is our risk's, *Rejected* the venue's."""

    def __init__(self, exec_type: int, reason: int, field: str, risk: RiskNumbers | None) -> None:
        self.exec_type = exec_type
        self.reason = reason
        self.field = field
        self.risk = risk


def rejected(reason: int, field: str = "") -> Refusal:
    """The venue's no."""
    return Refusal(ExecType.REJECTED, reason, field, None)


def denied(reason: int, field: str = "", risk: RiskNumbers | None = None) -> Refusal:
    """Our risk's no."""
    return Refusal(ExecType.DENIED, reason, field, risk)

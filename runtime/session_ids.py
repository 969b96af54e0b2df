"""How sessions are named: by gateway, run of the gateway, and number.

A gateway gives the names; matching tells by them which sessions of a gateway
belong to an earlier run of it. Pure.
"""


def run_prefix(gateway_id: str, incarnation: int) -> str:
    """What the names of all sessions of one run of a gateway begin with, and no others."""
    return f"{gateway_id}-session-{incarnation:x}-"


def session_id(gateway_id: str, incarnation: int, number: int) -> str:
    """The name of a run's session with this number."""
    return f"{run_prefix(gateway_id, incarnation)}{number}"

"""The three forms of a revocation, each for one token and as close to it as another token can be and still be good."""

from collections.abc import Sequence
from typing import NamedTuple

import jwt

from runtime.revocations import Revocation

FORMS = ("subject", "role", "token id")


class Bearer(NamedTuple):
    """Whom a token is for."""

    subject: str
    roles: Sequence[str]


def spared(form: str, revoked: Bearer) -> Bearer:
    """Whose token a revocation in this form leaves as it is: it differs from the revoked one in nothing else."""
    if form == "subject":
        return Bearer("other", revoked.roles)
    return Bearer(revoked.subject, ["market_maker"]) if form == "role" else revoked


def revocation(form: str, token: str) -> Revocation:
    """The entry that revokes a token; by role, that which the token carries."""
    claims = jwt.decode(token, options={"verify_signature": False})
    if form == "token id":
        return Revocation(token_id=claims["jti"])
    if form == "subject":
        return Revocation(subject=claims["sub"])
    (role,) = claims["roles"]
    return Revocation(subject=claims["sub"], role=role)

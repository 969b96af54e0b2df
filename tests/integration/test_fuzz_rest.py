"""REST keeps to its OpenAPI document, whatever it is sent: a short run of `make fuzz`."""

import asyncio
from functools import partial

from runtime.stack.system import Stack
from tests.fuzz.rest import Rest, token_of

SEED = 7


async def test_rest_keeps_to_its_document(system: Stack) -> None:
    """No request, good or bad, is answered by a fault, or otherwise than the document says."""
    with Rest(system.rest_url, partial(token_of, system), SEED) as rest:
        findings = await asyncio.to_thread(rest.run, 450, boundaries=0.15)
    assert not findings, "\n\n".join(findings)
    tally = rest.tally
    assert all(statuses[200] for operation, statuses in tally.by_operation.items() if operation.startswith("GET /h"))
    assert len(tally.by_operation) == len(rest.operations)
    # Refusals alone would say little about answers.
    assert {200, 400, 401, 403, 404} <= tally.statuses.keys()
    assert tally.statuses[200] > tally.requests / 10
    assert tally.lines

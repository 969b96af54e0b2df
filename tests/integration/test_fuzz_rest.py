"""REST keeps to its OpenAPI document, whatever it is sent: a short run of `make fuzz`."""

import asyncio
from functools import partial

from runtime.stack.system import Stack
from tests.fuzz import strict
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


def of(path: str) -> strict.Document:
    """The document with one path only."""
    document = strict.document()
    document["paths"] = {path: document["paths"][path]}
    return document


async def found_with(system: Stack, document: strict.Document) -> list[str]:
    """What a few requests find."""
    with Rest(system.rest_url, partial(token_of, system), SEED, document) as rest:
        return await asyncio.to_thread(rest.run, 4, boundaries=0)


async def test_rest_that_leaves_its_document_is_found(system: Stack) -> None:
    """Another value, another field, another status, another type and another line than the document has are found."""
    live = "/health/live"
    assert await found_with(system, of(live)) == []
    value, extra, status, media = (of(live) for _ in range(4))
    value["components"]["schemas"]["ComponentStatus"]["enum"].remove("COMPONENT_STATUS_UP")
    answer = extra["components"]["schemas"]["GetLivenessResponse"]
    del answer["properties"]["version"]
    answer["required"].remove("version")
    responses = status["paths"][live]["get"]["responses"]
    responses["201"] = responses.pop("200")
    content = media["paths"][live]["get"]["responses"]["200"]["content"]
    content["text/plain"] = content.pop("application/json")
    for spoiled in (value, extra, status, media):
        assert await found_with(system, spoiled)
    ticks = of("/api/v1/market-data/{symbol}/book:stream")
    ticks["components"]["schemas"]["Subscribed"]["required"].append("nothing")
    assert await found_with(system, ticks)

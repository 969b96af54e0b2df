"""Nonsense on the gRPC wire harms nobody: a short run of the wire's part of `make fuzz`."""

from runtime.stack.system import Stack
from tests.fuzz import valid
from tests.fuzz.wire import fuzz_wire

SEED = 7


def test_wire_every_public_method_has_a_valid_request() -> None:
    """What is mutated begins as a request that a server can read, for each method that has any."""
    for server in valid.SERVED_BY:
        for method in valid.methods(server):
            assert all(valid.messages(method)) == bool(method.input_type.fields)


async def test_wire_survives_mutations(system: Stack) -> None:
    """Servers answer spoiled messages and frames with refusals, or close; they live, stay small and serve others."""
    findings, tally = await fuzz_wire(system, SEED, messages=600, connections=300)
    assert not findings, f"seed {SEED}\n" + "\n".join(findings)
    assert tally.messages.total() >= 600
    # Most mutations must be seen through; some leave a request as good as it was.
    assert tally.messages["INVALID_ARGUMENT"] > tally.messages["OK"] > 0
    assert tally.connections["closed"]
    assert tally.connections["answered"]
    assert all(tally.neighbours[server] for server in valid.SERVED_BY)

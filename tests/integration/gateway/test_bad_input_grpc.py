"""Bad input over gRPC: each gets its coded error, none INTERNAL or UNKNOWN, and the system goes on."""

import asyncio
import random
import time
from typing import Any

import grpc
import jwt
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.types.v1 import types_pb2 as types

from runtime.limits import MESSAGE_BYTES_MAX
from runtime.tokens import DEV_KID
from tests.integration.gateway import bad_input
from tests.integration.gateway.bad_input import CASES, SUBMIT, BadInput, fields_of
from tests.integration.gateway.venue import (
    Metadata,
    Venue,
    details,
    new_key,
    opened,
    session,
    submit,
    terms,
    violations,
)

FAULTS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
UNARY = (
    bad_input.SUBMIT,
    bad_input.AMEND,
    bad_input.CANCEL,
    bad_input.GET,
    bad_input.LIST,
    bad_input.POSITIONS,
    bad_input.CASH,
)
STREAM = "/ordergate.orders.v1.OrderEntryService/StreamExecutionReports"
GARBAGE = (b"\xff" * 20, b"\x0a\xff", b"\x0a\x03\x0a\x01\xff", b"\x0b" * 500, b"\x00", b"\x0a\x02\xc3\x28")


def metadata_of(venue: Venue, kind: str) -> Metadata:
    """The metadata of each kind of token in the table."""
    now = int(time.time())
    claims = jwt.decode(venue.token(), options={"verify_signature": False}) | {"iat": now - 900, "exp": now - 300}
    key = venue.settings.auth_dev_key_file.read_bytes()
    good = venue.token()
    forged = good[:-20] + good[-20:].swapcase()
    tokens = {
        "good": good,
        "garbage": "garbage",
        "forged": forged,
        "expired": jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": DEV_KID}),
        "officer": venue.token("risk_officer", accounts=[]),
        "two accounts": venue.token(accounts=["DEMO", "MM"]),
    }
    return () if kind == "missing" else (("authorization", f"Bearer {tokens[kind]}"),)


def message_of(case: BadInput) -> Message:
    """The request of a case."""
    fields = fields_of(case, new_key())
    return json_format.ParseDict({"order": fields} if case.call is SUBMIT else fields, case.call.request())


async def goes_on(venue: Venue) -> None:
    """An order is still taken."""
    assert (await venue.submit()).exec_type == types.EXEC_TYPE_NEW


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_bad_input_over_grpc(venue: Venue, case: BadInput) -> None:
    """The status, the reason and the field that the contract has for it, in a message of bearable length."""
    call: Any = venue.channel.unary_unary(case.call.path, request_serializer=case.call.request.SerializeToString)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call(message_of(case), metadata=metadata_of(venue, case.token))
    info, status = details(error.value)
    assert (error.value.code(), info.reason) == (case.status, case.reason)
    assert violations(status) == ([case.field] if case.field else [])
    assert len(status.SerializeToString()) < 2_000
    await goes_on(venue)


@pytest.mark.parametrize("data", GARBAGE, ids=repr)
@pytest.mark.parametrize("path", [call.path for call in UNARY])
async def test_garbage_on_the_wire(venue: Venue, path: str, data: bytes) -> None:
    """Bytes that are no message, or hold invalid UTF-8: INVALID_ARGUMENT with a reason, with and without a token."""
    call: Any = venue.channel.unary_unary(path)
    for metadata, reason in ((venue.as_role(), "FIELD_INVALID"), ((), "TOKEN_MISSING")):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call(data, metadata=metadata)
        assert details(error.value)[0].reason == reason
    await goes_on(venue)


@pytest.mark.parametrize("data", GARBAGE, ids=repr)
async def test_garbage_on_streams(venue: Venue, data: bytes) -> None:
    """The same for a stream's request, a session's first message, and in band for a later one."""
    raw: Any = venue.channel
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await raw.unary_stream(STREAM)(data, metadata=venue.as_role()).read()
    assert details(error.value)[0].reason == "FIELD_INVALID"
    path = "/ordergate.orders.v1.OrderEntryService/OrderSession"
    first = raw.stream_stream(path)(metadata=venue.as_role())
    await first.write(data)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await first.read()
    assert details(error.value)[0].reason == "FIELD_INVALID"
    read = entry.OrderSessionResponse.FromString
    later = raw.stream_stream(path, response_deserializer=read)(metadata=venue.as_role())
    await later.write(entry.OrderSessionRequest(logon=entry.Logon()).SerializeToString())
    assert (await later.read()).HasField("logon")
    await later.write(data)
    while not (message := await later.read()).HasField("end"):
        pass
    assert message.end.reason == types.REASON_FIELD_INVALID
    await goes_on(venue)


@pytest.mark.parametrize("path", [call.path for call in UNARY])
async def test_more_than_the_transport_takes(venue: Venue, path: str) -> None:
    """A message above the transport's limit is refused by gRPC itself, before it is in memory as a whole."""
    call: Any = venue.channel.unary_unary(path)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call(bytes(MESSAGE_BYTES_MAX + 1), metadata=venue.as_role())
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    await goes_on(venue)


async def test_a_session_message_that_is_too_large(venue: Venue) -> None:
    """The first one is refused, a later one ends the session in band; neither is carried out."""
    large = submit(1, strategy_id="s" * (1024 * 1024))
    async with opened(venue) as client:
        await client.commands(large)
        assert details(await client.failure())[0].reason == "MESSAGE_TOO_LARGE"
    async with session(venue) as client:
        await client.commands(large)
        assert (await client.ended()).reason == types.REASON_MESSAGE_TOO_LARGE
    await goes_on(venue)


async def test_deeply_nested_and_endless_headers(venue: Venue) -> None:
    """Headers that are too long are refused by gRPC, those that gRPC lets through by us; both in good order."""
    request = entry.SubmitOrderRequest(order=terms())
    for length in (7_000, 100_000):
        metadata = (("authorization", "Bearer " + "A" * length),)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await venue.orders.SubmitOrder(request, metadata=metadata)
        assert error.value.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED)
    await goes_on(venue)


NOISE = random.Random(7).randbytes(5_000)
NOT_HTTP2 = {
    "nothing": b"",
    "zeros": bytes(100),
    "http/1.1": b"GET / HTTP/1.1\r\n\r\n",
    "http/2 and noise": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + NOISE[:500],
    "noise": NOISE,
}


@pytest.mark.parametrize("data", NOT_HTTP2.values(), ids=list(NOT_HTTP2))
async def test_garbage_instead_of_http2(venue: Venue, data: bytes) -> None:
    """Whatever somebody sends to the port, the connection ends and nobody else notices."""
    reader, writer = await asyncio.open_connection("127.0.0.1", venue.gateway.port)
    writer.write(data)
    writer.write_eof()
    while await reader.read(65_536):
        pass
    writer.close()
    await writer.wait_closed()
    await goes_on(venue)


@st.composite
def nearly_requests(draw: Any) -> bytes:
    """The bytes of a good order with some of them changed, cut out or doubled."""
    data = bytearray(entry.SubmitOrderRequest(order=terms()).SerializeToString())
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data) - 1))
        match draw(st.sampled_from(["change", "cut", "double"])):
            case "change":
                data[place] = draw(st.integers(0, 255))
            case "cut":
                del data[place : place + draw(st.integers(1, 5))]
            case _:
                data[place:place] = data[place : place + draw(st.integers(1, 20))]
        if not data:
            break
    return bytes(data)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.one_of(nearly_requests(), st.binary(max_size=200)), call=st.sampled_from(UNARY))
async def test_any_bytes_get_an_answer(venue: Venue, data: bytes, call: bad_input.Call) -> None:
    """No bytes at all make a fault: what is not carried out is refused with a reason."""
    raw: Any = venue.channel.unary_unary(call.path)
    try:
        await raw(data, metadata=venue.as_role())
    except grpc.aio.AioRpcError as error:
        failure: grpc.aio.AioRpcError | None = error
    else:
        failure = None  # It is right as well to be carried out.
    assert failure is None or (failure.code() not in FAULTS and details(failure)[0].reason)

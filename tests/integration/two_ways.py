"""One call in two ways, by stubs and by REST through Envoy, with outcomes that can be compared.

The HTTP request follows from the method's google.api.http rule alone. An
outcome is what a client gets: the message as JSON, or the error with its reason,
text, numbers and fields; and which budget headers came with it, with the limit.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import grpc
import httpx
from google.api import annotations_pb2, http_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2
from grpc_status import rpc_status

from runtime.reasons_page import HTTP

Fields = Mapping[str, Any]
LIMIT_HEADER = "ratelimit-limit"
BUDGET_HEADERS = (LIMIT_HEADER, "ratelimit-remaining", "ratelimit-reset", "retry-after")
STATUSES = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True)
class Outcome:
    """What a client gets."""

    status: grpc.StatusCode
    message: Any
    """The answer as JSON; the details of an error."""
    budget_headers: tuple[str, ...]
    """Names of those that came; the limit, which no time changes, with its value."""
    http: int = field(default=0, compare=False)
    """The HTTP status, over REST."""

    @property
    def reason(self) -> str:
        """The reason of an error; empty for an answer."""
        details = self.message.get("details", ()) if self.status is not grpc.StatusCode.OK else ()
        return next((str(detail["reason"]) for detail in details if "reason" in detail), "")


def path_of(method: MethodDescriptor) -> str:
    """A method's gRPC path."""
    return f"/{method.containing_service.full_name}/{method.name}"


async def by_grpc(channel: grpc.aio.Channel, method: MethodDescriptor, fields: Fields, token: str) -> Outcome:
    """Calls by the generated messages."""
    request = json_format.ParseDict(dict(fields), GetMessageClass(method.input_type)())
    call = _unary(channel, method)(request, metadata=_bearer(token))
    try:
        message = printed(await call)
        status = grpc.StatusCode.OK
    except grpc.aio.AioRpcError as error:
        status, message = error.code(), _refusal(error)
    return Outcome(status, message, _budget_headers(await call.initial_metadata() or ()))


async def by_rest(rest: httpx.AsyncClient, method: MethodDescriptor, fields: Fields, token: str) -> Outcome:
    """Calls over HTTP."""
    response = await rest.request(**http_request(method, fields), headers=dict(_bearer(token)))
    assert response.headers["content-type"] == "application/json", response.text
    message = response.json()
    ok = response.status_code == httpx.codes.OK
    status = grpc.StatusCode.OK if ok else STATUSES[message["code"]]
    assert ok or HTTP[status] == response.status_code
    return Outcome(status, message, _budget_headers(response.headers.multi_items()), response.status_code)


async def lines_by_grpc(
    channel: grpc.aio.Channel, method: MethodDescriptor, fields: Fields, token: str, last_seq: int
) -> list[Any]:
    """The messages of a stream, up to the one that has `last_seq`."""
    request = json_format.ParseDict(dict(fields), GetMessageClass(method.input_type)())
    found = []
    call: Any = _stream(channel, method)(request, metadata=_bearer(token))
    async for message in call:
        found.append(printed(message))
        if message.seq >= last_seq:
            break
    call.cancel()
    return found


async def lines_by_rest(
    rest: httpx.AsyncClient, method: MethodDescriptor, fields: Fields, token: str, last_seq: int
) -> list[Any]:
    """The lines of a stream, up to the one that has `last_seq`."""
    found = []
    async with rest.stream(**http_request(method, fields), headers=dict(_bearer(token))) as response:
        assert response.headers["content-type"] == "application/x-ndjson"
        async for line in response.aiter_lines():
            found.append(json.loads(line))
            if int(found[-1]["seq"]) >= last_seq:
                break
    return found


def http_request(method: MethodDescriptor, fields: Fields) -> dict[str, Any]:
    """The HTTP request that the method's rule makes of `fields`: the first binding whose path they fill."""
    rule: http_pb2.HttpRule = method.GetOptions().Extensions[annotations_pb2.http]
    for binding in (rule, *rule.additional_bindings):
        verb = binding.WhichOneof("pattern")
        template: str = getattr(binding, verb or "get")
        in_path = re.findall(r"{(\w+)}", template)
        if all(fields.get(name) for name in in_path):
            break
    else:
        raise ValueError(f"no binding of {method.name} takes {fields}")
    url = re.sub(r"{(\w+)}", lambda found: quote(str(fields[found[1]]), safe=""), template)
    rest = {name: value for name, value in fields.items() if name not in in_path}
    request: dict[str, Any] = {"method": str(verb).upper(), "url": url}
    if binding.body == "*":
        return request | {"json": rest}
    if binding.body:
        return request | {"json": rest.get(binding.body, {})}
    return request | {"params": {name: _in_query(value) for name, value in rest.items()}}


def printed(message: Any) -> Any:
    """A message as the transcoder prints it."""
    if isinstance(message, status_pb2.Status):
        return json_format.MessageToDict(message, preserving_proto_field_name=True) | {
            "details": [_detail(one) for one in message.details]
        }
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def without(value: Any, names: frozenset[str]) -> Any:
    """`value` with a dash in place of what is called by one of `names`, however deep; that it is there still counts."""
    if isinstance(value, dict):
        return {name: "-" if name in names else without(inner, names) for name, inner in value.items()}
    return [without(inner, names) for inner in value] if isinstance(value, list) else value


def _budget_headers(headers: Iterable[tuple[str, str | bytes]]) -> tuple[str, ...]:
    found = ((name, value) for name, value in headers if name in BUDGET_HEADERS)
    return tuple(sorted(f"{name}: {value!s}" if name == LIMIT_HEADER else name for name, value in found))


def _refusal(error: grpc.aio.AioRpcError) -> Any:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # it has what a call has
    assert status is not None, f"an error without details: {error!r}"
    return printed(status)


def _detail(packed: Any) -> Any:
    return json_format.MessageToDict(
        packed, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _in_query(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),) if token else ()


def _unary(channel: grpc.aio.Channel, method: MethodDescriptor) -> Any:
    return channel.unary_unary(path_of(method), _serialize, GetMessageClass(method.output_type).FromString)


def _stream(channel: grpc.aio.Channel, method: MethodDescriptor) -> Any:
    return channel.unary_stream(path_of(method), _serialize, GetMessageClass(method.output_type).FromString)


def _serialize(message: Any) -> bytes:
    return bytes(message.SerializeToString())

"""The contracts as a table: every method of every service, how it is called over gRPC and REST, and who may.

Rules are read from the descriptors here, by themselves: the servers' own
reading of them is what is tested.
"""

import importlib
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import grpc
import httpx
from google.api import annotations_pb2
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from ordergate.auth.v1 import auth_pb2 as auth
from ordergate.types.v1 import types_pb2 as types

from runtime.settings import Server
from runtime.stack.envoy import DESCRIPTOR_SET

OWN, SECOND, OTHERS = "MATRIX-1", "MATRIX-2", "MATRIX-3"
"""Accounts that nobody has: what is asked for in their name changes nothing."""
SERVERS: dict[str, Server] = {
    "ordergate.orders.v1": "gateway",
    "ordergate.operations.v1": "gateway",
    "ordergate.marketdata.v1": "marketdata",
    "ordergate.compliance.v1": "compliance",
    "ordergate.matching.v1": "matching",
}
VERBS = ("get", "post", "put", "patch", "delete")
ANSWER_WITHIN_S = 30.0
LOST_STATUS = "Internal error from Core"
ROLES = tuple(name.removeprefix("ROLE_").lower() for name in auth.Role.keys()[1:])


@dataclass(frozen=True)
class Binding:
    """One way to call a method over REST."""

    verb: str
    path: str
    body: str

    @property
    def names_account(self) -> bool:
        """Whether the account is part of the path, so that it cannot be left out."""
        return "{account}" in self.path


@dataclass(frozen=True)
class Method:
    """A method, and what its contract says of it."""

    descriptor: MethodDescriptor
    rule: auth.Authorization
    bindings: tuple[Binding, ...]

    @property
    def path(self) -> str:
        """Its gRPC path."""
        return f"/{self.descriptor.containing_service.full_name}/{self.descriptor.name}"

    @property
    def server(self) -> Server:
        """Who serves it."""
        return SERVERS[self.descriptor.containing_service.full_name.rpartition(".")[0]]

    @property
    def is_public(self) -> bool:
        """Whether people may call it."""
        return self.rule.access != auth.ACCESS_SERVICE

    @property
    def takes_list(self) -> bool:
        """Whether it takes a list of accounts."""
        message: Any = self.descriptor.input_type
        *parents, name = self.rule.account_field.split(".")
        for parent in parents:
            message = message.fields_by_name[parent].message_type
        return bool(message.fields_by_name[name].is_repeated)

    def roles(self, roles: Sequence[int]) -> tuple[str, ...]:
        """Roles by the names that tokens have for them."""
        return tuple(ROLES[role - 1] for role in roles)

    @property
    def allowed(self) -> tuple[str, ...]:
        """The roles that may call it."""
        return ROLES if self.rule.access == auth.ACCESS_OPEN else self.roles(self.rule.roles)

    @property
    def any_account(self) -> tuple[str, ...]:
        """Those of them that may name any account."""
        return self.roles(self.rule.any_account_roles)

    def request(self, *accounts: str) -> Message:
        """A request that names these accounts, and nothing else."""
        request: Message = message_factory.GetMessageClass(self.descriptor.input_type)()
        if not self.rule.account_field:
            return request
        *parents, name = self.rule.account_field.split(".")
        holder: Any = request
        for parent in parents:
            holder = getattr(holder, parent)
            holder.SetInParent()
        if self.takes_list:
            getattr(holder, name).extend(accounts)
        else:
            (account,) = accounts or ("",)
            setattr(holder, name, account)
        return request


@cache
def methods() -> tuple[Method, ...]:
    """Every method of every service of ours."""
    pool = descriptor_pool.Default()
    files = FileDescriptorSet.FromString(DESCRIPTOR_SET.read_bytes()).file
    ours = [file for file in files if file.package.startswith("ordergate.") and file.service]
    for file in ours:
        importlib.import_module(file.name.removesuffix(".proto").replace("/", ".") + "_pb2")
    names = [f"{file.package}.{service.name}" for file in ours for service in file.service]
    return tuple(_method(one) for name in names for one in pool.FindServiceByName(name).methods)


def _method(descriptor: MethodDescriptor) -> Method:
    options = descriptor.GetOptions()
    http = options.Extensions[annotations_pb2.http]
    bindings = [_binding(rule) for rule in (http, *http.additional_bindings) if rule.WhichOneof("pattern")]
    return Method(descriptor, options.Extensions[auth.authorization], tuple(bindings))


def _binding(rule: Any) -> Binding:
    verb = next(verb for verb in VERBS if getattr(rule, verb))
    return Binding(verb.upper(), getattr(rule, verb), rule.body)


@dataclass(frozen=True)
class Outcome:
    """How a call ended, or that it was let in."""

    reason: str = ""
    """Of its error, or of the in-band end of its stream; empty when there was none."""
    status: grpc.StatusCode | None = None
    http_status: int = 0
    fields: tuple[str, ...] = field(default=())
    """The request fields that the error blames."""

    @property
    def is_refusal(self) -> bool:
        """Whether it was refused for who the caller is."""
        return self.reason in AUTH_REASONS or self.status in AUTH_STATUSES or self.http_status in (401, 403)


AUTH_STATUSES = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
AUTH_REASONS = frozenset(name.removeprefix("REASON_") for name, number in types.Reason.items() if 100 <= number < 200)


async def over_grpc(channel: grpc.aio.Channel, method: Method, request: Message, header: str | None) -> Outcome:
    """Calls a method as a gRPC client does; of a stream the first message counts."""
    metadata = (("authorization", header),) if header is not None else ()
    response = message_factory.GetMessageClass(method.descriptor.output_type)
    kind = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, True): channel.stream_stream,
    }[method.descriptor.client_streaming, method.descriptor.server_streaming]
    make: Any = kind(method.path, type(request).SerializeToString, response.FromString)
    while True:
        sent = _once(request) if method.descriptor.client_streaming else request
        call = make(sent, metadata=metadata, timeout=ANSWER_WITHIN_S)
        try:
            return _of_message(await (anext(aiter(call), None) if method.descriptor.server_streaming else call))
        except grpc.aio.AioRpcError as error:
            # gRPC's client loses the status of a call that was refused while it wrote to it.
            if error.details() != LOST_STATUS:
                return _of_error(error)
        finally:
            call.cancel()


async def _once(request: Message) -> AsyncIterator[Message]:
    yield request


def _of_error(error: grpc.aio.AioRpcError) -> Outcome:
    packed = [value for key, value in error.trailing_metadata() or () if key == "grpc-status-details-bin"]
    reason, fields = _details(status_pb2.Status.FromString(*packed)) if packed else ("", ())
    return Outcome(reason, error.code(), fields=fields)


def _details(status: status_pb2.Status) -> tuple[str, tuple[str, ...]]:
    """Reason and blamed fields of a status."""
    reason, fields = "", []
    for detail in status.details:
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(bad):
            fields = [violation.field for violation in bad.field_violations]
    return reason, tuple(fields)


def _of_message(message: Any) -> Outcome:
    if message is not None and "end" in message.DESCRIPTOR.fields_by_name and message.HasField("end"):
        return Outcome(types.Reason.Name(message.end.reason).removeprefix("REASON_"), grpc.StatusCode.OK)
    return Outcome(status=grpc.StatusCode.OK)


async def over_rest(client: httpx.AsyncClient, binding: Binding, request: Message, header: str | None) -> Outcome:
    """Calls a method as `curl` does; of a stream the first line counts."""
    given = json_format.MessageToDict(request, preserving_proto_field_name=True)
    path = re.sub(r"{(\w+)}", lambda match: str(given.pop(match[1], "") or "1"), binding.path)
    body = given if binding.body == "*" else given.get(binding.body, {})
    asked = client.build_request(
        binding.verb,
        path,
        headers={"authorization": header} if header is not None else {},
        params=None if binding.body else list(_flat(given)),
        json=body if binding.body else None,
        timeout=ANSWER_WITHIN_S,
    )
    response = await client.send(asked, stream=True)
    try:
        if response.is_success:
            return Outcome(http_status=response.status_code)
        await response.aread()
        reason, fields = _details(json_format.ParseDict(response.json(), status_pb2.Status()))
        return Outcome(reason, http_status=response.status_code, fields=fields)
    finally:
        await response.aclose()


def _flat(given: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """A request as query parameters."""
    for name, value in given.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield from ((f"{prefix}{name}", str(one)) for one in (value if isinstance(value, list) else [value]))

"""The methods as operations: one for each binding, with its parameters, its body and its answers.

What the path and the body do not take are query parameters; fields of messages
inside have dotted names. Called by `protos.openapi.document`.
"""

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from ordergate.auth.v1 import auth_pb2 as auth

from protos.openapi import errors, rules
from protos.openapi.contracts import ORDERS, Binding, Contracts, Method
from protos.openapi.schemas import Schema, Schemas

SECURITY_SCHEME = "token"
CHANGES_NOTHING = ("CheckOrder",)
"""Methods that have a body and change nothing all the same."""
ONE_ACCOUNT = "May be left out when the token is bound to exactly one account."
LINES = "\n\nOne JSON object a line."
ENDLESS = " The stream goes on until a line that says `end`, or until the client leaves."


def operations(contracts: Contracts, schemas: Schemas) -> Iterator[tuple[str, str, Schema]]:
    """Path, verb and operation of each binding of each method."""
    for method in contracts.methods:
        for number, binding in enumerate(method.bindings):
            yield binding.path, binding.verb, _operation(contracts, schemas, method, binding, is_first=number == 0)


def _operation(contracts: Contracts, schemas: Schemas, method: Method, binding: Binding, *, is_first: bool) -> Schema:
    comment = contracts.comments[method.name]
    summary = comment.partition(". ")[0].partition(": ")[0].rstrip(".")
    protected = method.rule.access == auth.ACCESS_ROLES
    made: Schema = {
        "operationId": method.proto.name if is_first else f"{method.proto.name}_by_{binding.path_fields[-1]}",
        "tags": [method.service.rpartition(".")[2]],
        "summary": summary,
        "description": comment + _manner(contracts, method) + (f"\n\nFor {_roles(method)}." if protected else ""),
        "x-grpc-method": f"{method.service}/{method.proto.name}",
    }
    if protected:
        made["x-roles"] = [_role(role) for role in method.rule.roles]
    else:
        made["security"] = []
    if parameters := list(_parameters(contracts, schemas, method, binding)):
        made["parameters"] = parameters
    if binding.body:
        made["requestBody"] = _body(contracts, schemas, method, binding)
    return made | {"responses": _responses(schemas, method, binding)}


def _manner(contracts: Contracts, method: Method) -> str:
    """How the answers come, where it is not one."""
    if not method.proto.server_streaming:
        return ""
    ends_in_band = any(field.name == "end" for field in contracts.messages[method.response].field)
    return LINES + (ENDLESS if ends_in_band else "")


def _roles(method: Method) -> str:
    names = [f"`{_role(role)}`" for role in method.rule.roles]
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _role(role: auth.Role.ValueType) -> str:
    """A role as tokens write it."""
    return auth.Role.Name(role).removeprefix("ROLE_").lower()


def _parameters(contracts: Contracts, schemas: Schemas, method: Method, binding: Binding) -> Iterator[Schema]:
    message = contracts.messages[method.request]
    by_name = {field.name: field for field in message.field}
    for name in binding.path_fields:
        yield _parameter(schemas, method, method.request, by_name[name], name, place="path")
    if binding.body == "*":
        return
    taken = _taken(contracts, method, binding)
    for field in message.field:
        if field.name not in taken:
            yield from _query(contracts, schemas, method, method.request, field, field.name)


def _query(
    contracts: Contracts, schemas: Schemas, method: Method, message: str, field: FieldDescriptorProto, name: str
) -> Iterator[Schema]:
    inner = field.type_name.lstrip(".")
    if inner in contracts.messages and inner.startswith("ordergate."):
        for below in contracts.messages[inner].field:
            yield from _query(contracts, schemas, method, inner, below, f"{name}.{below.name}")
    else:
        yield _parameter(schemas, method, message, field, name, place="query")


def _parameter(
    schemas: Schemas, method: Method, message: str, field: FieldDescriptorProto, name: str, *, place: str
) -> Schema:
    required = place == "path" or field.name in rules.REQUIRED.get(message.rpartition(".")[2], ())
    schema = schemas.field_in(message, field, required=required)
    description = schema.pop("description")
    if name == method.rule.account_field and place == "query":
        description = f"{description} {ONE_ACCOUNT}"
    return {"name": name, "in": place, "description": description, "required": required, "schema": schema}


def _taken(contracts: Contracts, method: Method, binding: Binding) -> set[str]:
    """The fields of the request that the path or the body takes, and those that these rule out."""
    message = contracts.messages[method.request]
    by_name = {field.name: field for field in message.field}
    excluded = {other for name in binding.path_fields for other in contracts.oneof_members(message, by_name[name])}
    return {*binding.path_fields, *excluded, *({binding.body} - {"", "*"})}


def _body(contracts: Contracts, schemas: Schemas, method: Method, binding: Binding) -> Schema:
    if binding.body == "*":
        taken = _taken(contracts, method, binding)
        schema = schemas.object_in(method.request, without=taken) if taken else schemas.into(method.request)
    else:
        fields = contracts.messages[method.request].field
        (field,) = (field for field in fields if field.name == binding.body)
        schema = schemas.into(field.type_name.lstrip("."))
    content: Schema = {"schema": schema}
    if method.proto.name in rules.EXAMPLES:
        content["example"] = rules.EXAMPLES[method.proto.name]
    return {"required": True, "content": {"application/json": content}}


def _responses(schemas: Schemas, method: Method, binding: Binding) -> dict[str, Any]:
    writes = binding.verb != "get" and method.proto.name not in CHANGES_NOTHING
    streams = method.proto.server_streaming
    limited = method.rule.access == auth.ACCESS_ROLES and method.service.startswith(ORDERS)
    headers = {"x-request-id": {"$ref": "#/components/headers/RequestId"}}
    if limited and not streams:
        names = errors.RATE_HEADERS.items()
        headers |= {name: {"$ref": f"#/components/headers/{component}"} for name, component in names}
    media = "application/x-ndjson" if streams else "application/json"
    answer = {
        "description": "Messages, one a line." if streams else "The answer.",
        "headers": headers,
        "content": {media: {"schema": schemas.out(method.response)}},
    }
    refused = {
        str(status): {"$ref": f"#/components/responses/Error{status}"}
        for status in errors.statuses(method, writes=writes)
    }
    return {"200": answer} | refused

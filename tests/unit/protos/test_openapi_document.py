"""The OpenAPI document against the contracts that it is made from, and against OpenAPI itself."""

import importlib
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from google.api import annotations_pb2
from google.protobuf import json_format, timestamp_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from ordergate.auth.v1 import auth_pb2 as auth
from ordergate.types.v1 import types_pb2 as types

import compliance.trail as audit
import marketdata.service as marketdata
from gateway import admission, drop_copy, lookup, portfolio_stream, shape
from protos.openapi import rules
from runtime.reasons import RULES, reason_name
from runtime.reasons_page import HTTP
from runtime.stack.pages import OPENAPI

PROTOS = OPENAPI.parents[1]


@cache
def document() -> dict[str, Any]:
    """The document that is checked in."""
    loaded: dict[str, Any] = json.loads(OPENAPI.read_text())
    return loaded


def methods() -> Iterator[MethodDescriptor]:
    """Every method of every contract, out of the stubs."""
    for path in sorted(PROTOS.glob("ordergate/**/*.proto")):
        module = ".".join(path.relative_to(PROTOS).with_suffix("").parts) + "_pb2"
        for service in importlib.import_module(module).DESCRIPTOR.services_by_name.values():
            yield from service.methods


def grpc_name(method: MethodDescriptor) -> str:
    """A method as the document names it."""
    return f"{method.containing_service.full_name}/{method.name}"


def bindings() -> dict[tuple[str, str], tuple[MethodDescriptor, str]]:
    """Method and body by verb and path, as the annotations say."""
    found = {}
    for method in methods():
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        for one in (rule, *rule.additional_bindings):
            verb = one.WhichOneof("pattern")
            if verb:
                found[verb, getattr(one, verb)] = method, one.body
    return found


BINDINGS = bindings()
OPERATIONS = {(verb, path): operation for path, item in document()["paths"].items() for verb, operation in item.items()}
every_operation = pytest.mark.parametrize("key", OPERATIONS, ids=" ".join)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema, with what it refers to by name."""
    found = schema
    for part in schema.get("$ref", "#").split("/")[1:]:
        found = document()[part] if found is schema else found[part]
    return found


def whole(schema: dict[str, Any]) -> OAS31Validator:
    """A validator of a schema that may refer to the document's components."""
    return OAS31Validator(
        {**schema, "components": document()["components"]}, format_checker=OAS31Validator.FORMAT_CHECKER
    )


def test_openapi_document_is_valid() -> None:
    """An independent validator finds nothing wrong with the document."""
    assert document()["openapi"] == "3.1.0"
    validate(document())


def test_openapi_has_every_public_method_and_nothing_else() -> None:
    """Each binding of each annotated method is one operation, under its own name, and there is no other."""
    assert {key: operation["x-grpc-method"] for key, operation in OPERATIONS.items()} == {
        key: grpc_name(method) for key, (method, _) in BINDINGS.items()
    }
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(names) == len(set(names))


@every_operation
def test_openapi_takes_every_field_of_the_request_once(key: tuple[str, str]) -> None:
    """A field of the request is in the path, in the body or in the query; what the path rules out is in none."""
    method, body = BINDINGS[key]
    given = [(one["in"], one["name"]) for one in OPERATIONS[key].get("parameters", ())]
    in_path = re.findall(r"{(\w+)}", key[1])
    assert [name for place, name in given if place == "path"] == in_path
    fields = dict(method.input_type.fields_by_name)
    for name in in_path:
        oneof = fields.pop(name).containing_oneof
        fields = {other: field for other, field in fields.items() if oneof is None or field.containing_oneof != oneof}
    in_body: set[str] = set()
    if body == "*":
        content = OPERATIONS[key]["requestBody"]["content"]["application/json"]["schema"]
        in_body = set(resolved(content)["properties"])
    elif body:
        content = OPERATIONS[key]["requestBody"]["content"]["application/json"]["schema"]
        inner = fields[body].message_type
        assert inner is not None
        assert set(resolved(content)["properties"]) == set(inner.fields_by_name)
        in_body = {body}
    assert sorted([*in_body, *(name for place, name in given if place == "query")]) == sorted(fields)


@every_operation
def test_openapi_says_who_may(key: tuple[str, str]) -> None:
    """The roles of an operation are those of its method; only what anybody may call needs no token."""
    method, _ = BINDINGS[key]
    rule = method.GetOptions().Extensions[auth.authorization]
    roles = [auth.Role.Name(role).removeprefix("ROLE_").lower() for role in rule.roles]
    assert OPERATIONS[key].get("x-roles", []) == roles
    assert ("security" in OPERATIONS[key]) == (rule.access == auth.ACCESS_OPEN)
    assert all(f"`{role}`" in OPERATIONS[key]["description"] for role in roles)


@every_operation
def test_openapi_streams_are_lines(key: tuple[str, str]) -> None:
    """A streaming method answers with lines of JSON, any other with one JSON object; both of the method's response."""
    method, _ = BINDINGS[key]
    media = "application/x-ndjson" if method.server_streaming else "application/json"
    (content,) = OPERATIONS[key]["responses"]["200"]["content"].items()
    assert content == (media, {"schema": {"$ref": f"#/components/schemas/{method.output_type.name}"}})


@every_operation
def test_openapi_errors_have_one_form(key: tuple[str, str]) -> None:
    """Every error is a google.rpc.Status, and 401, 403 and 429 are there exactly where a token is needed."""
    responses = OPERATIONS[key]["responses"]
    errors = {int(status): resolved(one) for status, one in responses.items() if status != "200"}
    assert {400, 404, 500, 503, 504} <= errors.keys()
    for error in errors.values():
        assert error["content"]["application/json"]["schema"]["$ref"] == "#/components/schemas/Status"
    with_token = "security" not in OPERATIONS[key]
    assert all((status in errors) is with_token for status in (401, 403, 429))


@every_operation
def test_openapi_is_described(key: tuple[str, str]) -> None:
    """Every operation, parameter, property and value has the words of the contracts."""
    operation = OPERATIONS[key]
    assert operation["summary"]
    assert operation["description"]
    assert all(one["description"] for one in operation.get("parameters", ()))


@pytest.mark.parametrize("name", document()["components"]["schemas"])
def test_openapi_schemas_are_described(name: str) -> None:
    """Every schema and every property of one says what it is."""
    schema = document()["components"]["schemas"][name]
    assert schema["description"]
    assert all(one["description"] for one in schema.get("properties", {}).values())


@pytest.mark.parametrize("reason", sorted(RULES)[1:], ids=reason_name)
def test_openapi_has_every_reason(reason: types.Reason.ValueType) -> None:
    """Each reason stands in the response of its HTTP status, and in no other."""
    named = {
        status
        for status, error in document()["components"]["responses"].items()
        if f"- `{reason_name(reason)}`: " in error["description"]
    }
    assert named == {f"Error{HTTP[RULES[reason].status]}"}
    assert reason_name(reason) in document()["components"]["schemas"]["ErrorInfo"]["properties"]["reason"]["enum"]


def test_openapi_rules_are_those_of_the_servers() -> None:
    """The patterns and bounds of the document are those that the servers enforce."""
    assert admission.CL_ORD_ID.pattern == rules.KEY
    assert admission.ORDER_ID.pattern == rules.VENUE_ID
    assert rules.LABEL.replace("{1,", "{0,") == admission.LABEL.pattern
    most = {path: bounds.get("maxItems", bounds.get("maximum")) for path, bounds in rules.BOUNDS.items()}
    assert most == {
        "SubmitOrdersRequest.orders": admission.BASKET_ORDERS_MAX,
        "SubmitQuotesRequest.entries": admission.QUOTE_ENTRIES_MAX,
        "StreamDropCopyRequest.accounts": drop_copy.ACCOUNTS_MAX,
        "SubscribeTicksRequest.symbols": marketdata.SYMBOLS_MAX,
        "SubscribeTradesRequest.symbols": marketdata.SYMBOLS_MAX,
        "SubscribeBookRequest.depth": marketdata.DEPTH_MAX,
        "StreamPortfolioRequest.interval_ms": portfolio_stream.INTERVAL_MS_MAX,
        "ListOrdersRequest.page_size": lookup.PAGE_SIZE_MAX,
        "ListInstrumentsRequest.page_size": marketdata.PAGE_SIZE_MAX,
        "ListAuditEntriesRequest.page_size": audit.PAGE_SIZE_MAX,
        "Contingency.leg": max(shape.LEGS_MAX.values()),
    }


def test_openapi_rules_name_what_there_is() -> None:
    """Each rule is about a message, a field or a method that exists; one about nothing would protect nobody."""
    messages = {one.name: one for one in reachable({method.input_type for method, _ in BINDINGS.values()})}
    for message, required in rules.REQUIRED.items():
        assert set(required) <= set(messages[message].fields_by_name)
    for path in rules.BOUNDS:
        message, _, field = path.partition(".")
        assert field in messages[message].fields_by_name
    every = reachable({side for method, _ in BINDINGS.values() for side in (method.input_type, method.output_type)})
    texts = {field.name for one in every for field in one.fields if field.type == FieldDescriptor.TYPE_STRING}
    assert set(rules.PATTERNS) <= texts
    assert set(rules.EXAMPLES) <= {method.name for method, _ in BINDINGS.values()}


@pytest.mark.parametrize("name", rules.EXAMPLES)
def test_openapi_examples_are_requests(name: str) -> None:
    """An example is what the schema beside it asks for."""
    shown = 0
    for operation in OPERATIONS.values():
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        if operation["operationId"].partition("_")[0] == name:
            whole(content["schema"]).validate(content["example"])
            shown += 1
    assert shown


def reachable(roots: set[Descriptor]) -> list[Descriptor]:
    """Our messages inside some messages, those included."""
    found: dict[str, Descriptor] = {}
    left = list(roots)
    while left:
        one = left.pop()
        if one.full_name not in found and one.full_name.startswith("ordergate."):
            found[one.full_name] = one
            left += [field.message_type for field in one.fields if field.message_type]
    return list(found.values())


def filled(descriptor: Descriptor, choice: int) -> Message:
    """A message with a value in every field, and of each oneof in one of them."""
    message = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        oneof = field.containing_oneof
        if oneof is not None and oneof.fields[choice % len(oneof.fields)] is not field:
            continue
        put(message, field, choice)
    return message


def put(message: Message, field: FieldDescriptor, choice: int) -> None:
    """Gives a field a value that the rules allow."""
    if field.message_type is timestamp_pb2.Timestamp.DESCRIPTOR:
        getattr(message, field.name).FromNanoseconds(1_700_000_000_123_456_789)
    elif field.message_type:
        inner = filled(field.message_type, choice)
        target = getattr(message, field.name)
        (target.add() if field.is_repeated else target).CopyFrom(inner)
    else:
        value = value_of(field)
        if field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)


def value_of(field: FieldDescriptor) -> Any:
    """A scalar that the rules allow."""
    if field.enum_type:
        return field.enum_type.values[-1].number
    if field.type == FieldDescriptor.TYPE_STRING:
        return "2027-01-15" if field.name == "expiry_date" else "12"
    if field.type == FieldDescriptor.TYPE_BYTES:
        return b"\x00\xff"
    return True if field.type == FieldDescriptor.TYPE_BOOL else 3


RESPONSES = {method.output_type.full_name: method.output_type for method, _ in BINDINGS.values()}


@pytest.mark.parametrize("name", RESPONSES)
def test_openapi_schemas_are_of_the_messages(name: str) -> None:
    """A message in JSON is what its schema says, whichever field of its oneofs it has; nothing more, nothing less."""
    descriptor = RESPONSES[name]
    validator = whole({"$ref": f"#/components/schemas/{descriptor.name}"})
    most = max([1, *(len(oneof.fields) for one in reachable({descriptor}) for oneof in one.oneofs)])
    for choice in range(most):
        printed = json_format.MessageToDict(
            filled(descriptor, choice), preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        validator.validate(printed)
    required = document()["components"]["schemas"][descriptor.name].get("required", [])
    for missing in required:
        assert not validator.is_valid({key: value for key, value in printed.items() if key != missing})

"""The contracts: every method says who may call it, and every public one how REST reaches it."""

import importlib
from collections.abc import Iterator

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from ordergate.auth.v1 import auth_pb2 as auth

from tests.architecture.sources import REPOSITORY

INTERNAL_PACKAGES = ("ordergate.matching.v1",)
OPEN_SERVICES = ("ordergate.operations.v1.HealthService",)
VERBS = ("get", "put", "post", "delete", "patch")


def methods() -> Iterator[MethodDescriptor]:
    """Every method of every contract."""
    root = REPOSITORY / "protos"
    for path in sorted(root.glob("ordergate/**/*.proto")):
        module = ".".join(path.relative_to(root).with_suffix("").parts) + "_pb2"
        for service in importlib.import_module(module).DESCRIPTOR.services_by_name.values():
            yield from service.methods


METHODS = {f"{method.containing_service.full_name}/{method.name}": method for method in methods()}
every_method = pytest.mark.parametrize("name", METHODS)


def rule_of(name: str) -> auth.Authorization:
    """The authorization that a method declares."""
    options = METHODS[name].GetOptions()
    assert options.HasExtension(auth.authorization), f"{name} declares no authorization"
    rule: auth.Authorization = options.Extensions[auth.authorization]
    return rule


def field_at(method: MethodDescriptor, path: str) -> FieldDescriptor:
    """The request field at a path such as `order.account`."""
    *parents, last = path.split(".")
    message = method.input_type
    for parent in parents:
        inner = message.fields_by_name[parent].message_type
        assert inner is not None, f"{parent} is not a message"
        message = inner
    return message.fields_by_name[last]


def is_internal(method: MethodDescriptor) -> bool:
    """Whether only servers may call it."""
    return method.containing_service.file.package in INTERNAL_PACKAGES


def test_there_are_contracts() -> None:
    """The walk finds the services that everybody knows."""
    services = {name.partition("/")[0] for name in METHODS}
    assert {"ordergate.orders.v1.OrderEntryService", "ordergate.matching.v1.MatchingService"} <= services


@every_method
def test_every_method_says_who_may_call_it(name: str) -> None:
    """Internal methods are for services, health is open, everything else names its roles; nothing is undeclared."""
    rule, method = rule_of(name), METHODS[name]
    if is_internal(method):
        expected = auth.ACCESS_SERVICE
    elif method.containing_service.full_name in OPEN_SERVICES:
        expected = auth.ACCESS_OPEN
    else:
        expected = auth.ACCESS_ROLES
    assert rule.access == expected


@every_method
def test_roles_make_sense(name: str) -> None:
    """Roles are named where and only where they decide, each once, never the empty one, and oversight is among them."""
    rule = rule_of(name)
    roles = list(rule.roles)
    assert bool(roles) == (rule.access == auth.ACCESS_ROLES)
    assert auth.ROLE_UNSPECIFIED not in roles
    assert len(set(roles)) == len(roles)
    assert set(roles) <= set(auth.Role.values())
    assert set(rule.any_account_roles) <= set(roles)
    assert rule.account_field or not rule.any_account_roles


@every_method
def test_traders_never_see_every_account(name: str) -> None:
    """Only oversight may name any account, and only where nothing is written."""
    assert not {auth.ROLE_TRADER, auth.ROLE_MARKET_MAKER} & set(rule_of(name).any_account_roles)


@every_method
def test_account_fields_exist(name: str) -> None:
    """The path leads to a string or to strings of the request, through messages."""
    path = rule_of(name).account_field
    if path:
        field = field_at(METHODS[name], path)
        assert field.type == FieldDescriptor.TYPE_STRING


@every_method
def test_requests_with_an_account_are_bound_to_it(name: str) -> None:
    """A method of people whose request has an account at its top says so, or its account would not be checked."""
    rule, method = rule_of(name), METHODS[name]
    names = {"account", "accounts"} & set(method.input_type.fields_by_name)
    if rule.access == auth.ACCESS_ROLES and names:
        assert rule.account_field in names


@every_method
def test_public_methods_can_be_reached_by_rest(name: str) -> None:
    """Every public method but the bidirectional ones has a path; internal ones have none."""
    method = METHODS[name]
    has_path = method.GetOptions().HasExtension(annotations_pb2.http)
    assert has_path == (not is_internal(method) and not method.client_streaming)


def bindings() -> dict[tuple[str, str], list[str]]:
    """The methods by verb and path."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, method in METHODS.items():
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        for one in (rule, *rule.additional_bindings):
            verb = one.WhichOneof("pattern")
            if verb is not None:
                found.setdefault((verb, getattr(one, verb)), []).append(name)
    return found


@pytest.mark.parametrize(("verb", "path"), bindings())
def test_paths_are_unique_and_below_known_roots(verb: str, path: str) -> None:
    """One path means one thing, and lies below /api/v1 or /health."""
    assert verb in VERBS
    assert len(bindings()[verb, path]) == 1
    assert path.startswith(("/api/v1/", "/health/"))


@every_method
def test_streams_of_messages_are_named_so(name: str) -> None:
    """A path ends in `:stream` exactly when it streams: REST clients must know before they read."""
    method = METHODS[name]
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    paths = [getattr(one, one.WhichOneof("pattern") or "get") for one in (rule, *rule.additional_bindings)]
    for path in filter(None, paths):
        assert path.endswith(":stream") == method.server_streaming


@every_method
def test_each_method_has_messages_of_its_own(name: str) -> None:
    """Request and response are named after the method, so that each can grow alone."""
    method = METHODS[name]
    assert (method.input_type.name, method.output_type.name) == (f"{method.name}Request", f"{method.name}Response")

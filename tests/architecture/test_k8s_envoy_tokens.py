"""What Envoy does about tokens, held against the servers: which calls are open, and what a refusal says."""

import base64
from typing import Any

import pytest
import yaml
from google.api import annotations_pb2
from google.rpc import error_details_pb2, status_pb2
from ordergate.auth.v1 import auth_pb2 as auth
from ordergate.types.v1 import types_pb2 as types

from runtime.auth import rule_of
from runtime.claims import CLOCK_LEEWAY_S
from runtime.errors import Refused, status_of
from runtime.settings import Settings
from runtime.stack.envoy import SOURCE, http_filters, page_bodies
from runtime.tokens import LIFETIME_S_MAX
from tests.architecture.test_k8s_envoy import INTERNAL_PACKAGE, methods, path_of

CONFIG: dict[str, Any] = yaml.safe_load(SOURCE.read_text())
(FILTER,) = http_filters(CONFIG, "envoy.filters.http.jwt_authn")
(PROVIDER,) = FILTER["providers"].values()
MANAGER = next(part for part in CONFIG["static_resources"]["listeners"] if part["name"] == "public")["filter_chains"][
    0
]["filters"][0]["typed_config"]
MAPPERS = MANAGER["local_reply_config"]["mappers"]
VERBS = ("get", "post", "put", "patch", "delete")
REASONS = {
    "TOKEN_MISSING": types.REASON_TOKEN_MISSING,
    "TOKEN_EXPIRED": types.REASON_TOKEN_EXPIRED,
    "KEYS_UNAVAILABLE": types.REASON_KEYS_UNAVAILABLE,
    "TOKEN_INVALID": types.REASON_TOKEN_INVALID,
}


def needs_token(path: str) -> bool:
    """Whether the first rule that takes the path requires a token; one that none takes would need none."""
    for rule in FILTER["rules"]:
        match = rule["match"]
        if match.get("path") == path or path.startswith(match.get("prefix", "\0")):
            return "requires" in rule
    return False


def paths() -> list[tuple[str, bool]]:
    """Every path of a public method, of gRPC and of REST, and whether the contract lets anybody call it."""
    found = []
    for method in methods():
        if method.containing_service.file.package == INTERNAL_PACKAGE:
            continue
        rule = rule_of(path_of(method))
        assert rule is not None
        is_open = rule.access == auth.ACCESS_OPEN
        found.append((path_of(method), is_open))
        http = method.GetOptions().Extensions[annotations_pb2.http]
        found += [(getattr(http, verb), is_open) for verb in VERBS if getattr(http, verb)]
    return found


@pytest.mark.parametrize(("path", "is_open"), paths())
def test_k8s_envoy_asks_for_a_token_where_the_contract_does(path: str, is_open: bool) -> None:
    """What the contract declares open is open, and nothing else is."""
    assert needs_token(path) is not is_open


def test_k8s_envoy_asks_for_a_token_everywhere_else() -> None:
    """Also for what does not exist; the last rule is for everything."""
    assert FILTER["rules"][-1] == {"match": {"prefix": "/"}, "requires": {"provider_name": "ordergate"}}
    assert all(needs_token(path) for path in ("/", "/nosuch", "/health", "/docsx", "/ordergate.matching.v1.X/Y"))


def test_k8s_envoy_pages_need_no_token() -> None:
    """Who reads how to get in is not in yet."""
    routes = MANAGER["route_config"]["virtual_hosts"][0]["routes"]
    pages = [route["match"] for route in routes if route.get("direct_response", {}).get("body", {}).get("filename")]
    assert len(pages) == len(list(page_bodies(CONFIG)))
    for match in pages:
        path = match.get("path") or match["safe_regex"]["regex"].removesuffix("/?")
        assert not needs_token(path)


def test_k8s_envoy_takes_what_the_servers_take() -> None:
    """Lifetime, leeway and audience are those of the servers; the header is passed on, and is the only place."""
    assert PROVIDER["max_lifetime"] == f"{LIFETIME_S_MAX}s"
    assert PROVIDER["clock_skew_seconds"] == CLOCK_LEEWAY_S
    assert PROVIDER["audiences"] == [Settings.model_fields["auth_audience"].default]
    assert PROVIDER["forward"] is PROVIDER["require_expiration"] is True
    assert {place["name"] for place in PROVIDER["from_headers"]} == {"authorization"}
    assert not PROVIDER.keys() & {"from_params", "from_cookies", "forward_payload_header", "issuer"}


def test_k8s_envoy_refuses_before_it_reads() -> None:
    """A request without a good token is neither kept nor transcoded; the refusal can be read by a page."""
    order = [one["name"] for one in MANAGER["http_filters"]]
    place = order.index("envoy.filters.http.jwt_authn")
    assert order.index("envoy.filters.http.cors") < place < order.index("envoy.filters.http.buffer")
    assert order.index("envoy.filters.http.grpc_web") < place < order.index("envoy.filters.http.grpc_json_transcoder")


def refusals(over_grpc: bool) -> dict[str, dict[str, Any]]:
    """The mappers of refusals by their reason, in their order."""
    found: dict[str, dict[str, Any]] = {}
    for mapper in MAPPERS:
        if "jwt_authn_access_denied" not in str(mapper["filter"]):
            continue
        if ("and_filter" in mapper["filter"]) is over_grpc:
            found[_reason(mapper)] = mapper
    return found


def _reason(mapper: dict[str, Any]) -> str:
    if "headers_to_add" not in mapper:
        return str(mapper["body_format_override"]["json_format"]["details"][0]["reason"])
    info = error_details_pb2.ErrorInfo()
    assert _encoded(mapper).details[0].Unpack(info)
    return str(info.reason)


def _encoded(mapper: dict[str, Any]) -> status_pb2.Status:
    (added,) = mapper["headers_to_add"]
    assert added["header"]["key"] == "grpc-status-details-bin"
    value = added["header"]["value"]
    return status_pb2.Status.FromString(base64.b64decode(value + "=" * (-len(value) % 4)))


def test_k8s_envoy_has_each_refusal_twice() -> None:
    """For gRPC and for REST, the general one last, all before the mappers by status."""
    assert list(refusals(over_grpc=True)) == list(refusals(over_grpc=False)) == list(REASONS)
    places = [place for place, mapper in enumerate(MAPPERS) if "jwt_authn_access_denied" in str(mapper["filter"])]
    assert places == list(range(places[0], places[0] + 2 * len(REASONS)))


@pytest.mark.parametrize("name", REASONS)
def test_k8s_envoy_refuses_in_the_servers_words(name: str) -> None:
    """Code, reason and details are what a server would send; text and encoded status of gRPC agree."""
    of_grpc, of_rest = (refusals(over_grpc)[name] for over_grpc in (True, False))
    body = of_rest["body_format_override"]["json_format"]
    refused = Refused(REASONS[name], body["message"])
    status = status_of(refused)
    assert _encoded(of_grpc) == status
    assert of_grpc["body_format_override"]["text_format_source"]["inline_string"] == status.message
    assert body["code"] == status.code
    assert [detail["@type"] for detail in body["details"]] == [detail.type_url for detail in status.details]
    assert of_grpc["status_code"] == of_rest["status_code"] == {16: 401, 14: 503}[status.code]

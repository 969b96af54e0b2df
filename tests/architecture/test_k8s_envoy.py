"""Envoy's configuration against the contracts: what is public, where it leads, and how long it may take."""

import asyncio
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from ordergate.types.v1 import types_pb2 as types

from runtime import limits
from runtime.errors import Refused
from runtime.lifetimes import Lifetimes
from runtime.serve import LIVENESS
from runtime.settings import Settings
from runtime.stack.envoy import DESCRIPTOR_SET, PUBLIC_SERVERS, SOURCE, transcoders
from runtime.stack.pages import gather

INTERNAL_PACKAGE = "ordergate.matching.v1"
SERVER_OF_PACKAGE = {
    "ordergate.orders.v1": "gateway",
    "ordergate.operations.v1": "gateway",
    "ordergate.marketdata.v1": "marketdata",
    "ordergate.compliance.v1": "compliance",
}
IN_ERRORS = ("google.rpc.Status", "google.rpc.ErrorInfo", "google.rpc.BadRequest", "google.rpc.RetryInfo")


@cache
def descriptors() -> tuple[DescriptorPool, tuple[ServiceDescriptor, ...]]:
    """What the checked-in descriptor set holds, and its services."""
    files = FileDescriptorSet.FromString(DESCRIPTOR_SET.read_bytes()).file
    pool = DescriptorPool()
    for file in files:
        pool.Add(file)
    names = [f"{file.package}.{service.name}" for file in files for service in file.service]
    return pool, tuple(pool.FindServiceByName(name) for name in names)


def methods() -> list[MethodDescriptor]:
    """Every method of our services."""
    return [method for service in descriptors()[1] for method in service.methods]


@cache
def config() -> dict[str, Any]:
    """The configuration."""
    loaded: dict[str, Any] = yaml.safe_load(SOURCE.read_text())
    return loaded


def routes() -> list[dict[str, Any]]:
    """The public routes, in order, without the one that refuses what is malformed wherever it leads."""
    public = next(part for part in config()["static_resources"]["listeners"] if part["name"] == "public")
    (manager,) = public["filter_chains"][0]["filters"]
    (host,) = manager["typed_config"]["route_config"]["virtual_hosts"]
    found: list[dict[str, Any]]
    guard, *found = host["routes"]
    assert guard["direct_response"]["status"] == 400
    return found


def route_of(path: str) -> dict[str, Any]:
    """The first route that takes `path`, as Envoy chooses it."""
    return next(
        route
        for route in routes()
        if route["match"].get("path") == path or path.startswith(route["match"].get("prefix", "\0"))
    )


def path_of(method: MethodDescriptor) -> str:
    """The gRPC path of a method."""
    return f"/{method.containing_service.full_name}/{method.name}"


@pytest.mark.parametrize("method", methods(), ids=path_of)
def test_k8s_envoy_route(method: MethodDescriptor) -> None:
    """A public method leads to the server that has it, with a timeout only if it is unary; an internal one nowhere."""
    route = route_of(path_of(method))
    package = method.containing_service.file.package
    if package == INTERNAL_PACKAGE:
        assert route["direct_response"]["status"] == 404
        return
    streams = method.client_streaming or method.server_streaming
    assert route["route"]["cluster"] == SERVER_OF_PACKAGE[package]
    assert (route["route"]["timeout"] == "0s") is streams
    assert (route["route"]["max_stream_duration"]["grpc_timeout_header_max"] == "0s") is streams


def test_k8s_envoy_timeout_is_longer_than_the_servers() -> None:
    """A server's own deadline answers before Envoy's does, because only the server can give the reason."""
    timeouts = {route["route"]["timeout"] for route in routes() if "route" in route} - {"0s"}
    assert timeouts
    assert all(float(timeout.removesuffix("s")) > Settings().default_deadline_s for timeout in timeouts)


def is_page(route: dict[str, Any]) -> bool:
    """Whether a route serves a page from a file."""
    return "filename" in route.get("direct_response", {}).get("body", {})


def test_k8s_envoy_has_no_other_route() -> None:
    """Each route serves a method that exists or a page, but for the last, which says that there is none."""
    paths = [path_of(method) for method in methods()]
    used = [route_of(path)["match"] for path in paths]
    assert routes()[-1]["match"] == {"prefix": "/"}
    assert [route["match"] for route in routes()[:-1] if route["match"] not in used and not is_page(route)] == []


PAGES = {route["direct_response"]["body"]["filename"]: route for route in routes() if is_page(route)}


@pytest.mark.parametrize("name", PAGES)
def test_k8s_envoy_page(name: str, tmp_path: Path) -> None:
    """A page is a file that is gathered, can only be read, is never transcoded, and loads nothing from elsewhere."""
    gather(tmp_path)
    assert (tmp_path / Path(name).name).is_file()
    route = PAGES[name]
    (method,) = route["match"]["headers"]
    assert method == {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}
    assert route["typed_per_filter_config"]["envoy.filters.http.grpc_json_transcoder"]["disabled"]
    headers = {one["header"]["key"]: one["header"]["value"] for one in route["response_headers_to_add"]}
    rules = dict(rule.strip().split(" ", 1) for rule in headers["content-security-policy"].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["connect-src"] == "'self'"
    assert not any("//" in sources or "*" in sources for sources in rules.values())


def test_k8s_envoy_transcodes_every_public_service() -> None:
    """REST offers each public service and no internal one."""
    (transcoder,) = transcoders(config())
    public = {service.full_name for service in descriptors()[1] if service.file.package != INTERNAL_PACKAGE}
    assert set(transcoder["services"]) == public


@pytest.mark.parametrize("name", IN_ERRORS)
def test_k8s_envoy_knows_what_errors_carry(name: str) -> None:
    """The descriptor set has the types inside an error's details; without them Envoy shows none."""
    assert descriptors()[0].FindMessageTypeByName(name).full_name == name


def clusters() -> dict[str, dict[str, Any]]:
    """The clusters by name."""
    return {cluster["name"]: cluster for cluster in config()["static_resources"]["clusters"]}


def test_k8s_envoy_clusters() -> None:
    """Each public server is found at its service name and default port; keys and the admin interface within the pod."""
    addresses = {
        name: cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
        for name, cluster in clusters().items()
        if "load_assignment" in cluster
    }
    at = {name: {"socket_address": {"address": name, "port_value": Settings().port(name)}} for name in PUBLIC_SERVERS}
    gateways = {"gateway_serving": at["gateway"], "gateway_alive": at["gateway"]}
    others = {name: at[name] for name in PUBLIC_SERVERS if name != "gateway"}
    (own,) = [part["address"] for part in config()["static_resources"]["listeners"] if part["name"] == "keys"]
    assert addresses == gateways | others | {"keys": own, "admin": config()["admin"]["address"]}
    assert own["socket_address"]["address"] == "127.0.0.1"
    assert config()["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"


def test_k8s_envoy_sends_nothing_to_a_gateway_that_is_not_healthy() -> None:
    """Gateways that serve come first, then those that are alive; one that is not healthy gets no call."""
    first, second = (clusters()[name] for name in clusters()["gateway"]["cluster_type"]["typed_config"]["clusters"])
    assert [
        cluster["health_checks"][0]["grpc_health_check"].get("service_name", "") for cluster in (first, second)
    ] == [
        "",
        LIVENESS,
    ]
    for cluster in (first, second):
        assert cluster["common_lb_config"]["healthy_panic_threshold"] == {"value": 0}
        assert cluster["load_assignment"]["endpoints"] == first["load_assignment"]["endpoints"]


def test_k8s_envoy_notices_a_drain_before_the_gateway_refuses() -> None:
    """Between two looks at a gateway lies less time than between its notice of a drain and its first refusal."""
    (check,) = clusters()["gateway_serving"]["health_checks"]
    assert check["unhealthy_threshold"] == 1
    assert 2 * float(check["interval"].removesuffix("s")) < Settings().drain_notice_s


def test_k8s_envoy_finds_dead_peers_and_is_not_cut() -> None:
    """On either side a dead peer is found within 25 s, and no server is asked more often than it allows."""
    public = next(part for part in config()["static_resources"]["listeners"] if part["name"] == "public")
    manager = public["filter_chains"][0]["filters"][0]["typed_config"]
    towards_clients = manager["http2_protocol_options"]["connection_keepalive"]
    (options,) = clusters()["gateway_serving"]["typed_extension_protocol_options"].values()
    towards_servers = options["explicit_http_config"]["http2_protocol_options"]["connection_keepalive"]
    for asks in (towards_clients, towards_servers):
        assert sum(float(asks[name].removesuffix("s")) for name in ("interval", "timeout")) <= 25
    assert float(towards_servers["interval"].removesuffix("s")) * 1_000 > limits.PING_INTERVAL_MIN_MS


def test_k8s_envoy_limits_metadata_as_the_servers_do() -> None:
    """What Envoy lets in no server refuses for its size: a server counts 32 bytes more for each header."""
    public = next(part for part in config()["static_resources"]["listeners"] if part["name"] == "public")
    manager = public["filter_chains"][0]["filters"][0]["typed_config"]
    assert manager["max_request_headers_kb"] * 1_024 <= limits.METADATA_BYTES_MAX - 64 * 32


def test_k8s_envoy_knows_a_gateway_that_drains() -> None:
    """What a draining gateway refuses with is what Envoy tries again at another, and nothing else that was answered."""
    public = next(part for part in config()["static_resources"]["listeners"] if part["name"] == "public")
    manager = public["filter_chains"][0]["filters"][0]["typed_config"]
    (header,) = manager["route_config"]["virtual_hosts"][0]["retry_policy"]["retriable_headers"]
    with pytest.raises(Refused) as refused:
        asyncio.run(_drained())
    assert (header["name"], refused.value.reason) == ("grpc-message", types.REASON_DRAINING)
    assert refused.value.text.startswith(header["string_match"]["prefix"])


async def _drained() -> None:
    lifetimes = Lifetimes(Settings())
    await lifetimes.drain(0)
    lifetimes.check_open()

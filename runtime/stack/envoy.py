"""Envoy's configuration for a single machine, made from the one that Kubernetes mounts.

`k8s/base/envoy/envoy.yaml` is the only place where Envoy is configured. What a
single machine has otherwise is exactly this: the addresses and ports, the paths
of the descriptor set, of the pages and of the keys, whose tokens are taken, and
no listener for probes, because there the admin interface on loopback can be
reached. `runtime.stack.programs` calls it.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from runtime.settings import Server, Settings
from runtime.stack import envoy_keys, envoy_tls, pages

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "k8s" / "base" / "envoy" / "envoy.yaml"
DESCRIPTOR_SET = REPOSITORY / "protos" / "gen" / "ordergate.binpb"
PUBLIC_SERVERS: tuple[Server, ...] = ("gateway", "marketdata", "compliance")
"""The servers behind Envoy; each has a cluster of that name."""
ONLY_IN_KUBERNETES = ("probes", "admin")
"""The listener for probes and the cluster that it leads to."""
LOOPBACK = "127.0.0.1"
"""Where the admin interface is, which can stop Envoy, and the keys: never opened to others, whatever `settings.host`
says."""


def render(settings: Settings, folder: Path, gateways: Sequence[str] = ()) -> Path:
    """Writes the configuration for `settings` to `folder`, which is made if need be.

    Args:
        settings: with real ports and addresses, as `runtime.stack.home.placed` gives them.
        folder: where it is written, as `envoy.yaml`, with the pages beside it.
        gateways: the addresses of all gateways; that of `settings` when there are none.

    Returns:
        The path of the file.

    Raises:
        OSError: the source or a page cannot be read, or the files not be written.
        ValueError: the files of certificates are named in part only, or an address of keys is none.
    """
    config = localized(yaml.safe_load(SOURCE.read_text()), settings, gateways)
    envoy_tls.secure(config, settings, folder / "tls", own=(envoy_keys.KEYS,))
    (verified,) = http_filters(config, "envoy.filters.http.jwt_authn")
    envoy_keys.take_keys(config, verified, keys_body(config), settings)
    pages.gather(folder / "pages")
    for body in page_bodies(config):
        body["filename"] = str(folder / "pages" / Path(body["filename"]).name)
    path = folder / SOURCE.name
    path.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    return path


def localized(config: dict[str, Any], settings: Settings, gateways: Sequence[str] = ()) -> dict[str, Any]:
    """`config` with the addresses, ports and paths of this machine; changes it in place."""
    resources = config["static_resources"]
    for kind in ("listeners", "clusters"):
        resources[kind] = [part for part in resources[kind] if part["name"] not in ONLY_IN_KUBERNETES]
    listeners = {listener["name"]: listener for listener in resources["listeners"]}
    _place(config["admin"]["address"], LOOPBACK, settings.envoy_admin_port)
    _place(listeners["public"]["address"], settings.host, settings.envoy_port)
    _place(listeners[envoy_keys.KEYS]["address"], LOOPBACK, settings.envoy_keys_port)
    addresses: dict[str, list[str]] = {server: [settings.address(server)] for server in PUBLIC_SERVERS}
    addresses[LOOPBACK] = [f"{LOOPBACK}:{settings.envoy_keys_port}"]
    addresses |= {"gateway": list(gateways)} if gateways else {}
    for cluster in resources["clusters"]:
        # An aggregate of clusters has no endpoints of its own.
        if "load_assignment" in cluster:
            _lead_to(cluster, addresses)
    for transcoder in transcoders(config):
        transcoder["proto_descriptor"] = str(DESCRIPTOR_SET)
    return config


def transcoders(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The settings of each transcoder of `config`."""
    yield from http_filters(config, "envoy.filters.http.grpc_json_transcoder")


def http_filters(config: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """The settings of each filter called `name`."""
    for manager in _managers(config):
        for http_filter in manager["http_filters"]:
            if http_filter["name"] == name:
                yield http_filter["typed_config"]


def page_bodies(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Where each page that Envoy serves from a file says which file it is."""
    yield from _file_bodies(config, "public")


def keys_body(config: dict[str, Any]) -> dict[str, Any]:
    """Where Envoy is told which file has the keys, and which folder to watch for its replacement."""
    (body,) = _file_bodies(config, envoy_keys.KEYS)
    return body


def _file_bodies(config: dict[str, Any], listener: str) -> Iterator[dict[str, Any]]:
    for manager in _managers(config, listener):
        for host in manager["route_config"]["virtual_hosts"]:
            bodies = [route.get("direct_response", {}).get("body", {}) for route in host["routes"]]
            yield from (body for body in bodies if "filename" in body)


def _managers(config: dict[str, Any], listener: str = "public") -> Iterator[dict[str, Any]]:
    for found in config["static_resources"]["listeners"]:
        if found["name"] == listener:
            for chain in found["filter_chains"]:
                yield from (manager["typed_config"] for manager in chain["filters"])


def _lead_to(cluster: dict[str, Any], addresses: dict[str, list[str]]) -> None:
    """Gives a cluster the addresses of its server, told by the host that Kubernetes knows it by."""
    (locality,) = cluster["load_assignment"]["endpoints"]
    (pattern,) = locality["lb_endpoints"]
    server = pattern["endpoint"]["address"]["socket_address"]["address"]
    locality["lb_endpoints"] = [deepcopy(pattern) for _ in addresses[server]]
    for endpoint, address in zip(locality["lb_endpoints"], addresses[server], strict=True):
        host, _, port = address.rpartition(":")
        _place(endpoint["endpoint"]["address"], host.strip("[]"), int(port))


def _place(address: dict[str, Any], host: str, port: int) -> None:
    address["socket_address"] |= {"address": host, "port_value": port}

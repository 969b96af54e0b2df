"""TLS for Envoy on a single machine: to clients with the servers' certificate, and to the servers as one of them.

Certificates are given to Envoy as secrets in files of its own, because only
those are read again when a certificate is replaced. What follows from the
settings is the same as for the servers: see `runtime.tls`.
"""

import ipaddress
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import yaml

from runtime import tls
from runtime.settings import Settings

_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
SHOWN, SERVERS, CLIENTS = "shown", "servers", "clients"
"""The secrets: what Envoy shows, whom it trusts as a server, whom as a client."""


def secure(config: dict[str, Any], settings: Settings, folder: Path, own: Collection[str]) -> None:
    """Makes `config` speak TLS if `settings` say so, and writes the secrets to `folder`.

    Args:
        config: the configuration, which is changed.
        settings: those of the servers.
        folder: where the secrets are written; it is made if need be.
        own: the clusters that lead back to Envoy itself; they stay plain.

    Raises:
        OSError: the folder cannot be written.
        ValueError: the settings name files in part only.
    """
    if not tls.is_on(settings):
        return
    # A source of secrets has to know whom it serves.
    config["node"] = {"id": "envoy", "cluster": "ordergate"}
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, secret in _secrets(settings):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"resources": [secret]}))
    (public,) = (part for part in config["static_resources"]["listeners"] if part["name"] == "public")
    for chain in public["filter_chains"]:
        chain["transport_socket"] = _to_clients(settings, folder)
    for cluster in config["static_resources"]["clusters"]:
        hosts = {endpoint["socket_address"]["address"] for endpoint in _endpoints(cluster)}
        if hosts and cluster["name"] not in own:
            cluster["transport_socket"] = _to_servers(hosts, folder)


def _secrets(settings: Settings) -> Iterator[tuple[str, dict[str, Any]]]:
    shown = {
        "certificate_chain": {"filename": str(settings.tls_cert_file)},
        "private_key": {"filename": str(settings.tls_key_file)},
    }
    yield SHOWN, _secret(SHOWN, settings.tls_cert_file, {"tls_certificate": shown})
    for name, file in ((SERVERS, settings.tls_ca_file), (CLIENTS, settings.tls_client_ca_file)):
        if file is not None:
            yield name, _secret(name, file, {"validation_context": {"trusted_ca": {"filename": str(file)}}})


def _secret(name: str, file: Path | None, kind: dict[str, dict[str, Any]]) -> dict[str, Any]:
    assert file is not None, "tls.is_on checks it"
    for content in kind.values():
        content["watched_directory"] = {"path": str(file.parent)}
    return {"@type": f"{_TYPE}Secret", "name": name, **kind}


def _from(name: str, folder: Path) -> dict[str, Any]:
    source = {"path_config_source": {"path": str(folder / f"{name}.yaml")}, "resource_api_version": "V3"}
    return {"name": name, "sds_config": source}


def _socket(kind: str, **content: Any) -> dict[str, Any]:
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": f"{_TYPE}{kind}", **content},
    }


def _to_clients(settings: Settings, folder: Path) -> dict[str, Any]:
    common: dict[str, Any] = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "tls_certificate_sds_secret_configs": [_from(SHOWN, folder)],
    }
    asks = settings.tls_client_ca_file is not None
    if asks:
        common["validation_context_sds_secret_config"] = _from(CLIENTS, folder)
    return _socket("DownstreamTlsContext", common_tls_context=common, require_client_certificate=asks)


def _to_servers(hosts: set[str], folder: Path) -> dict[str, Any]:
    """Envoy by itself would take any certificate of the authority for that of any server."""
    names = [san(host) for host in sorted(hosts)]
    common = {
        "alpn_protocols": ["h2"],
        "tls_certificate_sds_secret_configs": [_from(SHOWN, folder)],
        "combined_validation_context": {
            "default_validation_context": {"match_typed_subject_alt_names": names},
            "validation_context_sds_secret_config": _from(SERVERS, folder),
        },
    }
    return _socket("UpstreamTlsContext", common_tls_context=common)


def san(host: str) -> dict[str, Any]:
    """What the certificate of `host` must be for."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return {"san_type": "DNS", "matcher": {"exact": host}}
    return {"san_type": "IP_ADDRESS", "matcher": {"exact": host}}


def _endpoints(cluster: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for locality in cluster.get("load_assignment", {}).get("endpoints", ()):
        for endpoint in locality["lb_endpoints"]:
            yield endpoint["endpoint"]["address"]

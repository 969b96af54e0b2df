"""Which tokens Envoy takes on a single machine: those that the servers take, by the keys that they have.

The keys of the file come through a listener of Envoy's for itself; those of an
identity provider, if the settings name one, are fetched by Envoy itself.
`runtime.stack.envoy` calls it.
"""

import ssl
from collections.abc import Iterator
from copy import deepcopy
from typing import Any
from urllib.parse import urlsplit

from runtime.fetching import PORTS
from runtime.settings import Settings
from runtime.stack.envoy_tls import san

KEYS = "keys"
"""The listener that has the keys of the file, and the cluster that leads to it."""
FILE = "ordergate"
"""The provider of the file's keys."""
IDENTITY_PROVIDER = "identity-provider"
FETCH_TIMEOUT_S = 2


def take_keys(config: dict[str, Any], verified: dict[str, Any], keys: dict[str, Any], settings: Settings) -> None:
    """Makes Envoy take the tokens of `settings`.

    Args:
        config: the configuration, which is changed.
        verified: the settings of jwt_authn in it.
        keys: where it says which file has the keys.
        settings: those of the servers.

    Raises:
        ValueError: the address of the identity provider is none of http or https.
    """
    verified["providers"][FILE] |= {"issuer": settings.auth_issuer, "audiences": [settings.auth_audience]}
    keys["filename"] = str(settings.auth_jwks_file)
    keys["watched_directory"]["path"] = str(settings.auth_jwks_file.parent)
    if settings.auth_jwks_url is None:
        return
    provider = deepcopy(verified["providers"][FILE])
    provider["remote_jwks"] |= {
        "http_uri": {
            "uri": settings.auth_jwks_url,
            "cluster": IDENTITY_PROVIDER,
            "timeout": f"{FETCH_TIMEOUT_S}s",
        },
        "cache_duration": f"{settings.auth_jwks_refresh_s:g}s",
    }
    verified["providers"][IDENTITY_PROVIDER] = provider
    either = [{"provider_name": name} for name in (FILE, IDENTITY_PROVIDER)]
    for rule in verified["rules"]:
        if "requires" in rule:
            rule["requires"] = {"requires_any": {"requirements": either}}
    config["static_resources"]["clusters"].append(_cluster(settings.auth_jwks_url))


def _cluster(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError(f"not an address of http or https: {url}")
    address = {"address": parts.hostname, "port_value": parts.port or PORTS[parts.scheme]}
    endpoint = {"endpoint": {"address": {"socket_address": address}}}
    return {
        "name": IDENTITY_PROVIDER,
        "type": "STRICT_DNS",
        "connect_timeout": f"{FETCH_TIMEOUT_S}s",
        "load_assignment": {"cluster_name": IDENTITY_PROVIDER, "endpoints": [{"lb_endpoints": [endpoint]}]},
        **(dict(_tls(parts.hostname)) if parts.scheme == "https" else {}),
    }


def _tls(host: str) -> Iterator[tuple[str, Any]]:
    """Whom this machine trusts, as the servers do."""
    validated = {
        "trusted_ca": {"filename": ssl.get_default_verify_paths().cafile},
        "match_typed_subject_alt_names": [san(host)],
    }
    content = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": host,
        "common_tls_context": {"validation_context": validated},
    }
    yield "transport_socket", {"name": "envoy.transport_sockets.tls", "typed_config": content}

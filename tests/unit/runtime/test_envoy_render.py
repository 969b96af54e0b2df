"""What a single machine changes in Envoy's configuration, and that the real Envoy takes both forms."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.settings import Settings
from runtime.stack import envoy
from runtime.stack.home import isolated
from runtime.stack.pages import gather
from runtime.tokens import make_keys

CLUSTERS = ("gateway_serving", "gateway_alive", "marketdata", "compliance", "keys")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings that share no port with the configuration in the repository, and keys where they say."""
    isolated_here = isolated(tmp_path)
    make_keys(isolated_here.auth_jwks_file.parent)
    return isolated_here


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar of a configuration with its path; parts with a name are known by it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            name = inner.get("name", index) if isinstance(inner, dict) else index
            yield from leaves(inner, f"{path}[{name}]")
    else:
        yield path, value


def assert_taken_by_envoy(path: Path) -> None:
    """Envoy itself checks the file, and warns of nothing."""
    command = [str(Path(sys.executable).with_name("envoy")), "--mode", "validate", "--log-level", "warning", "-c"]
    result = subprocess.run([*command, str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    assert "OK" in result.stdout


def test_envoy_takes_the_kubernetes_form(tmp_path: Path) -> None:
    """The configuration that Kubernetes mounts is valid; only the image knows the paths of its files."""
    config = yaml.safe_load(envoy.SOURCE.read_text())
    gather(tmp_path)
    for body in envoy.page_bodies(config):
        body["filename"] = str(tmp_path / Path(body["filename"]).name)
    for transcoder in envoy.transcoders(config):
        transcoder["proto_descriptor"] = str(envoy.DESCRIPTOR_SET)
    make_keys(tmp_path)
    keys = envoy.keys_body(config)
    keys["filename"], keys["watched_directory"]["path"] = str(tmp_path / "jwks.json"), str(tmp_path)
    path = tmp_path / "kubernetes.yaml"
    path.write_text(yaml.safe_dump(config))
    assert_taken_by_envoy(path)


def test_envoy_takes_the_local_form(settings: Settings, tmp_path: Path) -> None:
    """The configuration of a single machine is valid."""
    assert_taken_by_envoy(envoy.render(settings, tmp_path / "made" / "on demand"))


def test_envoy_local_form_changes_nothing_else(settings: Settings, tmp_path: Path) -> None:
    """Addresses, ports, paths of files and the probes differ; only here it is known whose tokens are taken."""
    original = dict(leaves(yaml.safe_load(envoy.SOURCE.read_text())))
    local = dict(leaves(yaml.safe_load(envoy.render(settings, tmp_path).read_text())))
    (issuer,) = local.keys() - original.keys()
    assert (issuer.rpartition(".")[2], local.pop(issuer)) == ("issuer", settings.auth_issuer)
    gone = {path.split("[")[1].split("]")[0] for path in original.keys() - local.keys()}
    assert gone == set(envoy.ONLY_IN_KUBERNETES)
    changed = {path: value for path, value in local.items() if original[path] != value}
    keys = {path: changed.pop(path) for path in list(changed) if "listeners[keys]" in path and ".body." in path}
    addresses = {path: value for path, value in changed.items() if ".socket_address." in path}
    assert list(keys.values()) == [str(settings.auth_jwks_file), str(settings.auth_jwks_file.parent)]
    pages = {path: value for path, value in changed.items() if path.endswith(".direct_response.body.filename")}
    assert pages
    assert all(Path(value).is_relative_to(tmp_path) and Path(value).is_file() for value in pages.values())
    (descriptor,) = changed.keys() - addresses.keys() - pages.keys()
    assert descriptor.endswith(".proto_descriptor")
    assert {path.split(".socket_address.")[0].rpartition("[0]")[0] for path in addresses if "clusters" in path} == {
        f".static_resources.clusters[{name}].load_assignment.endpoints[0].lb_endpoints" for name in CLUSTERS
    }


def test_envoy_local_form_has_the_addresses_of_the_settings(settings: Settings, tmp_path: Path) -> None:
    """Envoy listens where the settings say, finds the servers there, and keeps its admin interface on loopback."""
    elsewhere = settings.model_copy(update={"host": "0.0.0.0", "gateway_address": "[::1]:7000"})
    local = dict(leaves(yaml.safe_load(envoy.render(elsewhere, tmp_path).read_text())))

    def address(part: str) -> tuple[str, int]:
        (prefix,) = [path.removesuffix("port_value") for path in local if part in path and path.endswith("port_value")]
        return local[f"{prefix}address"], local[f"{prefix}port_value"]

    assert address(".admin.") == ("127.0.0.1", settings.envoy_admin_port)
    assert address("listeners[public]") == ("0.0.0.0", settings.envoy_port)
    assert address("listeners[keys]") == address("clusters[keys]") == ("127.0.0.1", settings.envoy_keys_port)
    assert address("clusters[gateway_serving]") == ("::1", 7000)
    assert address("clusters[gateway_alive]") == ("::1", 7000)
    assert address("clusters[marketdata]") == ("127.0.0.1", settings.marketdata_port)
    assert address("clusters[compliance]") == ("127.0.0.1", settings.compliance_port)


def test_envoy_local_form_has_every_gateway(settings: Settings, tmp_path: Path) -> None:
    """Each gateway is an endpoint of both clusters of gateways, and of no other; Envoy takes that form too."""
    path = envoy.render(settings, tmp_path, ["127.0.0.1:7001", "127.0.0.1:7002", "[::1]:7003"])
    assert_taken_by_envoy(path)
    ports: dict[str, list[int]] = {}
    for leaf, value in leaves(yaml.safe_load(path.read_text())):
        if ".load_assignment." in leaf and leaf.endswith("port_value"):
            ports.setdefault(leaf.split("clusters[")[1].split("]")[0], []).append(value)
    assert ports == {
        "gateway_serving": [7001, 7002, 7003],
        "gateway_alive": [7001, 7002, 7003],
        "marketdata": [settings.marketdata_port],
        "compliance": [settings.compliance_port],
        "keys": [settings.envoy_keys_port],
    }

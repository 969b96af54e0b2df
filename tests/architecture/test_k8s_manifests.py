"""What must hold for every object that goes to a cluster, in both overlays."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import kubernetes_validate
import pytest
import yaml

from clients.cli.main import cli
from matching.genesis import genesis_commands
from runtime.serve import LIVENESS
from runtime.settings import Server, Settings
from runtime.stack import envoy
from runtime.stack.home import variable
from runtime.stack.programs import STOP_MARGIN_S
from runtime.tokens import make_keys
from tests.architecture.kustomize import Resource, Resources, containers, pod, real, references, render
from tests.architecture.sources import REPOSITORY

OLDEST, NEWEST = "1.30", kubernetes_validate.latest_version()
SERVERS: tuple[str, ...] = get_args(Server)
OVERLAYS = ("dev", "production")
WORKLOADS = {"Deployment", "StatefulSet", "Job"}
FOREIGN_IMAGES = {"dev": {"postgres:18"}, "production": set()}
BROUGHT_BY_OTHERS = {
    "dev": {},
    "production": {
        ("Secret", "ordergate-keys"): {"jwks.json", "service.pem"},
        ("Secret", "ordergate-audit-key"): {"audit.pem"},
        ("Secret", "ordergate-database"): {"url", "migration-url"},
    },
}
"""What an overlay refers to and does not contain; k8s/README.md tells who brings it."""
MAY_BE_BROUGHT = {("Secret", "ordergate-redis"): {"url"}, ("ConfigMap", "ordergate-revocations"): set()}
"""What need not be there, in either overlay."""


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a developer has set must not change what the manifests are compared with."""
    for name in {variable(field) for field in Settings.model_fields} & os.environ.keys():
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def overlays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The overlays, the dev one with keys, in a copy of `k8s/`."""
    copy = tmp_path_factory.mktemp("manifests") / "k8s"
    shutil.copytree(REPOSITORY / "k8s", copy, ignore=shutil.ignore_patterns("keys"))
    subprocess.run([sys.executable, copy / "overlays" / "dev" / "make_keys.py"], check=True, timeout=60)
    return copy / "overlays"


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    """Each overlay in turn."""
    return str(request.param)


@pytest.fixture
def objects(overlays: Path, overlay: str) -> Resources:
    """Everything that the overlay gives."""
    return render(overlays / overlay)


@pytest.fixture
def workloads(objects: Resources) -> list[Resource]:
    """What runs."""
    return [resource for (kind, _), resource in objects.items() if kind in WORKLOADS]


def name_of(resource: Resource) -> str:
    """The name of an object."""
    return str(resource["metadata"]["name"])


def spec_of(workload: Resource) -> dict[str, Any]:
    """The pod of a workload."""
    spec = pod(workload)
    assert spec is not None
    return spec


def server_workloads(workloads: list[Resource]) -> dict[str, Resource]:
    """The workloads that run our servers."""
    return {
        container["command"][2]: workload
        for workload in workloads
        for container in containers(workload)
        if container.get("command", [])[:2] == ["ordergate", "serve"]
    }


def test_k8s_rendering_is_that_of_kustomize(overlays: Path, overlay: str, objects: Resources) -> None:
    """Where kubectl or kustomize is on the PATH, it gives object for object what these tests judge."""
    assert len(objects) > 20
    # Elsewhere the renderer stands alone: test_k8s_rendering.py holds it against known answers.
    assert real(overlays / overlay) in (None, objects)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_k8s_objects_follow_the_schemas(objects: Resources, version: str) -> None:
    """Every object is what the Kubernetes API takes, and has no field that it would ignore."""
    for resource in objects.values():
        assert kubernetes_validate.validate(resource, version, strict=True)


def test_k8s_each_server_runs_once(workloads: list[Resource]) -> None:
    """Each of the four servers has a workload of its name, and so has Envoy."""
    assert {server: name_of(one) for server, one in server_workloads(workloads).items()} == {
        one: one for one in SERVERS
    }
    assert "envoy" in {name_of(workload) for workload in workloads}


def test_k8s_single_writers_are_single(objects: Resources) -> None:
    """What may exist only once never exists twice, not even while a new version takes over."""
    matching = objects["StatefulSet", "matching"]["spec"]
    assert matching["replicas"] == 1
    assert matching["volumeClaimTemplates"][0]["spec"]["accessModes"] == ["ReadWriteOncePod"]
    for name in ("marketdata", "compliance"):
        deployment = objects["Deployment", name]["spec"]
        assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})


def test_k8s_pods_have_no_privilege(workloads: list[Resource]) -> None:
    """Nothing runs as root, changes its own image, keeps a capability or can talk to the Kubernetes API."""
    for workload in workloads:
        spec = spec_of(workload)
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] > 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        assert not [volume for volume in spec.get("volumes", ()) if "hostPath" in volume]
        for container in containers(workload):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_k8s_containers_are_bounded(workloads: list[Resource]) -> None:
    """Every container says what it needs and what it may take at most, of time and of memory."""
    for container in chain.from_iterable(map(containers, workloads)):
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}, container["name"]
        assert container["resources"]["limits"].keys() == {"cpu", "memory"}, container["name"]


def test_k8s_service_links_are_off(workloads: list[Resource]) -> None:
    """Kubernetes adds no variables of its own: one of them could be taken for a setting."""
    assert [name_of(workload) for workload in workloads if spec_of(workload)["enableServiceLinks"]] == []


def test_k8s_servers_are_probed(workloads: list[Resource]) -> None:
    """A server is ready when it serves; it is restarted only when it no longer answers at all."""
    for server, workload in server_workloads(workloads).items():
        (container,) = containers(workload)
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert ports == {"grpc": Settings().port(server), "metrics": Settings().metrics_port(server)}  # type: ignore[arg-type]
        assert container["readinessProbe"]["grpc"] == {"port": ports["grpc"]}
        for probe in ("startupProbe", "livenessProbe"):
            assert container[probe]["grpc"] == {"port": ports["grpc"], "service": LIVENESS}


def test_k8s_envoy_is_probed_by_itself(objects: Resources) -> None:
    """Envoy's probes ask Envoy and not the servers behind it: their failure is no reason to restart it."""
    (container,) = containers(objects["Deployment", "envoy"])
    config = yaml.safe_load(envoy.SOURCE.read_text())
    (probes,) = [part for part in config["static_resources"]["listeners"] if part["name"] == "probes"]
    routes = probes["filter_chains"][0]["filters"][0]["typed_config"]["route_config"]["virtual_hosts"][0]["routes"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": "/ready", "port": "metrics"}
    assert {route["match"]["path"] for route in routes} == {"/ready", "/metrics"}
    assert all(route["route"]["cluster"] == "admin" for route in routes)
    listening = {
        part["address"]["socket_address"]["port_value"]
        for part in config["static_resources"]["listeners"]
        if part["address"]["socket_address"]["address"] == "0.0.0.0"
    }
    assert listening == {port["containerPort"] for port in container["ports"]}


def test_k8s_there_is_time_to_drain(workloads: list[Resource]) -> None:
    """Before Kubernetes kills a server it has let go of its clients and finished its calls."""
    for workload in server_workloads(workloads).values():
        (container,) = containers(workload)
        waits_s = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        needed_s = waits_s + settings_of(workload, {}).drain_timeout_s + STOP_MARGIN_S
        assert spec_of(workload)["terminationGracePeriodSeconds"] >= needed_s


def settings_of(workload: Resource, objects: Resources) -> Settings:
    """The settings that the workload's environment gives; it raises if one of them has no meaning."""
    values = {name: value for name, value in variables(workload, objects) if value is not None}
    fields = {variable(field): field for field in Settings.model_fields}
    return Settings.model_validate({fields[name]: value for name, value in values.items() if name != "DATABASE_URL"})


def variables(workload: Resource, objects: Resources) -> Iterator[tuple[str, str | None]]:
    """The environment of a workload's containers; no value where the cluster gives it."""
    for container in containers(workload):
        for source in container.get("envFrom", ()):
            key = "ConfigMap", source["configMapRef"]["name"]
            yield from objects.get(key, {}).get("data", {}).items()
        for entry in container.get("env", ()):
            yield entry["name"], entry.get("value")


def test_k8s_settings_mean_something(workloads: list[Resource], objects: Resources) -> None:
    """Every variable of our containers is a setting, its value one that the setting takes."""
    known = {variable(field) for field in Settings.model_fields}
    ours = [one for one in workloads if containers(one)[0]["image"].startswith("ordergate:")]
    assert {name for workload in ours for name, _ in variables(workload, objects)} <= known
    for workload in server_workloads(workloads).values():
        settings = settings_of(workload, objects)
        assert settings.host == "0.0.0.0"
        assert settings.genesis_file != Settings().genesis_file or "dev" in workload["metadata"]["namespace"]


def test_k8s_servers_are_found(workloads: list[Resource], objects: Resources) -> None:
    """Where the settings and Envoy look for a server, a service of that name leads to the pods that are it."""
    endpoints = [
        cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
        for cluster in yaml.safe_load(envoy.SOURCE.read_text())["static_resources"]["clusters"]
        if "load_assignment" in cluster
    ]
    # Where the keys come from, Envoy finds within itself.
    envoy_addresses = {one["socket_address"]["address"] for one in endpoints if "socket_address" in one}
    assert envoy_addresses - {"127.0.0.1"} == set(envoy.PUBLIC_SERVERS)
    for workload in server_workloads(workloads).values():
        settings = settings_of(workload, objects)
        for server in get_args(Server):
            host, _, port = settings.address(server).partition(":")
            service = objects["Service", host]["spec"]
            assert service["selector"] == {"app.kubernetes.io/name": server}
            assert service["clusterIP"] == "None"
            assert [(entry["port"], entry["targetPort"]) for entry in service["ports"]] == [(int(port), "grpc")]


def test_k8s_gateways_are_told_apart(objects: Resources) -> None:
    """There are several gateways, each with the name of its pod; Envoy finds those too that do not serve."""
    gateway = objects["Deployment", "gateway"]
    assert gateway["spec"]["replicas"] > 1
    (container,) = containers(gateway)
    (own,) = [entry for entry in container["env"] if entry["name"] == variable("gateway_id")]
    assert own["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert objects["Service", "gateway"]["spec"]["publishNotReadyAddresses"] is True


def test_k8s_services_lead_to_pods(workloads: list[Resource], objects: Resources) -> None:
    """A service and a disruption budget select the pods of one workload, and ports that they have."""
    templates = {name_of(one): one["spec"]["template"] for one in workloads}
    for (kind, name), resource in objects.items():
        if kind not in {"Service", "PodDisruptionBudget"}:
            continue
        selector = resource["spec"]["selector"]
        wanted = selector.get("matchLabels", selector).items()
        (chosen,) = [one for one in templates.values() if wanted <= one["metadata"]["labels"].items()]
        names = {port["name"] for container in chosen["spec"]["containers"] for port in container["ports"]}
        assert {port["targetPort"] for port in resource["spec"].get("ports", ())} <= names, name


def test_k8s_workloads_select_their_pods(workloads: list[Resource], objects: Resources) -> None:
    """A workload owns the pods that it makes, and each has a service account that can do nothing."""
    for workload in workloads:
        spec = workload["spec"]
        if "selector" in spec:
            assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
        account = objects["ServiceAccount", spec_of(workload)["serviceAccountName"]]
        assert name_of(account) == name_of(workload)
        assert account["automountServiceAccountToken"] is False


def test_k8s_references_exist(workloads: list[Resource], objects: Resources, overlay: str) -> None:
    """Each ConfigMap, Secret and key that is used is there, or is one of those that k8s/README.md asks for."""
    missing: dict[tuple[str, str], set[str]] = {}
    optional: dict[tuple[str, str], set[str]] = {}
    for kind, referrer, field in chain.from_iterable(map(references, workloads)):
        keys = {referrer["key"]} if "key" in referrer else {item["key"] for item in referrer.get("items", ())}
        there = objects.get((kind, referrer[field]))
        if there is None:
            absent = optional if referrer.get("optional") else missing
            absent.setdefault((kind, referrer[field]), set()).update(keys)
        else:
            assert keys <= there["data"].keys(), referrer
    assert missing == BROUGHT_BY_OTHERS[overlay]
    assert optional == MAY_BE_BROUGHT
    readme = (REPOSITORY / "k8s" / "README.md").read_text()
    assert all(word in readme for (_, name), keys in (missing | optional).items() for word in (name, *keys))


def test_k8s_mounts_have_volumes(workloads: list[Resource], objects: Resources) -> None:
    """What is mounted is a volume of the pod, every volume is mounted, and every file of the settings is mounted."""
    for workload in workloads:
        claims = workload["spec"].get("volumeClaimTemplates", ())
        volumes = {volume["name"] for volume in spec_of(workload).get("volumes", ())} | set(map(name_of, claims))
        mounts = [mount for container in containers(workload) for mount in container.get("volumeMounts", ())]
        assert {mount["name"] for mount in mounts} == volumes, name_of(workload)
    for server, workload in server_workloads(workloads).items():
        paths = {Path(mount["mountPath"]) for mount in containers(workload)[0]["volumeMounts"]}
        settings = settings_of(workload, objects)
        assert {settings.auth_jwks_file.parent, settings.auth_service_key_file.parent} <= paths
        # Matching is called by servers alone, whose tokens nobody revokes.
        assert (settings.auth_revocations_file.parent in paths) is (server != "matching")
        assert (settings.journal_dir.parent in paths) is (server == "matching")
        assert (settings.audit_key_file.parent in paths) is (server == "compliance")


def test_k8s_one_image(workloads: list[Resource], overlay: str) -> None:
    """Everything runs from the one image, in production with the version of this code."""
    images = {container["image"] for workload in workloads for container in containers(workload)}
    (ours,) = images - FOREIGN_IMAGES[overlay]
    assert images - {ours} == FOREIGN_IMAGES[overlay]
    assert ours == f"ordergate:{'dev' if overlay == 'dev' else project_version()}"


def project_version() -> str:
    """The version that pyproject.toml states."""
    return str(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"])


def test_k8s_commands_exist(workloads: list[Resource], tmp_path: Path) -> None:
    """Every container of ours starts a program of the image with options that it has."""
    programs = Path(sys.executable).parent
    for container in chain.from_iterable(map(containers, workloads)):
        program, *arguments = container.get("command", ["postgres"])
        if program == "ordergate":
            assert arguments[0] in cli.commands
        elif program == "dbmate":
            folder = Path(arguments[arguments.index("--migrations-dir") + 1])
            assert list((REPOSITORY / folder.relative_to("/app")).glob("*.sql"))
            subprocess.run([programs / program, *arguments, "--help"], check=True, capture_output=True, timeout=60)
        elif program == "envoy":
            make_keys(tmp_path / "keys")
            settings = Settings(auth_jwks_file=tmp_path / "keys" / "jwks.json")
            config = envoy.render(settings, tmp_path)
            arguments[arguments.index("--config-path") + 1] = str(config)
            subprocess.run([programs / program, *arguments, "--mode", "validate"], check=True, timeout=60)
        else:
            assert container["image"] in FOREIGN_IMAGES["dev"]


def test_k8s_envoy_has_its_files(objects: Resources) -> None:
    """Envoy gets the configuration of the repository, the public keys alone, and the descriptor set of the image."""
    (container,) = containers(objects["Deployment", "envoy"])
    volume, keys = spec_of(objects["Deployment", "envoy"])["volumes"]
    content = objects["ConfigMap", volume["configMap"]["name"]]["data"]
    path = Path(container["command"][container["command"].index("--config-path") + 1])
    assert content == {path.name: envoy.SOURCE.read_text()}
    assert container["volumeMounts"][0]["mountPath"] == str(path.parent)
    body = envoy.keys_body(yaml.safe_load(content[path.name]))
    assert [item["path"] for item in keys["secret"]["items"]] == [Path(body["filename"]).name]
    assert container["volumeMounts"][1]["mountPath"] == str(Path(body["filename"]).parent)
    assert body["watched_directory"]["path"] == container["volumeMounts"][1]["mountPath"]
    (transcoder,) = envoy.transcoders(yaml.safe_load(content[path.name]))
    descriptor = Path(transcoder["proto_descriptor"]).relative_to("/app")
    assert REPOSITORY / descriptor == envoy.DESCRIPTOR_SET


def test_k8s_production_holds_no_secret(overlays: Path) -> None:
    """What goes to production contains no secret and none of what is for development."""
    objects = render(overlays / "production")
    assert not [key for key in objects if key[0] == "Secret"]
    assert not {name for _, name in objects} & {"postgres", "market-maker"}
    text = yaml.safe_dump(list(objects.values()))
    assert "dev.pem" not in text
    assert "dev-only" not in text


def test_k8s_production_genesis_is_readable(overlays: Path) -> None:
    """The example of what a journal begins with is one that matching can read."""
    assert genesis_commands(overlays / "production" / "genesis.yaml")

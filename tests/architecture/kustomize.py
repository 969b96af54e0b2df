"""A renderer of exactly the kustomize features that `k8s/` uses, for machines without kubectl.

What it does not know it refuses, so that nothing is left out silently. Where
kubectl or kustomize is on the PATH, a test holds it against the real one. The
hash that ends the name of generated objects is that of kustomize (api/hasher).
"""

import base64
import copy
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Resource = dict[str, Any]
Resources = dict[tuple[str, str], Resource]

NOT_IN_A_NAMESPACE = {"Namespace"}
KEYS = {"apiVersion", "kind", "namespace", "resources", "images", "replicas", "patches"}
GENERATORS = {"configMapGenerator": "ConfigMap", "secretGenerator": "Secret"}
GENERATOR_KEYS = {"name", "behavior", "files", "literals"}
SECRET_LINE_LENGTH = 70
HASH_LENGTH = 10
HASH_ALPHABET = str.maketrans("013ae", "ghkmt")


def render(folder: Path) -> Resources:
    """The objects that a kustomization gives, by kind and name."""
    resources, generated = accumulate(folder)
    names = {}
    for kind, name in sorted(generated):
        names[kind, name] = f"{name}-{name_hash(resources[kind, name])}"
    for resource in resources.values():
        follow_names(resource, names)
    return by_kind_and_name(resources.values())


def real(folder: Path) -> Resources | None:
    """The same from the real kustomize, if this machine has one."""
    tools = {"kubectl": ["kubectl", "kustomize"], "kustomize": ["kustomize", "build"]}
    for tool, command in tools.items():
        if shutil.which(tool):
            result = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=True, timeout=60)
            return by_kind_and_name(yaml.safe_load_all(result.stdout))
    return None


def by_kind_and_name(resources: Any) -> Resources:
    """The objects by kind and name, none of which may be there twice."""
    found: Resources = {}
    for resource in resources:
        key = resource["kind"], resource["metadata"]["name"]
        assert key not in found, key
        found[key] = resource
    return found


def accumulate(folder: Path) -> tuple[Resources, set[tuple[str, str]]]:
    """The objects of a kustomization under their plain names, and which of them are generated."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    unknown = kustomization.keys() - KEYS - GENERATORS.keys()
    assert not unknown, f"{folder} uses {unknown}, which the renderer does not know"
    resources: Resources = {}
    generated: set[tuple[str, str]] = set()
    for entry in kustomization["resources"]:
        inner, inner_generated = read(folder / entry)
        assert not resources.keys() & inner.keys()
        resources |= inner
        generated |= inner_generated
    for field, kind in GENERATORS.items():
        for generator in kustomization.get(field, ()):
            generate(folder, kind, generator, resources)
            generated.add((kind, generator["name"]))
    for patch in kustomization.get("patches", ()):
        target = patch["target"]
        assert target.keys() == {"kind", "name"}
        resources[target["kind"], target["name"]] = patched(resources[target["kind"], target["name"]], patch["patch"])
    for resource in resources.values():
        place(resource, kustomization.get("namespace"))
        scale(resource, kustomization.get("replicas", ()))
        for container in containers(resource):
            tag(container, kustomization.get("images", ()))
    return resources, generated


def read(path: Path) -> tuple[Resources, set[tuple[str, str]]]:
    """The objects of a folder with a kustomization, or of a file."""
    if path.is_dir():
        return accumulate(path)
    return by_kind_and_name(yaml.safe_load_all(path.read_text())), set()


def generate(folder: Path, kind: str, generator: dict[str, Any], resources: Resources) -> None:
    """Makes a ConfigMap or Secret, or merges into the one that is there."""
    assert not generator.keys() - GENERATOR_KEYS, generator
    content = dict(literal.split("=", 1) for literal in generator.get("literals", ()))
    content |= {Path(file).name: (folder / file).read_text() for file in generator.get("files", ())}
    if kind == "Secret":
        content = {name: folded(base64.b64encode(text.encode()).decode()) for name, text in content.items()}
    key = kind, generator["name"]
    assert (key in resources) is (generator.get("behavior") == "merge"), key
    made = {"apiVersion": "v1", "kind": kind, "metadata": {"name": generator["name"]}, "data": {}}
    resource = resources.setdefault(key, made | ({"type": "Opaque"} if kind == "Secret" else {}))
    resource["data"] |= content


def folded(text: str) -> str:
    """A secret's value in lines, as kustomize writes and hashes it."""
    lines = [text[start : start + SECRET_LINE_LENGTH] for start in range(0, len(text), SECRET_LINE_LENGTH)]
    return text if len(lines) <= 1 else "".join(f"{line}\n" for line in lines)


def patched(resource: Resource, text: str) -> Resource:
    """The object after a JSON patch (RFC 6902) of additions."""
    result = copy.deepcopy(resource)
    for operation in yaml.safe_load(text):
        assert operation["op"] == "add", operation
        *parents, last = operation["path"].removeprefix("/").split("/")
        target: Any = result
        for part in parents:
            target = target[int(part)] if isinstance(target, list) else target[part]
        if last == "-":
            target.append(operation["value"])
        else:
            target[last] = operation["value"]
    return result


def place(resource: Resource, namespace: str | None) -> None:
    """Puts an object into the namespace."""
    if namespace and resource["kind"] not in NOT_IN_A_NAMESPACE:
        resource["metadata"]["namespace"] = namespace


def scale(resource: Resource, replicas: Any) -> None:
    """Sets the number of replicas."""
    for entry in replicas:
        if resource["metadata"]["name"] == entry["name"] and "replicas" in resource.get("spec", {}):
            resource["spec"]["replicas"] = entry["count"]


def tag(container: dict[str, Any], images: Any) -> None:
    """Sets the tag of an image."""
    for entry in images:
        assert entry.keys() == {"name", "newTag"}
        if container["image"] == entry["name"]:
            container["image"] = f"{entry['name']}:{entry['newTag']}"


def pod(resource: Resource) -> dict[str, Any] | None:
    """The pod of a workload."""
    template = resource.get("spec", {}).get("template")
    return template["spec"] if template else None


def containers(resource: Resource) -> list[dict[str, Any]]:
    """The containers of a workload, those that run before it included."""
    spec = pod(resource) or {}
    return [*spec.get("initContainers", ()), *spec.get("containers", ())]


def references(resource: Resource) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Every reference of a workload to a ConfigMap or Secret: the kind, the object that refers, its field."""
    for container in containers(resource):
        for source in container.get("envFrom", ()):
            yield from ((kind, source[field], "name") for field, kind in REFERENCE_KINDS.items() if field in source)
        for variable in container.get("env", ()):
            source = variable.get("valueFrom", {})
            yield from ((kind, source[field], "name") for field, kind in REFERENCE_KINDS.items() if field in source)
    for volume in (pod(resource) or {}).get("volumes", ()):
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"], "name"
        if "secret" in volume:
            yield "Secret", volume["secret"], "secretName"


REFERENCE_KINDS = {
    "configMapRef": "ConfigMap",
    "secretRef": "Secret",
    "configMapKeyRef": "ConfigMap",
    "secretKeyRef": "Secret",
}


def follow_names(resource: Resource, names: dict[tuple[str, str], str]) -> None:
    """Gives generated objects, and what refers to them, the name with the hash."""
    metadata = resource["metadata"]
    metadata["name"] = names.get((resource["kind"], metadata["name"]), metadata["name"])
    for kind, referrer, field in references(resource):
        referrer[field] = names.get((kind, referrer[field]), referrer[field])


def name_hash(resource: Resource) -> str:
    """The end of a generated object's name: a change of its content is a new object, which pods are restarted for."""
    # kustomize means to take the name in as well and does not find it: the name is always empty.
    content = {"kind": resource["kind"], "name": "", "data": resource["data"]}
    if resource["kind"] == "Secret":
        content["type"] = resource["type"]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # As Go writes JSON.
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH].translate(HASH_ALPHABET)

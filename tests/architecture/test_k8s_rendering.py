"""The renderer of the manifests: what it gives is what kustomize gives, and what it cannot give it refuses."""

from pathlib import Path

import pytest

from tests.architecture import kustomize

KUSTOMIZATION = """
namespace: somewhere
resources: [{resources}]
images:
- {{name: ordergate, newTag: "7"}}
configMapGenerator:
- name: one
  literals: ["a=1", "b=<&> é"]
secretGenerator:
- name: two
  literals: ["a=1"]
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: alone}
"""


def made(folder: Path, resources: str = "") -> Path:
    """A folder with a kustomization."""
    (folder / "kustomization.yaml").write_text(KUSTOMIZATION.format(resources=resources))
    (folder / "pod.yaml").write_text(POD)
    return folder


def test_k8s_renderer_names_as_kustomize_does(tmp_path: Path) -> None:
    """Names end in the hash of the content; these are what kustomize 5.5 gives for the same."""
    assert kustomize.render(made(tmp_path)).keys() == {("ConfigMap", "one-h6495ccg7c"), ("Secret", "two-25khgmg44c")}


def test_k8s_renderer_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    """A feature of kustomize that the renderer lacks is an error and not an object that is wrong."""
    made(tmp_path, "pod.yaml")
    assert ("Pod", "alone") in kustomize.render(tmp_path)
    with (tmp_path / "kustomization.yaml").open("a") as file:
        file.write("namePrefix: my-\n")
    with pytest.raises(AssertionError, match="namePrefix"):
        kustomize.render(tmp_path)

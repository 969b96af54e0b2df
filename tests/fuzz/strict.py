"""The OpenAPI document as a server of this very version has to keep it.

The published document lets answers grow: a client must not stumble over a field
that a later version adds. What we test adds none, so here every object is closed.
"""

import json
from copy import deepcopy
from typing import Any

from runtime.stack.pages import OPENAPI

Document = dict[str, Any]


def document() -> Document:
    """The document with every schema of an answer closed; schemas of requests stay as they are."""
    loaded: Document = deepcopy(json.loads(OPENAPI.read_text()))
    schemas = loaded["components"]["schemas"]
    for name in set(schemas) - _of_requests(loaded):
        if schemas[name].get("type") == "object":
            schemas[name]["additionalProperties"] = False
    return loaded


def _of_requests(loaded: Document) -> set[str]:
    """The schemas that bodies of requests refer to, however far."""
    schemas = loaded["components"]["schemas"]
    left = [
        operation["requestBody"]
        for item in loaded["paths"].values()
        for operation in item.values()
        if "requestBody" in operation
    ]
    found: set[str] = set()
    while left:
        names = set(_references(left.pop())) - found
        found |= names
        left += [schemas[name] for name in names]
    return found


def _references(part: Any) -> list[str]:
    """The names of the schemas that a part of the document refers to itself."""
    if isinstance(part, dict):
        own = [part["$ref"].rpartition("/")[2]] if "$ref" in part else []
        return own + [name for inner in part.values() for name in _references(inner)]
    return [name for inner in part for name in _references(inner)] if isinstance(part, list) else []

"""The whole OpenAPI 3.1 document. Called by `python -m protos.openapi`."""

import tomllib
from pathlib import Path
from typing import Any

from protos.openapi import errors
from protos.openapi.contracts import Contracts
from protos.openapi.operations import SECURITY_SCHEME, operations
from protos.openapi.schemas import Schemas

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
DESCRIPTION = """\
The REST side of ordergate: the same calls as over gRPC, by the same rules, with the same answers.

- Prices, quantities and money are decimal texts in plain notation: no exponent, at most 18 digits before and 9 after
  the point.
- 64-bit integers in answers are texts, as in every JSON form of Protobuf. Times are RFC 3339 in UTC.
- Every request that changes something carries a key that the client chose. Repeating it gives the original result
  again; it is never carried out twice.
- In a body, `null` is the same as nothing, no body is the same as `{}`, and names that no field has are ignored: check
  them, or a filter with a typing error is no filter. Query parameters that do not exist are refused.
- Errors are `google.rpc.Status`. The `ErrorInfo` in their details has a reason for programs, and `RetryInfo` says
  when trying again can help.
- Paths that end in `:stream` do not end by themselves: each line is a JSON object. Read them with `curl -N`.
- A request without a deadline has 10 seconds; `grpc-timeout: 500m` asks for 500 milliseconds.

Authorize with a token: `ordergate token --role trader --account DEMO` makes one for a system that runs here."""


def document(contracts: Contracts) -> dict[str, Any]:
    """The document, ready to be written as JSON."""
    schemas = Schemas(contracts)
    paths: dict[str, dict[str, Any]] = {}
    for path, verb, operation in operations(contracts, schemas):
        paths.setdefault(path, {})[verb] = operation
    tags = [
        {"name": service.rpartition(".")[2], "description": contracts.comments[service]}
        for service in contracts.services
    ]
    return {
        "openapi": "3.1.0",
        "info": _info(),
        "servers": [{"url": "/", "description": "The server that this document comes from."}],
        "security": [{SECURITY_SCHEME: []}],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {SECURITY_SCHEME: _security_scheme()},
            "headers": errors.headers(),
            "responses": errors.responses(contracts),
            "schemas": dict(sorted((schemas.components | errors.schemas()).items())),
        },
    }


def _info() -> dict[str, Any]:
    project = tomllib.loads(PROJECT.read_text())["project"]
    return {
        "title": project["name"],
        "summary": project["description"],
        "description": DESCRIPTION,
        "version": project["version"],
        "license": {"name": project["license"], "identifier": project["license"]},
    }


def _security_scheme() -> dict[str, Any]:
    return {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token with roles and accounts, signed with EdDSA or ES256, for at most 15 minutes.",
    }

"""What every error looks like, by HTTP status: `google.rpc.Status` with our details.

The reasons and their statuses are the table in `runtime.reasons`; 413, 431 and
408 are Envoy's own. Called by `protos.openapi.operations` and `.document`.
"""

from collections.abc import Mapping
from typing import Any

from google.rpc import code_pb2
from ordergate.auth.v1 import auth_pb2 as auth

from protos.openapi.contracts import Contracts, Method
from runtime.reasons import RULES, reason_name
from runtime.reasons_page import HTTP

Schema = dict[str, Any]
REASON_ENUM = "ordergate.types.v1.Reason"
TYPE_URL = "type.googleapis.com/google.rpc"

TITLES: Mapping[int, str] = {
    400: "The request is wrong, or cannot be carried out as things are.",
    401: "No valid token.",
    403: "The token does not allow it.",
    404: "There is no such thing.",
    408: "The request did not arrive in time.",
    409: "Something else has this key already.",
    413: "The body has more than 1 MiB.",
    429: "Too many requests.",
    431: "The headers, the query among them, have more than 14 KiB.",
    500: "A fault of the server.",
    503: "Not at the moment. OUTCOME_UNKNOWN says that the request may have been carried out.",
    504: "The deadline passed before the outcome was known.",
}
OF_ENVOY: Mapping[int, tuple[str, ...]] = {
    400: ("INVALID_ARGUMENT",),
    404: ("NOT_FOUND",),
    408: ("DEADLINE_EXCEEDED",),
    413: ("RESOURCE_EXHAUSTED",),
    431: ("RESOURCE_EXHAUSTED",),
    500: ("INTERNAL",),
}
"""gRPC codes in errors that have no reason of ours, or none that says so."""
ANYWHERE = (400, 404, 408, 413, 431, 500, 503, 504)
WITH_A_TOKEN = (401, 403, 429)
WHEN_WRITING = (409,)


def statuses(method: Method, *, writes: bool) -> list[int]:
    """The HTTP statuses of the errors that a method can answer with."""
    protected = method.rule.access == auth.ACCESS_ROLES
    return sorted([*ANYWHERE, *(WITH_A_TOKEN if protected else ()), *(WHEN_WRITING if writes else ())])


def responses(contracts: Contracts) -> dict[str, Schema]:
    """The response of each status, for the components of the document."""
    return {f"Error{status}": _response(contracts, status) for status in TITLES}


def schemas() -> dict[str, Schema]:
    """The schemas of an error and of its details."""
    details = {"ErrorInfo": _error_info(), "BadRequest": _bad_request(), "RetryInfo": _retry_info()}
    return {"Status": _status()} | details


def _response(contracts: Contracts, status: int) -> Schema:
    meanings = contracts.comments
    lines = [
        f"- `{reason_name(reason)}`: {meanings.get(f'{REASON_ENUM}.REASON_{reason_name(reason)}', '')}"
        for reason, rule in sorted(RULES.items())
        if reason and HTTP[rule.status] == status
    ]
    reached = {rule.status.name for reason, rule in RULES.items() if reason and HTTP[rule.status] == status}
    codes = sorted(code_pb2.Code.Value(name) for name in reached | set(OF_ENVOY.get(status, ())))
    schema = {"$ref": "#/components/schemas/Status", "properties": {"code": {"enum": codes}}}
    headers = {"x-request-id": {"$ref": "#/components/headers/RequestId"}}
    if status == 429:
        named = {**RATE_HEADERS, "retry-after": "RetryAfter"}
        headers |= {name: {"$ref": f"#/components/headers/{component}"} for name, component in named.items()}
    return {
        "description": "\n".join([TITLES[status], *(["", *lines] if lines else [])]),
        "headers": headers,
        "content": {"application/json": {"schema": schema}},
    }


RATE_HEADERS: Mapping[str, str] = {
    "ratelimit-limit": "RateLimitLimit",
    "ratelimit-remaining": "RateLimitRemaining",
    "ratelimit-reset": "RateLimitReset",
}


def headers() -> dict[str, Schema]:
    """The headers of responses, for the components of the document."""
    number = {"type": "integer", "minimum": 0}
    said = {
        "RateLimitLimit": "Requests that fit at once into the full budget.",
        "RateLimitRemaining": "Requests that fit now.",
        "RateLimitReset": "Seconds until the budget is full again.",
        "RetryAfter": "Seconds until the request fits into the budget.",
    }
    found = {name: {"description": text, "schema": number} for name, text in said.items()}
    return found | {"RequestId": {"description": "What the logs know the request by.", "schema": {"type": "string"}}}


def _status() -> Schema:
    kinds = [{"$ref": f"#/components/schemas/{name}"} for name in ("ErrorInfo", "BadRequest", "RetryInfo")]
    return {
        "description": "An error, google.rpc.Status. Its first detail is an ErrorInfo, but for the few errors that"
        " Envoy finds before a server sees the request, which have none.",
        "type": "object",
        "properties": {
            "code": {"description": "The gRPC status code.", "type": "integer", "minimum": 1, "maximum": 16},
            "message": {"description": "One sentence for people.", "type": "string"},
            "details": {"description": "More, for programs.", "type": "array", "items": {"oneOf": kinds}},
        },
        "required": ["code", "message", "details"],
    }


def _detail(name: str, description: str, properties: dict[str, Schema]) -> Schema:
    kind = {"description": "What kind of detail it is.", "const": f"{TYPE_URL}.{name}"}
    return {
        "description": description,
        "type": "object",
        "properties": {"@type": kind, **properties},
        "required": ["@type", *properties],
    }


def _error_info() -> Schema:
    reasons = [reason_name(reason) for reason in sorted(RULES) if reason]
    return _detail(
        "ErrorInfo",
        "Why, google.rpc.ErrorInfo.",
        {
            "reason": {"description": "The reason; each response says which it can be.", "enum": reasons},
            "domain": {"description": "Whose reasons these are.", "const": "ordergate"},
            "metadata": {
                "description": "Numbers and names: `rule`, `limit`, `current` and `projected` of a denial.",
                "type": "object",
                "additionalProperties": {"type": "string"},
            },
        },
    )


def _bad_request() -> Schema:
    violation = {
        "type": "object",
        "properties": {
            "field": {"description": "The field at fault, such as `order.price`.", "type": "string"},
            "description": {"description": "What is wrong with it.", "type": "string"},
            "reason": {"description": "Empty; the reason is in the ErrorInfo.", "type": "string"},
        },
        "required": ["field", "description"],
    }
    violations = {"description": "What is wrong.", "type": "array", "items": violation}
    return _detail("BadRequest", "Which field is at fault, google.rpc.BadRequest.", {"field_violations": violations})


def _retry_info() -> Schema:
    delay = {"description": "A duration such as `1.500s`.", "type": "string", "pattern": r"^[0-9]+(\.[0-9]{1,9})?s$"}
    return _detail("RetryInfo", "When to try again, google.rpc.RetryInfo.", {"retry_delay": delay})

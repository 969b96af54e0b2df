"""Writes docs/reasons.md: what each reason means, its gRPC and HTTP status, and whether a retry can succeed.

    python -m runtime.reasons_page            writes the page
    python -m runtime.reasons_page --check    exits 1 when the page is not what would be written

The meanings are the comments of the contract, the rest is the table in
`runtime.reasons`; a test holds the page against both.
"""

import re
import sys
from pathlib import Path

import grpc

from runtime.reasons import RULES, reason_name

REPOSITORY = Path(__file__).resolve().parents[1]
CONTRACT = REPOSITORY / "protos" / "ordergate" / "types" / "v1" / "types.proto"
PAGE = REPOSITORY / "docs" / "reasons.md"

BANDS = {1: "AUTH", 2: "SHAPE", 3: "RATE", 4: "RISK", 5: "VENUE", 6: "SYSTEM"}
ORIGINS = {
    "AUTH": "Who calls may not.",
    "SHAPE": "The request itself is wrong; `BadRequest` names the field at fault, where it is one.",
    "RATE": "Too much at once.",
    "RISK": "*Denied*: our own controls said no. The numbers stand in `ErrorInfo.metadata`.",
    "VENUE": "*Rejected*: the venue said no.",
    "SYSTEM": "The system cannot, at the moment.",
}
# google/rpc/code.proto, and so what Envoy answers over REST.
HTTP = {
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
_HEAD = """# Reasons

Every error is a `google.rpc.Status` whose first detail is an `ErrorInfo` with
the domain `ordergate` and one of these reasons. Reports and streams carry the
same code in a `ReasonDetail`. *Retry* says whether the same request can succeed
later without a change; those errors carry a `RetryInfo`.

Made by `python -m runtime.reasons_page` from the contract and `runtime/reasons.py`.
"""
_VALUE = re.compile(r"((?:  //[^\n]*\n)+)  REASON_(\w+) = (\d+);")


def meanings(contract: str) -> dict[str, str]:
    """The comment of each reason in the text of types.proto, by its name without `REASON_`."""
    body = contract.partition("enum Reason {")[2].partition("\n}")[0]
    return {
        name: " ".join(line.strip().removeprefix("//").strip() for line in comment.splitlines())
        for comment, name, _ in _VALUE.findall(body)
    }


def page(contract: str) -> str:
    """The text of the page."""
    said = meanings(contract)
    parts = [_HEAD]
    for band, origin in BANDS.items():
        parts.append(f"\n## {origin}, {band}00 to {band}99\n\n{ORIGINS[origin]}\n\n")
        parts.append("| code | reason | gRPC | HTTP | retry | meaning |\n|---|---|---|---|---|---|\n")
        for reason in sorted(RULES):
            if reason // 100 == band:
                rule, name = RULES[reason], reason_name(reason)
                retry = "yes" if rule.retryable else "no"
                status = rule.status
                parts.append(f"| {reason} | {name} | {status.name} | {HTTP[status]} | {retry} | {said[name]} |\n")
    return "".join(parts)


def main() -> None:
    """Writes the page, or with `--check` compares it."""
    text = page(CONTRACT.read_text())
    if "--check" not in sys.argv[1:]:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        sys.exit(f"{PAGE.relative_to(REPOSITORY)} is not up to date: python -m runtime.reasons_page")


if __name__ == "__main__":
    main()

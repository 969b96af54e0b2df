"""Schemathesis against REST: requests made from the OpenAPI document, answers held against it.

    with Rest(system.rest_url, partial(token_of, system), seed=7) as rest:
        findings = rest.run(cases=5_000)

Each operation gets requests that its schemas allow, requests that they do not,
and the boundaries of each schema. No answer may be a server's fault, have a
status or content type that the document does not name, or be otherwise than its
schema. Endless streams are read as far as they have something to say, and left.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Self

import hypothesis
import jsonschema_rs
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.generation.drivers import CoverageGenerator
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.generation.overrides import Override
from schemathesis.specs.openapi import checks

from runtime.stack.system import Stack
from tests.fuzz import strict
from tests.fuzz.steering import ACCOUNT, Steering

Operation = APIOperation[Any, Any, Any, Any]
AnyCase = Case[Any]
LINES = "application/x-ndjson"
LINES_MAX = 5
FIRST_LINE_WITHIN_S = 10.0
BETWEEN_LINES_S = 0.05
"""How long a stream may say nothing before it is left."""
TIMEOUT_S = 30.0
WITHOUT_A_TOKEN = 0.02
WITH_ITS_ACCOUNT = 0.8
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
ROUNDS_MAX = 20


class Finding(AssertionError):
    """An answer that the document does not allow."""


@dataclass
class Tally:
    """What was sent, and how it was answered."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    by_operation: dict[str, Counter[int]] = field(default_factory=dict)
    lines: int = 0

    def count(self, operation: str, status: int) -> None:
        """Counts one answer."""
        self.requests += 1
        self.statuses[status] += 1
        self.by_operation.setdefault(operation, Counter())[status] += 1


class Rest:
    """Fuzzes the REST side of one system."""

    def __init__(
        self, url: str, token_of: Callable[[str], str], seed: int, document: strict.Document | None = None
    ) -> None:
        """Sends nothing yet.

        Args:
            url: where REST is served, without a closing slash.
            token_of: a token by role, good for the whole run.
            seed: the same seed draws the same requests, as long as the answers are the same.
            document: what requests are made from and answers held against, if it is not ours.
        """
        load_all_checks()
        self._url = url
        self._seed = seed
        self._document = document or strict.document()
        schema = schemathesis.openapi.from_dict(self._document)
        self.operations: list[Operation] = [
            found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)
        ]
        self._headers = {one.label: self._headers_of(one, token_of) for one in self.operations}
        self._session = requests.Session()
        self._steering = Steering()
        self._lines: dict[str, Any] = {}
        self.tally = Tally()

    def __enter__(self) -> Self:
        """Nothing is open yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the connections."""
        self._session.close()

    def run(self, cases: int, boundaries: float = 1.0) -> list[str]:
        """Sends at least `cases` requests, drawn ones as evenly over the operations as they have any.

        Args:
            cases: how many, at least.
            boundaries: the share of the boundary cases that is sent; they come first.

        Returns:
            What was found, each with a way to see it again.
        """
        findings = [found for one in self.operations for found in self._boundaries(one, boundaries)]
        for number in range(ROUNDS_MAX):
            left = cases - self.tally.requests
            if left <= 0:
                return findings
            # Two modes each; some operations have few different requests and use up less than their share.
            share = max(5, left // (2 * len(self.operations)))
            for operation in self.operations:
                findings += self._fuzz(operation, share, self._seed + number)
        raise RuntimeError(f"the document has no {cases} different requests")

    def _boundaries(self, operation: Operation, share: float) -> Iterator[str]:
        random = Random(f"{self._seed} {operation.label}")
        for case in _boundaries_of(operation):
            if random.random() < share:
                try:
                    self._send(case, random)
                except (AssertionError, requests.RequestException, FailureGroup) as error:
                    yield _told(f"{operation.label} (boundary)", error)

    def _fuzz(self, operation: Operation, share: int, seed: int) -> Iterator[str]:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                self._fuzz_mode(operation, mode, share, seed)
            except hypothesis.errors.Unsatisfiable:
                # Nothing is forbidden where nothing can be said.
                continue
            except (AssertionError, requests.RequestException, FailureGroup) as error:
                yield _told(f"{operation.label} ({mode.value})", error)

    def _fuzz_mode(self, operation: Operation, mode: GenerationMode, share: int, seed: int) -> None:
        cases = operation.as_strategy(generation_mode=mode)

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=share,
            deadline=None,
            database=None,
            derandomize=False,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @hypothesis.given(case=cases, number=st.integers(0, 2**32))
        def one(case: AnyCase, number: int) -> None:
            # A generator of Hypothesis would answer "rarely" with "always": that is its trade.
            random = Random(number)
            if mode is GenerationMode.POSITIVE:
                for part in (case.path_parameters, case.query, case.body):
                    self._steering.steer(part, random)
            self._send(case, random)

        one()

    def _send(self, case: AnyCase, random: Random) -> None:
        if random.random() < WITH_ITS_ACCOUNT:
            for part in (case.path_parameters, case.query, case.body):
                self._steering.keep_to_account(part)
        case.headers.pop("authorization", None)
        if random.random() >= WITHOUT_A_TOKEN:
            case.headers.update(self._headers[case.operation.label])
        request = case.as_transport_kwargs(base_url=self._url)
        timeout = (TIMEOUT_S, FIRST_LINE_WITHIN_S if self._streams(case.operation) else TIMEOUT_S)
        with self._session.request(**request, timeout=timeout, stream=True, allow_redirects=False) as response:
            self.tally.count(case.operation.label, response.status_code)
            if response.status_code == requests.codes.ok and self._streams(case.operation) and case.method == "GET":
                self._check_lines(case, response)
            else:
                self._check_whole(case, response)

    def _check_whole(self, case: AnyCase, response: requests.Response) -> None:
        case.validate_response(response, checks=CHECKS)
        if response.ok:
            self._steering.learn(response.json())

    def _check_lines(self, case: AnyCase, response: requests.Response) -> None:
        """Holds the first lines of a stream against the schema of its messages."""
        media = response.headers["content-type"]
        if media != LINES:
            raise Finding(f"{case.operation.label} streams {media}; {case.as_curl_command()}")
        validator = self._validator_of(case.operation)
        for line in _first_lines(response):
            self.tally.lines += 1
            message = json.loads(line)
            if problem := next(validator.iter_errors(message), None):
                raise Finding(f"{case.operation.label}: {problem} in {line.decode()}; {case.as_curl_command()}")
            self._steering.learn(message)

    def _validator_of(self, operation: Operation) -> Any:
        if operation.label not in self._lines:
            content = self._described(operation)["responses"]["200"]["content"][LINES]
            schema = {**content["schema"], "components": self._document["components"]}
            self._lines[operation.label] = jsonschema_rs.validator_for(schema, validate_formats=True)
        return self._lines[operation.label]

    def _described(self, operation: Operation) -> Mapping[str, Any]:
        described: Mapping[str, Any] = self._document["paths"][operation.path][operation.method]
        return described

    def _streams(self, operation: Operation) -> bool:
        responses = self._described(operation)["responses"]
        return LINES in responses.get("200", {}).get("content", {})

    def _headers_of(self, operation: Operation, token_of: Callable[[str], str]) -> dict[str, str]:
        # The last role of a reading method sees every account, where there is such a role.
        roles = self._described(operation).get("x-roles", [])
        role = "market_maker" if "market_maker" in roles else (roles or [""])[-1]
        return {"authorization": f"Bearer {token_of(role)}"} if role else {}


def token_of(system: Stack, role: str) -> str:
    """A token of a role; a role that trades is bound to the one account that requests name."""
    trades = role in ("trader", "market_maker")
    return system.token(role, accounts=(ACCOUNT,) if trades else (), subject=f"fuzz-{role}")


def _boundaries_of(operation: Operation) -> Iterator[AnyCase]:
    """The cases at the edges of an operation's schemas, within and without; the same each time."""
    return iter(
        CoverageGenerator(
            operation=operation,
            generation_modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE],
            generation_config=operation.schema.config.generation_for(operation=operation, phase="coverage"),
            auth_storage=None,
            override=Override(),
            feedback=FeedbackSources(),
        )
    )


def _told(where: str, error: BaseException) -> str:
    notes = "\n".join(getattr(error, "__notes__", ()))
    return f"{where}: {error}\n{notes}"


def _first_lines(response: requests.Response) -> Iterator[bytes]:
    """The lines that a stream has at once, at most `LINES_MAX`; there must be one."""
    connection: Any = getattr(response.raw, "connection", None) or response.raw._connection
    begun = b""
    seen = 0
    try:
        for chunk in response.iter_content(chunk_size=None):
            *lines, begun = (begun + chunk).split(b"\n")
            yield from lines[: LINES_MAX - seen]
            seen += len(lines)
            if seen >= LINES_MAX:
                return
            # From here on a silence is the end of what there was at once.
            connection.sock.settimeout(BETWEEN_LINES_S)
    except requests.exceptions.ConnectionError:
        assert seen, "the stream said nothing"

"""Keys that come and go: files that are replaced, and an identity provider over real HTTP."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ordergate.types.v1 import types_pb2 as types

from runtime import keyring as runtime_keyring
from runtime.errors import Refused
from runtime.fetching import FetchError, fetch
from runtime.keyring import FETCH_RETRY_S, LOOK_UP_INTERVAL_S, Keyring, UnknownKeyError
from runtime.revocations import Revocation, add
from runtime.tokens import write_jwks
from runtime.verifier import Verifier

REFRESH_S = 60.0
ISSUER, AUDIENCE = "issuer-of-tests", "ordergate"


class Person:
    """Somebody with a private key of a name."""

    def __init__(self, kid: str) -> None:
        self.kid = kid
        self.private = Ed25519PrivateKey.generate()

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key."""
        public = jwt.get_algorithm_by_name("EdDSA").to_jwk(self.private.public_key(), as_dict=True)
        return {**public, "kid": self.kid}

    def header(self, **changes: Any) -> str:
        """A header with a token."""
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": self.kid, "iat": now, "exp": now + 60, "jti": "t-1"} | changes
        return "Bearer " + jwt.encode(claims, self.private, algorithm="EdDSA", headers={"kid": self.kid})


class Provider:
    """An identity provider: a real HTTP server that answers as a test tells it."""

    def __init__(self) -> None:
        self.answer = b""
        self.asked = 0
        self.held: asyncio.Event | None = None
        self.url = ""

    def publishes(self, *people: Person) -> None:
        """From now on these keys are published."""
        self.answers(json.dumps({"keys": [person.jwk for person in people]}).encode())

    def answers(self, body: bytes, status: str = "200 OK", *headers: str) -> None:
        """From now on this is what it says."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        self.answer = "\r\n".join(lines).encode() + body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one request."""
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            if self.held is not None:
                await self.held.wait()
            writer.write(self.answer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class Clock:
    """Monotonic seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[Provider]:
    """A provider that listens."""
    async with listening() as running:
        yield running


@asynccontextmanager
async def listening() -> AsyncIterator[Provider]:
    """A provider that listens as long as the block lives."""
    running = Provider()
    server = await asyncio.start_server(running.serve, "127.0.0.1", 0)
    running.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks?a=b"
    try:
        yield running
    finally:
        server.close()


def reason_of(keyring: Keyring, kid: str) -> types.Reason.ValueType:
    """Why there is no key of that name."""
    with pytest.raises(UnknownKeyError) as refused:
        keyring.find(kid)
    return refused.value.reason


async def test_a_replaced_file_is_read_again(tmp_path: Path) -> None:
    """A key that was added is known, one that was removed is not, and the version tells that something changed."""
    path, old, new = tmp_path / "jwks.json", Person("old"), Person("new")
    write_jwks(path, [old.jwk])
    keyring = Keyring(path, None, REFRESH_S)
    signer, version = keyring.find("old").signer, keyring.version
    write_jwks(path, [old.jwk, new.jwk])
    await keyring.look()
    assert keyring.find("old")
    assert keyring.find("new")
    assert keyring.version > version
    write_jwks(path, [new.jwk])
    await keyring.look()
    assert reason_of(keyring, "old") == types.REASON_TOKEN_INVALID
    assert not keyring.trusts(signer)
    assert keyring.trusts(keyring.find("new").signer)


async def test_a_file_that_did_not_change_changes_nothing(tmp_path: Path) -> None:
    """Looking often costs no verified token its place."""
    path = tmp_path / "jwks.json"
    write_jwks(path, [Person("a").jwk])
    keyring = Keyring(path, None, REFRESH_S)
    version = keyring.version
    for _ in range(3):
        await keyring.look()
    path.touch()
    await keyring.look()
    assert keyring.version == version


@pytest.mark.parametrize("content", [b"", b"{", b'{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "A"}]}'])
async def test_a_damaged_file_changes_nothing(tmp_path: Path, content: bytes) -> None:
    """Nor does one that is gone; the next good one counts."""
    path, person, next_one = tmp_path / "jwks.json", Person("a"), Person("b")
    write_jwks(path, [person.jwk])
    keyring = Keyring(path, None, REFRESH_S)
    path.write_bytes(content)
    await keyring.look()
    assert keyring.find("a")
    path.unlink()
    await keyring.look()
    assert keyring.find("a")
    write_jwks(path, [next_one.jwk])
    await keyring.look()
    assert keyring.find("b")


async def test_a_turned_link_is_a_new_file(tmp_path: Path) -> None:
    """As Kubernetes replaces a mounted secret: a symbolic link to the folder of the present version is turned."""
    for number, kid in enumerate(("old", "new")):
        (tmp_path / str(number)).mkdir()
        write_jwks(tmp_path / str(number) / "jwks.json", [Person(kid).jwk])
    link = tmp_path / "present"
    link.symlink_to(tmp_path / "0")
    keyring = Keyring(link / "jwks.json", None, REFRESH_S)
    assert keyring.find("old")
    turned = tmp_path / "turned"
    turned.symlink_to(tmp_path / "1")
    os.replace(turned, link)
    await keyring.look()
    assert keyring.find("new")


async def test_no_keys_are_taken_at_their_word(tmp_path: Path) -> None:
    """A readable file without keys says that nobody is trusted any more."""
    path = tmp_path / "jwks.json"
    write_jwks(path, [Person("a").jwk])
    keyring = Keyring(path, None, REFRESH_S)
    write_jwks(path, [])
    await keyring.look()
    assert reason_of(keyring, "a") == types.REASON_TOKEN_INVALID


async def test_keys_of_a_provider_come_on_top(tmp_path: Path, provider: Provider) -> None:
    """Both sources count; of two keys of one name the file's does."""
    path, mine, theirs, other = tmp_path / "jwks.json", Person("a"), Person("b"), Person("a")
    write_jwks(path, [mine.jwk])
    provider.publishes(theirs, other)
    keyring = Keyring(path, provider.url, REFRESH_S)
    own = keyring.find("a").signer
    await keyring.look()
    assert keyring.find("b")
    assert keyring.find("a").signer == own


async def test_a_provider_makes_no_servers(tmp_path: Path, provider: Provider) -> None:
    """The key of the servers comes from the file alone, whatever a provider publishes under its name."""
    provider.publishes(Person("service"), Person("a"))
    keyring = Keyring(tmp_path / "none.json", provider.url, REFRESH_S)
    await keyring.look()
    assert keyring.find("a")
    assert reason_of(keyring, "service") == types.REASON_TOKEN_INVALID


async def test_without_any_answer_nothing_is_known(tmp_path: Path, provider: Provider) -> None:
    """A token may be good: until the provider was reached once, the answer is to try again."""
    provider.answers(b"", "503 Service Unavailable")
    keyring = Keyring(tmp_path / "none.json", provider.url, REFRESH_S)
    await keyring.look()
    assert reason_of(keyring, "a") == types.REASON_KEYS_UNAVAILABLE
    assert reason_of(keyring, "service") == types.REASON_TOKEN_INVALID


async def test_keys_stay_while_the_provider_is_down(tmp_path: Path) -> None:
    """Nobody is locked out by an outage of the provider."""
    clock = Clock()
    async with listening() as provider:
        provider.publishes(Person("a"))
        keyring = Keyring(tmp_path / "none.json", provider.url, REFRESH_S, clock)
        await keyring.look()
        provider.answers(b"down", "500 Internal Server Error")
        clock.now_s += REFRESH_S
        await keyring.look()
        assert provider.asked == 2
    clock.now_s += REFRESH_S
    await keyring.look()
    assert keyring.find("a")
    assert reason_of(keyring, "b") == types.REASON_TOKEN_INVALID


async def test_a_provider_is_asked_when_its_time_has_come(tmp_path: Path, provider: Provider) -> None:
    """Once in the refresh time; after a failure sooner."""
    clock = Clock()
    provider.publishes(Person("a"))
    keyring = Keyring(tmp_path / "none.json", provider.url, REFRESH_S, clock)
    await keyring.look()
    clock.now_s += REFRESH_S - 0.1
    await keyring.look()
    assert provider.asked == 1
    provider.answers(b"", "500 Internal Server Error")
    clock.now_s += 0.1
    await keyring.look()
    assert provider.asked == 2
    provider.publishes(Person("b"))
    clock.now_s += FETCH_RETRY_S
    await keyring.look()
    assert provider.asked == 3
    assert keyring.find("b")
    assert reason_of(keyring, "a") == types.REASON_TOKEN_INVALID


async def test_an_unknown_key_is_looked_up_at_once(tmp_path: Path, provider: Provider) -> None:
    """But not more often than once a second, however many tokens name keys that do not exist."""
    clock = Clock()
    provider.publishes(Person("a"))
    keyring = Keyring(tmp_path / "none.json", provider.url, REFRESH_S, clock)
    await keyring.look()
    clock.now_s += LOOK_UP_INTERVAL_S
    provider.publishes(Person("b"))
    assert await keyring.look_up()
    assert keyring.find("b")
    for _ in range(100):
        assert not await keyring.look_up()
    assert provider.asked == 2
    clock.now_s += LOOK_UP_INTERVAL_S
    assert await keyring.look_up()
    assert provider.asked == 3


async def test_who_looks_at_the_same_time_shares_the_answer(tmp_path: Path, provider: Provider) -> None:
    """A hundred callers make one request, and one who leaves does not end it for the others."""
    provider.held = asyncio.Event()
    provider.publishes(Person("a"))
    keyring = Keyring(tmp_path / "none.json", provider.url, REFRESH_S)
    looking = [asyncio.create_task(keyring.look_up()) for _ in range(100)]
    await until(lambda: provider.asked == 1)
    looking[0].cancel()
    provider.held.set()
    answers = await asyncio.gather(*looking[1:])
    assert all(answers)
    assert provider.asked == 1
    assert keyring.find("a")


async def until(true: Callable[[], bool]) -> None:
    """Waits until it is true."""
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + b" " * 101,
        b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 1_000_000,
        b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"x" * 100_000 + b"\r\n\r\n{}",
    ],
    ids=["nothing", "garbage", "redirect", "404", "broken off", "broken chunk", "large", "endless", "large header"],
)
async def test_other_answers_are_errors(provider: Provider, answer: bytes) -> None:
    """No redirect is followed, and what is too large or broke off is not used."""
    provider.answer = answer
    with pytest.raises(FetchError):
        await fetch(provider.url, timeout_s=10, bytes_max=100)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\n\r\nbody",
        b"HTTP/1.0 200 OK\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
    ],
)
async def test_a_body_is_read_in_every_framing(provider: Provider, answer: bytes) -> None:
    """RFC 9112 6: by length, in chunks, or up to the end of the connection."""
    provider.answer = answer
    assert await fetch(provider.url, timeout_s=10, bytes_max=100) == b"body"


async def test_a_provider_that_does_not_answer_is_given_up(provider: Provider) -> None:
    """The deadline holds for the whole exchange."""
    provider.held = asyncio.Event()
    with pytest.raises(FetchError, match="no answer"):
        await fetch(provider.url, timeout_s=0.05, bytes_max=100)
    provider.held.set()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a/b", "jwks.json", "http:///x", ""])
async def test_only_http_is_fetched(url: str) -> None:
    """An address of another kind is a mistake in the settings."""
    with pytest.raises(ValueError, match="http"):
        await fetch(url, timeout_s=1, bytes_max=1)


def verifier_of(folder: Path, *people: Person, url: str | None = None) -> Verifier:
    """A verifier over a file with these keys, and a file of revocations."""
    path = folder / "jwks.json"
    if people:
        write_jwks(path, [person.jwk for person in people])
    return Verifier(path, ISSUER, AUDIENCE, jwks_url=url, revocations_file=folder / "revocations.json")


async def reason_for(verified: Awaitable[object]) -> types.Reason.ValueType:
    """The reason of a refusal."""
    with pytest.raises(Refused) as refused:
        await verified
    return refused.value.reason


async def test_a_remembered_token_of_a_removed_key_is_refused(tmp_path: Path) -> None:
    """Rotation without a restart: old and new are valid together, then the old one ends, also in live streams."""
    old, new = Person("old"), Person("new")
    verifier = verifier_of(tmp_path, old)
    header = old.header()
    seen = verifier.principal(header, time.time())
    assert verifier.principal(header, time.time()) is seen
    write_jwks(tmp_path / "jwks.json", [old.jwk, new.jwk])
    await verifier.look()
    assert verifier.principal(header, time.time())
    assert verifier.principal(new.header(), time.time())
    assert not verifier.is_revoked(seen)
    write_jwks(tmp_path / "jwks.json", [new.jwk])
    await verifier.look()
    assert await reason_for(verifier.verified(header, time.time())) == types.REASON_TOKEN_INVALID
    assert verifier.is_revoked(seen)


async def test_a_key_that_takes_over_a_name_ends_the_tokens_of_the_other(tmp_path: Path) -> None:
    """A provider that reuses a name does not keep the old key alive with it."""
    first, second = Person("a"), Person("a")
    verifier = verifier_of(tmp_path, first)
    header = first.header()
    seen = verifier.principal(header, time.time())
    write_jwks(tmp_path / "jwks.json", [second.jwk])
    await verifier.look()
    assert await reason_for(verifier.verified(header, time.time())) == types.REASON_TOKEN_INVALID
    assert verifier.is_revoked(seen)
    assert verifier.principal(second.header(), time.time())


async def test_the_first_token_of_a_new_key_is_taken(tmp_path: Path, provider: Provider) -> None:
    """A client that has a token of a key published a moment ago is not sent away."""
    provider.publishes(Person("old"))
    verifier = verifier_of(tmp_path, url=provider.url)
    new = Person("new")
    provider.publishes(new)
    assert (await verifier.verified(new.header(), time.time())).subject == "new"


async def test_unknown_keys_are_a_refusal(tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's token is refused after a look, and without one when the last was just now."""
    monkeypatch.setattr(runtime_keyring, "LOOK_UP_INTERVAL_S", 1_000_000)
    provider.publishes(Person("a"))
    verifier = verifier_of(tmp_path, Person("b"), url=provider.url)
    for _ in range(3):
        assert await reason_for(verifier.verified(Person("x").header(), time.time())) == types.REASON_TOKEN_INVALID
    assert provider.asked == 1


async def test_a_revoked_token_is_refused(tmp_path: Path) -> None:
    """Although it was verified before; live streams learn it too, and other tokens stay valid."""
    ann, bob = Person("ann"), Person("bob")
    verifier = verifier_of(tmp_path, ann, bob)
    seen = verifier.principal(ann.header(), time.time())
    add(tmp_path / "revocations.json", [Revocation(subject="ann")], time.time())
    await verifier.look()
    assert await reason_for(verifier.verified(ann.header(), time.time())) == types.REASON_TOKEN_REVOKED
    assert verifier.is_revoked(seen)
    assert not verifier.is_revoked(verifier.principal(bob.header(), time.time()))


@pytest.mark.parametrize("content", [None, "{", '{"revocations": [{}]}'])
async def test_a_lost_or_damaged_file_revokes_no_less(tmp_path: Path, content: str | None) -> None:
    """What was revoked stays so until a readable file says otherwise."""
    ann = Person("ann")
    verifier = verifier_of(tmp_path, ann)
    path = tmp_path / "revocations.json"
    add(path, [Revocation(subject="ann")], time.time())
    await verifier.look()
    path.unlink()
    if content is not None:
        path.write_text(content)
    await verifier.look()
    assert await reason_for(verifier.verified(ann.header(), time.time())) == types.REASON_TOKEN_REVOKED
    path.write_text('{"revocations": []}')
    await verifier.look()
    assert verifier.principal(ann.header(), time.time())


def test_a_damaged_file_of_revocations_stops_the_start(tmp_path: Path) -> None:
    """A server that does not know who is revoked does not begin."""
    (tmp_path / "revocations.json").write_text("{")
    with pytest.raises(ValueError, match="revocations"):
        verifier_of(tmp_path, Person("a"))


async def test_a_server_keeps_itself_up_to_date(tmp_path: Path, provider: Provider) -> None:
    """While `run` runs, revocations and keys come in by themselves, even when the provider is slow to answer."""
    provider.held = asyncio.Event()
    ann, bob = Person("ann"), Person("bob")
    provider.publishes(bob)
    verifier = verifier_of(tmp_path, ann, url=provider.url)
    seen = verifier.principal(ann.header(), time.time())
    running = asyncio.create_task(verifier.run())
    await until(lambda: provider.asked == 1)
    add(tmp_path / "revocations.json", [Revocation(subject="ann")], time.time())
    await until(lambda: verifier.is_revoked(seen))
    provider.held.set()
    assert (await verifier.verified(bob.header(), time.time())).subject == "bob"
    running.cancel()
    await asyncio.wait([running])

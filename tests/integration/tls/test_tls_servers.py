"""Who gets a connection to a server that speaks TLS, and whom it shows what."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc

from clients.sdk.calls import open_channel
from runtime.channels import Renewable, client_channel, service_channel
from runtime.serve import Health, Register, running
from runtime.settings import Server, Settings
from runtime.stack.home import isolated
from runtime.stack.programs import serving
from runtime.tls import channel_credentials
from runtime.tokens import make_keys
from tests.integration.tls.authority import Authority

ANSWER_WITHIN_S = 20.0


@asynccontextmanager
async def nothing(_settings: Settings, health: Health) -> AsyncIterator[Sequence[Register]]:
    """The parts of a server that has nothing but health."""
    health.set(True)
    yield []


@asynccontextmanager
async def server(name: Server, home: Path, **files: Path) -> AsyncIterator[str]:
    """The address of a server with these files."""
    settings = isolated(home, **files)
    make_keys(settings.home / "keys")
    async with running(name, nothing, settings) as started:
        yield f"127.0.0.1:{started.port}"


def credentials(home: Path, **files: Path) -> grpc.ChannelCredentials | None:
    """What a client with these files shows and trusts."""
    return channel_credentials(isolated(home, **files))


async def answers(address: str, shown: grpc.ChannelCredentials | None) -> bool:
    """Whether a client with these credentials is answered; False when it does not get a connection."""
    # A connection of its own: no other client's is shared.
    options = [("grpc.use_local_subchannel_pool", 1)]
    if shown is None:
        channel = grpc.aio.insecure_channel(address, options=options)
    else:
        channel = grpc.aio.secure_channel(address, shown, options=options)
    async with channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=ANSWER_WITHIN_S)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def test_a_client_that_trusts_the_right_authority_is_answered(
    tmp_path: Path, ours: Authority, theirs: Authority
) -> None:
    """TLS without certificates of clients: who signs ours decides, plain text is refused."""
    async with server("gateway", tmp_path, **ours.issue("gateway"), tls_ca_file=ours.file) as address:
        assert await answers(address, credentials(tmp_path, tls_ca_file=ours.file))
        assert not await answers(address, credentials(tmp_path, tls_ca_file=theirs.file))
        assert not await answers(address, None)


async def test_a_client_does_not_talk_to_an_expired_server(tmp_path: Path, ours: Authority) -> None:
    """A certificate that has ended is none."""
    ended = ours.issue("gateway", ends_in=timedelta(minutes=-1))
    async with server("gateway", tmp_path, **ended, tls_ca_file=ours.file) as address:
        assert not await answers(address, credentials(tmp_path, tls_ca_file=ours.file))


async def test_a_client_does_not_talk_to_another_host(tmp_path: Path, ours: Authority) -> None:
    """A good certificate of another host is not one of this."""
    elsewhere = ours.issue("gateway", hosts=(x509.DNSName("elsewhere.test"),))
    async with server("gateway", tmp_path, **elsewhere, tls_ca_file=ours.file) as address:
        assert not await answers(address, credentials(tmp_path, tls_ca_file=ours.file))


async def test_mutual_tls_asks_clients_for_a_certificate(tmp_path: Path, ours: Authority, theirs: Authority) -> None:
    """Of the authority for clients, or of that for servers; none, an expired one and a stranger's are refused."""
    strangers = Authority(tmp_path / "strangers", "strangers")
    files = ours.issue("gateway") | {"tls_ca_file": ours.file, "tls_client_ca_file": theirs.file}
    async with server("gateway", tmp_path, **files) as address:
        trust = {"tls_ca_file": ours.file}
        assert await answers(address, credentials(tmp_path, **theirs.issue("client"), **trust))
        assert await answers(address, credentials(tmp_path, **ours.issue("envoy"), **trust))
        assert not await answers(address, credentials(tmp_path, **trust))
        assert not await answers(address, credentials(tmp_path, **strangers.issue("client"), **trust))
        ended = theirs.issue("late", ends_in=timedelta(minutes=-1))
        assert not await answers(address, credentials(tmp_path, **ended, **trust))
        assert not await answers(address, None)


async def test_only_servers_reach_matching(tmp_path: Path, ours: Authority, theirs: Authority) -> None:
    """What only servers call asks for a server's certificate, whoever signs those of clients."""
    files = ours.issue("matching") | {"tls_ca_file": ours.file, "tls_client_ca_file": theirs.file}
    async with server("matching", tmp_path, **files) as address:
        trust = {"tls_ca_file": ours.file}
        assert await answers(address, credentials(tmp_path, **ours.issue("gateway"), **trust))
        assert not await answers(address, credentials(tmp_path, **theirs.issue("client"), **trust))
        assert not await answers(address, credentials(tmp_path, **trust))


async def test_a_renewed_certificate_is_shown_to_the_next_client(
    tmp_path: Path, ours: Authority, theirs: Authority
) -> None:
    """Without a restart; a connection that is there lives on."""
    files = ours.issue("gateway")
    of_ours, of_theirs = (credentials(tmp_path, tls_ca_file=authority.file) for authority in (ours, theirs))
    async with (
        server("gateway", tmp_path, **files, tls_ca_file=ours.file) as address,
        client_channel(address, of_ours) as before,
    ):
        stub: Any = health_pb2_grpc.HealthStub(before)
        await stub.Check(health_pb2.HealthCheckRequest(), timeout=ANSWER_WITHIN_S)
        assert not await answers(address, of_theirs)
        theirs.issue("gateway", file=str(files["tls_cert_file"].with_suffix("")))
        assert await answers(address, of_theirs)
        assert not await answers(address, of_ours)
        await stub.Check(health_pb2.HealthCheckRequest(), timeout=ANSWER_WITHIN_S)


async def test_a_pair_that_does_not_fit_is_not_shown(tmp_path: Path, ours: Authority) -> None:
    """Between the renames of a renewal, and with a file that is none, the old certificate stays; then the new comes."""
    files = ours.issue("gateway")
    trust = credentials(tmp_path, tls_ca_file=ours.file)
    async with server("gateway", tmp_path, **files, tls_ca_file=ours.file) as address:
        key_pem = files["tls_key_file"].read_bytes()
        files["tls_key_file"].write_bytes(ours.issue("other")["tls_key_file"].read_bytes())
        assert await answers(address, trust)
        files["tls_key_file"].write_text("no key")
        assert await answers(address, trust)
        files["tls_cert_file"].unlink()
        assert await answers(address, trust)
        files["tls_key_file"].write_bytes(key_pem)
        elsewhere = ours.issue("gateway", hosts=(x509.DNSName("elsewhere.test"),))
        assert elsewhere == files
        assert not await answers(address, trust)


async def test_a_new_authority_for_clients_counts_at_once(tmp_path: Path, ours: Authority, theirs: Authority) -> None:
    """The authorities are read again as certificates are: an old one that is taken out lets nobody new in."""
    successor = Authority(tmp_path / "successor", "successor")
    files = ours.issue("gateway") | {"tls_ca_file": ours.file, "tls_client_ca_file": theirs.file}
    old, new = theirs.issue("old"), successor.issue("new")
    async with server("gateway", tmp_path, **files) as address:
        assert await answers(address, credentials(tmp_path, **old, tls_ca_file=ours.file))
        assert not await answers(address, credentials(tmp_path, **new, tls_ca_file=ours.file))
        successor.file.replace(theirs.file)
        assert await answers(address, credentials(tmp_path, **new, tls_ca_file=ours.file))
        assert not await answers(address, credentials(tmp_path, **old, tls_ca_file=ours.file))


async def test_channels_of_ours_speak_tls(tmp_path: Path, ours: Authority) -> None:
    """The channel of a server, that of the SDK, and the probe of the stack."""
    files = ours.issue("matching") | {"tls_ca_file": ours.file}
    settings = isolated(tmp_path, **files)
    async with server("matching", tmp_path, **files) as address:
        assert await serving(address, settings)
        assert not await serving(address)
        for channel in (
            service_channel(address, settings, "test"),
            open_channel(address, channel_credentials(settings)),
        ):
            async with channel:
                stub: Any = health_pb2_grpc.HealthStub(channel)
                await stub.Check(health_pb2.HealthCheckRequest(), timeout=ANSWER_WITHIN_S)


@pytest.mark.parametrize("missing", ["tls_cert_file", "tls_key_file", "tls_ca_file"])
async def test_half_of_the_files_stop_the_start(tmp_path: Path, ours: Authority, missing: str) -> None:
    """A server never falls back to plain text because a setting was forgotten."""
    files = ours.issue("gateway") | {"tls_ca_file": ours.file, "tls_client_ca_file": ours.file}
    del files[missing]
    with pytest.raises(ValueError, match="belong together"):
        async with server("gateway", tmp_path, **files):
            pass
    with pytest.raises(ValueError, match="needs"):
        async with server("gateway", tmp_path, tls_client_ca_file=ours.file):
            pass


async def test_files_that_are_none_stop_the_start(tmp_path: Path, ours: Authority) -> None:
    """A wrong key, a wrong certificate and a missing file are told by name before anybody connects."""
    good = ours.issue("gateway") | {"tls_ca_file": ours.file}
    other = ours.issue("other")
    for wrong, error, text in (
        ({"tls_key_file": other["tls_key_file"]}, ValueError, "not the key of"),
        ({"tls_cert_file": good["tls_key_file"]}, ValueError, "gateway.key"),
        ({"tls_client_ca_file": good["tls_key_file"]}, ValueError, "gateway.key"),
        ({"tls_cert_file": tmp_path / "missing.pem"}, OSError, "missing.pem"),
    ):
        with pytest.raises(error, match=text):
            async with server("gateway", tmp_path, **(good | wrong)):
                pass


async def test_a_channel_of_a_server_takes_a_renewed_certificate_over(
    tmp_path: Path, ours: Authority, theirs: Authority
) -> None:
    """What a link shows when it connects again is what the files hold then; a call on the one before ends in peace."""
    of_server = ours.issue("matching") | {"tls_ca_file": ours.file}
    of_client = theirs.issue("gateway") | {"tls_ca_file": ours.file}
    settings = isolated(tmp_path, **of_client)
    async with server("matching", tmp_path, **of_server) as address:
        reached = Renewable(lambda: service_channel(address, settings, "test"), settings)
        assert not await reached.renew()

        async def answered() -> bool:
            stub: Any = health_pb2_grpc.HealthStub(reached.channel)
            try:
                await stub.Check(health_pb2.HealthCheckRequest(), timeout=ANSWER_WITHIN_S)
            except grpc.aio.AioRpcError:
                return False
            return True

        assert not await answered()
        before = reached.channel
        of_client["tls_key_file"].write_bytes(ours.issue("other")["tls_key_file"].read_bytes())
        assert not await reached.renew()
        ours.issue("gateway", file=str(of_client["tls_cert_file"].with_suffix("")))
        assert await reached.renew()
        assert reached.channel is not before
        assert await answered()
        assert not await reached.renew()
        await reached.close()

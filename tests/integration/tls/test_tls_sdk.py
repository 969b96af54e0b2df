"""The SDK's own credentials: orders and sessions over TLS, with and without a certificate of the client's."""

from pathlib import Path

import pytest

from clients.sdk import Client, Patience, Unavailable, tls_credentials
from tests.integration.gateway.venue import Venue, terms
from tests.integration.tls.authority import Authority

QUICK = Patience(call_s=5.0, retry_s=0.0)


async def test_a_client_trades_over_mutual_tls(tmp_path: Path, ours: Authority, theirs: Authority) -> None:
    """With the right authority and a certificate of its own a client trades; without either it gets no connection."""
    server, client = ours.issue("server"), theirs.issue("client")
    venue = Venue(tmp_path / "venue", **server, tls_ca_file=ours.file, tls_client_ca_file=theirs.file)
    await venue.start_matching()
    await venue.start_gateway()
    address = f"localhost:{venue.gateway.port}"
    token = venue.token()
    try:
        shown = tls_credentials(ours.file, *client.values())
        async with Client(address, token=token, credentials=shown) as known:
            assert (await known.submit(terms())).seq
            async with known.session(["DEMO"]) as session:
                assert (await session.submit(terms())).correlation_id == 1
        for refused in (
            tls_credentials(ours.file),
            tls_credentials(theirs.file, *client.values()),
            None,
        ):
            async with Client(address, token=token, credentials=refused, patience=QUICK) as stranger:
                with pytest.raises(Unavailable):
                    await stranger.portfolio("DEMO")
    finally:
        await venue.stop()


def test_a_certificate_and_its_key_go_together(ours: Authority) -> None:
    """One without the other is a mistake of the caller's, told at once."""
    with pytest.raises(ValueError, match="go together"):
        tls_credentials(ours.file, ours.issue("client")["tls_cert_file"])

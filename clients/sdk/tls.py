"""TLS credentials of a client.

    Client("gateway.example:443", credentials=tls_credentials(Path("ca.pem")))

With a certificate of its own the client also shows who it is (mutual TLS); its
token is needed all the same. `runtime.tls` makes those of the settings.
"""

from pathlib import Path

import grpc


def tls_credentials(
    ca_file: Path | None = None, cert_file: Path | None = None, key_file: Path | None = None
) -> grpc.ChannelCredentials:
    """Credentials for `Client`.

    Args:
        ca_file: who signs the servers' certificates, PEM; the system's own list when not given.
        cert_file: the client's certificate chain, PEM, for servers that ask for one.
        key_file: its private key, PEM.

    Raises:
        OSError: a file cannot be read.
        ValueError: a certificate without its key, or a key without its certificate.
    """
    if (cert_file is None) != (key_file is None):
        raise ValueError("a client's certificate and its key go together")
    return grpc.ssl_channel_credentials(
        root_certificates=ca_file.read_bytes() if ca_file else None,
        private_key=key_file.read_bytes() if key_file else None,
        certificate_chain=cert_file.read_bytes() if cert_file else None,
    )

"""Certificates: what a server shows, whom it lets connect, and whom it trusts when it calls another.

With `tls_cert_file`, `tls_key_file` and `tls_ca_file` every gRPC port speaks
TLS. Servers show each other their certificates: matching, which only servers
call, asks for one always; the others do when `tls_client_ca_file` names who
signs those of clients. A token is needed all the same. Files are read again
when they change: by a server at the next handshake, by a client when it opens
its next channel. A pair that does not fit together yet is not taken over.
"""

import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias, cast

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from prometheus_client import Gauge

from runtime.logs import get_logger
from runtime.settings import Server, Settings

ONLY_SERVERS_CALL: tuple[Server, ...] = ("matching",)
Looks: TypeAlias = tuple[tuple[int, int, int], ...]
log = get_logger(__name__)
expiry = Gauge("ordergate_tls_certificate_not_after_seconds", "When the certificate that is shown ends, in unix time.")


def is_on(settings: Settings) -> bool:
    """Whether servers speak TLS.

    Raises:
        ValueError: the files are named in part only.
    """
    shown = [settings.tls_cert_file, settings.tls_key_file]
    if not any(shown):
        if settings.tls_client_ca_file is not None:
            raise ValueError("ORDERGATE_TLS_CLIENT_CA_FILE needs ORDERGATE_TLS_CERT_FILE and ORDERGATE_TLS_KEY_FILE")
        return False
    if not all(shown) or settings.tls_ca_file is None:
        raise ValueError("ORDERGATE_TLS_CERT_FILE, _KEY_FILE and _CA_FILE belong together: one of them is not set")
    return True


def client_ca_files(settings: Settings, name: Server) -> list[Path]:
    """Whose certificates a client of the server `name` has to show one of; none when it need not."""
    assert settings.tls_ca_file is not None, "is_on checks it"
    if name in ONLY_SERVERS_CALL:
        return [settings.tls_ca_file]
    # Envoy and the other servers call the public servers too.
    return [settings.tls_client_ca_file, settings.tls_ca_file] if settings.tls_client_ca_file is not None else []


def server_credentials(settings: Settings, name: Server) -> grpc.ServerCredentials | None:
    """The credentials of the server `name`; None when it speaks plain text.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is none of its kind, or certificate and key do not fit together.
    """
    if not is_on(settings):
        return None
    files = _ServerFiles(settings, name)
    # None is a good answer, which the types leave out.
    changed = cast(Callable[[], grpc.ServerCertificateConfiguration], files.changed)
    return grpc.dynamic_ssl_server_credentials(files.read(), changed, files.asks_clients)


def channel_credentials(settings: Settings) -> grpc.ChannelCredentials | None:
    """The credentials for a channel to a server, as the files are now; None when servers speak plain text.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is none of its kind, or certificate and key do not fit together.
    """
    if settings.tls_ca_file is None:
        return None
    roots = _certificates([settings.tls_ca_file])
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        return grpc.ssl_channel_credentials(roots)
    return grpc.ssl_channel_credentials(roots, *_pair(settings.tls_key_file, settings.tls_cert_file))


def client_context(settings: Settings) -> ssl.SSLContext | None:
    """As `channel_credentials`, for HTTP."""
    if settings.tls_ca_file is None:
        return None
    context = ssl.create_default_context(cafile=settings.tls_ca_file)
    if settings.tls_cert_file is not None and settings.tls_key_file is not None:
        context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file)
    return context


class _ServerFiles:
    """What the files of a server looked like when they were last taken over."""

    def __init__(self, settings: Settings, name: Server) -> None:
        assert settings.tls_cert_file is not None, "is_on checks it"
        assert settings.tls_key_file is not None, "is_on checks it"
        self._cert_file, self._key_file = settings.tls_cert_file, settings.tls_key_file
        self._client_ca_files = client_ca_files(settings, name)
        self._looked: Looks = ()

    @property
    def asks_clients(self) -> bool:
        """Whether a client has to show a certificate."""
        return bool(self._client_ca_files)

    def read(self) -> grpc.ServerCertificateConfiguration:
        """What the files say now."""
        looks = self._looks()
        pair = _pair(self._key_file, self._cert_file)
        roots = _certificates(self._client_ca_files) if self._client_ca_files else None
        self._looked = looks
        expiry.set(_not_after_s(pair[1]))
        return grpc.ssl_server_certificate_configuration([pair], roots)

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """As `read`, if the files have changed since; gRPC asks before every handshake, in a thread of its own."""
        try:
            if self._looks() == self._looked:
                return None
            taken = self.read()
        except (OSError, ValueError) as error:
            log.warning("certificates cannot be taken over; those shown stay", error=str(error))
            return None
        log.info("certificates taken over", file=str(self._cert_file))
        return taken

    def _looks(self) -> Looks:
        return _looks_of(self._cert_file, self._key_file, *self._client_ca_files)


def client_looks(settings: Settings) -> Looks:
    """What the files behind `channel_credentials` look like now: equal as long as nobody has replaced one.

    Raises:
        OSError: one cannot be looked at.
    """
    files = (settings.tls_ca_file, settings.tls_cert_file, settings.tls_key_file)
    return _looks_of(*(path for path in files if path is not None))


def _looks_of(*files: Path) -> Looks:
    stats = [path.stat() for path in files]
    return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in stats)


def _pair(key_file: Path, cert_file: Path) -> tuple[bytes, bytes]:
    """Key and certificate chain; gRPC itself would take any and fail at the first handshake."""
    key_pem, chain_pem = key_file.read_bytes(), cert_file.read_bytes()
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
        (leaf, *_) = x509.load_pem_x509_certificates(chain_pem)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{cert_file} with {key_file}: {error}") from None
    if _spki(leaf.public_key()) != _spki(key.public_key()):
        raise ValueError(f"{key_file} is not the key of {cert_file}")
    return key_pem, chain_pem


def _certificates(files: Sequence[Path]) -> bytes:
    contents = []
    for path in files:
        content = path.read_bytes()
        try:
            x509.load_pem_x509_certificates(content)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        contents.append(content)
    return b"\n".join(contents)


def _spki(key: object) -> bytes:
    encoded: bytes = key.public_bytes(  # type: ignore[attr-defined] # every kind of public key has it
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def _not_after_s(chain_pem: bytes) -> float:
    return x509.load_pem_x509_certificates(chain_pem)[0].not_valid_after_utc.timestamp()

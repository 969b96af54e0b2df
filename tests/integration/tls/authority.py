"""An authority that signs certificates for a test, and files of settings that name them."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)
HERE = (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ends - 30 * DAY)
        .not_valid_after(ends)
    )


class Authority:
    """Somebody who signs certificates."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        ends = datetime.now(UTC) + 2 * DAY
        self._certificate = (
            _builder(name, _name(name), self._key, ends)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / f"{name}.ca.pem"
        self.file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self, name: str, *, hosts: tuple[x509.GeneralName, ...] = HERE, ends_in: timedelta = DAY, file: str = ""
    ) -> dict[str, Path]:
        """A certificate and its key, as the settings that name their files.

        Args:
            name: whose it is.
            hosts: what a client may call its bearer.
            ends_in: when it ends; in the past for one that has ended.
            file: the name of the files, when it is not `name`.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(name, self._certificate.subject, key, datetime.now(UTC) + ends_in)
            .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        files = {
            "tls_cert_file": self._folder / f"{file or name}.pem",
            "tls_key_file": self._folder / f"{file or name}.key",
        }
        _replaced(files["tls_cert_file"], certificate.public_bytes(serialization.Encoding.PEM))
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _replaced(files["tls_key_file"], pem)
        return files


def _replaced(path: Path, content: bytes) -> None:
    """As whoever renews certificates does it: by rename."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)

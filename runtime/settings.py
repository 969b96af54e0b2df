"""The settings of every process, read once from the environment.

Names are `ORDERGATE_<FIELD>`; `DATABASE_URL`, `REDIS_URL` and `JOURNAL_URL` go without
the prefix because that is what every platform calls them. A value of the wrong
type stops the process at its start with the name of the variable.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Server = Literal["gateway", "matching", "marketdata", "compliance"]


class Settings(BaseSettings):
    """All settings with their defaults; a default is what `make up` uses."""

    model_config = SettingsConfigDict(env_prefix="ORDERGATE_", frozen=True, extra="ignore")

    host: str = "127.0.0.1"
    """The address that the servers listen on."""
    home: Path = Path(".ordergate")
    """The folder of everything that a process keeps: journal, keys, database."""

    gateway_port: int = Field(50051, ge=0, le=65535)
    matching_port: int = Field(50052, ge=0, le=65535)
    marketdata_port: int = Field(50053, ge=0, le=65535)
    compliance_port: int = Field(50054, ge=0, le=65535)
    envoy_port: int = Field(8000, ge=0, le=65535)
    envoy_admin_port: int = Field(9901, ge=0, le=65535)
    envoy_keys_port: int = Field(9902, ge=0, le=65535)
    """Where Envoy, on loopback, gives itself the public keys of the file."""

    gateway_metrics_port: int = Field(9101, ge=0, le=65535)
    matching_metrics_port: int = Field(9102, ge=0, le=65535)
    marketdata_metrics_port: int = Field(9103, ge=0, le=65535)
    compliance_metrics_port: int = Field(9104, ge=0, le=65535)

    gateway_address: str = "127.0.0.1:50051"
    """Where clients of the gateway find it; likewise for the others."""
    matching_address: str = "127.0.0.1:50052"
    marketdata_address: str = "127.0.0.1:50053"
    compliance_address: str = "127.0.0.1:50054"

    gateways: int = Field(1, ge=1, le=16)
    """How many gateways `make up` runs behind Envoy. The first has the ports above, the others free ones."""
    gateway_id: str = "gateway-0"
    """Name of this gateway; unique among the gateways of one matching server."""

    database_url: str | None = Field(None, validation_alias="DATABASE_URL")
    """PostgreSQL, as `postgresql://…`. Only compliance needs it."""
    redis_url: str | None = Field(None, validation_alias="REDIS_URL")
    """Redis or Valkey, shared by replicas. Nothing needs it."""
    journal_url: str | None = Field(None, validation_alias="JOURNAL_URL")
    """Where the journal is: `postgresql://…`, or `file:` and a folder; in files below `home` when it is not set."""

    journal_segment_bytes: int = Field(64 * 1024 * 1024, ge=4096)
    """Size of a preallocated journal segment."""
    snapshot_interval_events: int = Field(2_000_000, ge=1)
    """Events between two snapshots; so many are replayed at most when matching starts again."""
    journal_keep_events: int = Field(50_000_000, ge=0)
    """Events that the journal keeps for followers that are behind, even when snapshots stand for them."""
    genesis_file: Path = Path("config/genesis.yaml")
    """Instruments and accounts that a new journal begins with."""

    auth_issuer: str = "ordergate-dev"
    """Whose tokens are taken."""
    auth_audience: str = "ordergate"
    """Whom the tokens must be meant for."""
    auth_jwks_file: Path = Path(".ordergate/keys/jwks.json")
    """Public keys that tokens are verified with, RFC 7517; read again when the file changes."""
    auth_jwks_url: str | None = None
    """Where the identity provider publishes its public keys; they come on top of those of the file."""
    auth_jwks_refresh_s: float = Field(60.0, gt=0)
    """Time between two looks at the URL; a changed file is seen at once. An unknown key id is looked up at once, but
    not more often than every second."""
    auth_revocations_file: Path = Path(".ordergate/keys/revocations.json")
    """Tokens, subjects and roles that are not valid any more; read again when it changes. Need not exist."""
    auth_service_key_file: Path = Path(".ordergate/keys/service.pem")
    """Private key with which a server signs the tokens it shows to other servers."""
    auth_dev_key_file: Path = Path(".ordergate/keys/dev.pem")
    """Private key of `ordergate token`; only where `make up` made one."""

    audit_key_file: Path = Path(".ordergate/keys/audit.pem")
    """Private key that signs checkpoints of the audit log."""
    audit_origin: str = "ordergate.local/orders"
    """Name of the audit log, the first line of its checkpoints."""
    audit_checkpoint_interval_ms: int = Field(1000, ge=10)
    """Longest time for which an entry waits for a checkpoint that covers it."""

    feed_seed: int = 7
    """Seed of the simulation feed."""
    feed_interval_ms: int = Field(500, ge=10)
    """Time between two reference prices of a symbol."""

    tls_cert_file: Path | None = None
    """Certificate chain that a server shows, PEM; with `tls_key_file` and `tls_ca_file` every gRPC port, and Envoy's,
    speaks TLS. Read again when it changes."""
    tls_key_file: Path | None = None
    """Its private key, PEM."""
    tls_ca_file: Path | None = None
    """Certificates of those who sign the servers' certificates, PEM: what a server trusts when it calls another, and
    when another calls it. By itself, what a client trusts."""
    tls_client_ca_file: Path | None = None
    """Certificates of those who sign clients' certificates, PEM. With it a client must show one: mutual TLS. Servers
    show theirs to each other with it or without."""

    rate_orders_per_s: float = Field(100_000.0, gt=0)
    """New orders, replaces and quotes of an account in a second; each session may send as many."""
    rate_orders_burst: int = Field(200_000, ge=1)
    """How many may come at once."""
    rate_cancels_per_s: float = Field(100_000.0, gt=0)
    """Cancels and mass cancels of an account in a second; a budget of their own."""
    rate_cancels_burst: int = Field(200_000, ge=1)
    """How many may come at once."""
    rate_queries_per_s: float = Field(1_000.0, gt=0)
    """Queries of an account in a second."""
    rate_queries_burst: int = Field(2_000, ge=1)
    """How many may come at once."""

    command_age_max_s: float = Field(10.0, gt=0)
    """Age at which a new order, replace or quote is not carried out any more, counted from when its gateway had read
    it: what a broken link has held back for so long nobody wants any more. Clocks must agree far better than that."""
    gateway_grace_s: float = Field(5.0, ge=0)
    """How long matching waits for a gateway whose link broke, before it ends that gateway's sessions."""
    slow_reader_s: float = Field(5.0, gt=0)
    """Age of the oldest message that a reader has not taken, from which on the reader is cut."""
    stream_age_max_s: float = Field(86_400.0, gt=0)
    """Longest life of a stream or session; its client is told in band and connects again."""
    drain_notice_s: float = Field(1.0, ge=0)
    """Time between the notice that a planned end is near and the end of the streams."""
    drain_timeout_s: float = Field(5.0, gt=0)
    """How long a server waits for its calls when it is told to stop."""
    default_deadline_s: float = Field(10.0, gt=0)
    """Deadline of a unary call whose client set none."""
    heartbeat_interval_s: float = Field(5.0, gt=0)
    """Time between heartbeats of streams on which nothing else was agreed."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe log line that is written."""

    def port(self, server: Server) -> int:
        """The gRPC port of `server`; 0 lets the system choose."""
        return int(getattr(self, f"{server}_port"))

    def metrics_port(self, server: Server) -> int:
        """The metrics port of `server`; 0 lets the system choose."""
        return int(getattr(self, f"{server}_metrics_port"))

    def address(self, server: Server) -> str:
        """Where the other servers find `server`."""
        return str(getattr(self, f"{server}_address"))

    @property
    def journal_dir(self) -> Path:
        """The folder of the journal."""
        return self.home / "journal"

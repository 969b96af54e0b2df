"""The home of a system: what follows from it, and what stands in its way."""

import socket
from pathlib import Path

import pytest

from runtime.settings import Settings
from runtime.stack.home import PORT_SETTINGS, SERVERS, environment, held, isolated, placed, ports_free
from runtime.stack.processes import Failed


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in environment(Settings()):
        if name.startswith("ORDERGATE_") or name in ("DATABASE_URL", "REDIS_URL"):
            monkeypatch.delenv(name, raising=False)


def test_keys_and_addresses_follow_home_and_ports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another home and another port are all that a second system needs."""
    monkeypatch.setenv("ORDERGATE_HOME", str(tmp_path))
    monkeypatch.setenv("ORDERGATE_GATEWAY_PORT", "52399")
    settings = placed(Settings())
    assert settings.auth_service_key_file == tmp_path / "keys" / "service.pem"
    assert settings.gateway_address == "127.0.0.1:52399"
    assert settings.matching_address == "127.0.0.1:50052"


def test_what_was_set_itself_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A key file or an address that was set wins over what would follow from the home."""
    monkeypatch.setenv("ORDERGATE_AUTH_JWKS_FILE", str(tmp_path / "other.json"))
    monkeypatch.setenv("ORDERGATE_MATCHING_ADDRESS", "10.0.0.1:7")
    settings = placed(Settings())
    assert settings.auth_jwks_file == tmp_path / "other.json"
    assert settings.matching_address == "10.0.0.1:7"


def test_every_address_is_reached_at_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """0.0.0.0 is where a server listens, not where another finds it."""
    monkeypatch.setenv("ORDERGATE_HOST", "0.0.0.0")
    assert placed(Settings()).compliance_address == "127.0.0.1:50054"


def test_relative_paths_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process started elsewhere must find the same files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORDERGATE_HOME", "mine")
    settings = placed(Settings())
    assert settings.home == tmp_path / "mine"
    assert settings.genesis_file.is_absolute()
    assert settings.genesis_file.is_file()


async def test_isolated_systems_share_no_port(tmp_path: Path) -> None:
    """Every port of a system beside others is free and its own, and the addresses agree with them."""
    settings = isolated(tmp_path)
    ports = {getattr(settings, name) for name in PORT_SETTINGS}
    assert len(ports) == len(PORT_SETTINGS)
    assert 0 not in ports
    assert all(settings.address(server) == f"127.0.0.1:{settings.port(server)}" for server in SERVERS)
    await ports_free(settings)


def test_isolated_settings_ignore_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A developer's DATABASE_URL must not become the database of a test."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://production/")
    monkeypatch.setenv("ORDERGATE_FEED_SEED", "99")
    settings = isolated(tmp_path, feed_interval_ms=20)
    assert settings.database_url is None
    assert settings.feed_seed == Settings.model_fields["feed_seed"].default
    assert settings.feed_interval_ms == 20


def test_a_process_reads_what_we_mean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment of a process gives back exactly the settings it was made from, whatever was there before."""
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere")
    settings = isolated(tmp_path, database_url="postgresql://a:b@c/d", feed_interval_ms=20)
    variables = environment(settings)
    assert "REDIS_URL" not in variables
    monkeypatch.delenv("REDIS_URL")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


async def test_a_taken_port_is_named_with_its_setting(tmp_path: Path) -> None:
    """Who must choose another port is told which one and how."""
    settings = isolated(tmp_path)
    with socket.create_server((settings.host, settings.envoy_port)), pytest.raises(Failed) as failed:
        await ports_free(settings)
    assert str(failed.value) == f"port {settings.envoy_port} is taken; ORDERGATE_ENVOY_PORT chooses another one"


def test_one_supervisor_holds_a_home(tmp_path: Path) -> None:
    """A second one is told who holds it, and it can be held again afterwards."""
    settings = isolated(tmp_path / "home")
    with held(settings):
        with pytest.raises(Failed, match=r"already running in .*: process \d+, since"), held(settings):
            pass
        assert settings.auth_jwks_file.is_file()
    with held(settings):
        pass


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file in the place of the folder gives a message with the folder and the setting."""
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    settings = isolated(in_the_way / "home")
    with (
        pytest.raises(Failed, match=r"cannot write to .*file/home: Not a directory; ORDERGATE_HOME chooses"),
        held(settings),
    ):
        pass

"""What whoever watches the processes is told: a server that waits is alive, and Envoy answers for itself."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc

from runtime.serve import LIVENESS, Health, Register, running
from runtime.settings import Settings
from runtime.stack import envoy, programs
from runtime.stack.home import isolated
from runtime.stack.processes import Process
from runtime.tokens import make_keys


async def test_envoy_probes_liveness_is_not_readiness(tmp_path: Path) -> None:
    """A server that cannot serve yet says so, and is alive all the same: to restart it would help nobody."""
    settings = isolated(tmp_path)
    make_keys(tmp_path / "keys")
    health: list[Health] = []

    @asynccontextmanager
    async def waits(settings: Settings, own: Health) -> AsyncIterator[Sequence[Register]]:
        own.set(False, "waits for another server")
        health.append(own)
        yield []

    async with running("gateway", waits, settings), grpc.aio.insecure_channel(settings.gateway_address) as channel:
        probe: Any = health_pb2_grpc.HealthStub(channel)

        async def status(service: str) -> int:
            return int((await probe.Check(health_pb2.HealthCheckRequest(service=service))).status)

        assert await status(LIVENESS) == health_pb2.HealthCheckResponse.SERVING
        assert await status("") == health_pb2.HealthCheckResponse.NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await status("nosuch")
        assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


def with_probes(settings: Settings, folder: Path) -> Path:
    """The local configuration with the listener for probes, where the gateway's metrics would be."""
    original = yaml.safe_load(envoy.SOURCE.read_text())["static_resources"]
    path = envoy.render(settings, folder)
    config = yaml.safe_load(path.read_text())
    for kind in ("listeners", "clusters"):
        added = [part for part in original[kind] if part["name"] in envoy.ONLY_IN_KUBERNETES]
        config["static_resources"][kind] += added
    text = yaml.safe_dump(config)
    text = text.replace("port_value: 9105", f"port_value: {settings.gateway_metrics_port}")
    path.write_text(text.replace("port_value: 9901", f"port_value: {settings.envoy_admin_port}"))
    return path


async def test_envoy_probes_listener(tmp_path: Path) -> None:
    """Without any server Envoy is ready and gives its numbers; the rest of the admin interface stays closed."""
    settings = isolated(tmp_path)
    make_keys(settings.auth_jwks_file.parent)
    path = with_probes(settings, tmp_path)
    program = programs.proxy(settings)
    assert str(settings.home / "envoy" / path.name) in program.command
    command = [str(path) if part.endswith(path.name) else part for part in program.command]
    process = Process(replace(program, command=command))
    await process.start()
    try:
        await process.wait_ready()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.gateway_metrics_port}") as client:
            assert (await client.get("/ready")).status_code == 200
            assert "envoy_server_live{}" in (await client.get("/metrics")).text
            assert (await client.post("/quitquitquit")).status_code == 404
            assert (await client.get("/config_dump")).status_code == 404
            assert (await client.post("/ready")).status_code == 404
    finally:
        await process.stop()

"""The gateways of one system: how many there are, and in what each differs from the first.

They share everything but a name, ports and a log. The first one has the ports
and the name of the settings, so that a system with one gateway is what the
settings say; the others get free ports. `runtime.stack.system` starts them, and
Envoy spreads calls over them.
"""

from collections.abc import Sequence

from runtime.settings import Server, Settings
from runtime.stack.home import PORT_SETTINGS, free_ports

FIRST: Server = "gateway"
"""Name of the first gateway's process, and of the server."""
_FIRST_ID_ENDING = "-0"


def gateways_of(settings: Settings) -> tuple[Settings, ...]:
    """The settings of each gateway, the first one's first; the ports are free now.

    Args:
        settings: with real ports and addresses, as `runtime.stack.home.placed` gives them.
    """
    ports = free_ports(settings.host, {int(getattr(settings, name)) for name in PORT_SETTINGS})
    host = settings.gateway_address.rpartition(":")[0]
    others = [
        settings.model_copy(
            update={
                "gateway_id": f"{settings.gateway_id.removesuffix(_FIRST_ID_ENDING)}-{number}",
                "gateway_port": (port := next(ports)),
                "gateway_metrics_port": next(ports),
                "gateway_address": f"{host}:{port}",
            }
        )
        for number in range(1, settings.gateways)
    ]
    return (settings, *others)


def process_name(number: int) -> str:
    """The name of the process of a gateway, counted from 0: `gateway`, `gateway-1`, and so on."""
    return f"{FIRST}-{number}" if number else FIRST


def process_names(gateways: Sequence[Settings]) -> tuple[str, ...]:
    """The names of the processes of all of them, in their order."""
    return tuple(process_name(number) for number in range(len(gateways)))

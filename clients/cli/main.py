"""The `ordergate` command: global options, and what a failure looks like.

A failure that can be expected is one line on standard error that begins with
the reason's code, and exit code 1; wrong usage exits 2, Ctrl-C 130.
"""

from typing import Any

import click
from pydantic import ValidationError

from clients.cli import audit, baskets, flow, holdings, market, orders, rights, servers
from clients.cli.connection import Connection
from clients.sdk.errors import OrdergateError
from runtime.settings import Settings

EXIT_INTERRUPTED = 130


class Failure(click.ClickException):
    """A failure as one line."""

    def show(self, file: Any = None) -> None:
        """Writes it to standard error."""
        click.echo(f"ordergate: {' '.join(self.message.split())}", file=file, err=True)


class Commands(click.Group):
    """The group at the top; turns expected failures into one line. `orders` is another word for `order`."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command with this name."""
        return super().get_command(ctx, "order" if cmd_name == "orders" else cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except OrdergateError as error:
            raise Failure(describe(error)) from None
        except (Failure, click.UsageError):
            raise
        except click.ClickException as error:
            raise Failure(error.message) from None
        except BrokenPipeError:
            raise  # click ends quietly when the reader of a pipe has gone
        except OSError as error:
            raise Failure(str(error)) from None
        except KeyboardInterrupt:
            ctx.exit(EXIT_INTERRUPTED)


def describe(error: OrdergateError) -> str:
    """An error with its code first, its field, its numbers and when to try again."""
    parts = [str(error)]
    if error.field:
        parts.append(f"field {error.field}")
    parts.extend(f"{name} {value}" for name, value in sorted(error.metadata.items()) if value not in str(error))
    if error.retry_after:
        parts.append(f"try again in {error.retry_after:g} s")
    return parts[0] + (f" ({', '.join(parts[1:])})" if parts[1:] else "")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.option(
    "--gateway", metavar="ADDRESS", help="Address of the gateway, or several with commas [ORDERGATE_GATEWAY_ADDRESS]."
)
@click.option("--marketdata", metavar="ADDRESS", help="Address of market data [ORDERGATE_MARKETDATA_ADDRESS].")
@click.option("--compliance", metavar="ADDRESS", help="Address of compliance [ORDERGATE_COMPLIANCE_ADDRESS].")
@click.option("--token", envvar="ORDERGATE_TOKEN", default="", help="Bearer token [ORDERGATE_TOKEN].")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object per line.")
@click.version_option(package_name="ordergate")
@click.pass_context
def cli(
    context: click.Context,
    gateway: str | None,
    marketdata: str | None,
    compliance: str | None,
    token: str,
    as_json: bool,
) -> None:
    """Order gateway and matching venue whose audit trail can be proved."""
    try:
        settings = Settings()
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise click.UsageError(f"settings: {problems}") from None
    context.obj = Connection(
        settings,
        gateway or settings.gateway_address,
        marketdata or settings.marketdata_address,
        compliance or settings.compliance_address,
        token,
        as_json,
    )


for command in (
    servers.serve,
    servers.market_maker,
    rights.token,
    rights.revoke,
    servers.replay,
    orders.order_group,
    holdings.positions,
    holdings.balances,
    holdings.portfolio,
    holdings.snapshot,
    holdings.budget,
    orders.reports,
    holdings.drop_copy,
    market.book,
    market.ticks,
    market.market_data,
    market.instruments,
    audit.audit_group,
    flow.flow,
):
    cli.add_command(command)

for command in (baskets.check, baskets.submit_many, baskets.mass_cancel, baskets.quote):
    orders.order_group.add_command(command)


def main() -> None:
    """Entry point of the `ordergate` script."""
    cli(prog_name="ordergate")


if __name__ == "__main__":
    main()

"""All commands, and how they end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import typer

from tandem import __version__
from tandem.cli import controllers, decisions, look
from tandem.cli.errors import EXIT_NO_ANSWER, CommandError

app = typer.Typer(
    help="Tandem: models and apps, side by side, on Kubernetes.", no_args_is_help=True, add_completion=False
)

_PEOPLE = "What goes on, and what a person says to it"
_PROCESSES = "The processes of the image"

_COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    _PEOPLE: (
        *(look.status, look.wait, look.history),
        *(decisions.approve, decisions.reject, decisions.promote, decisions.abort),
        *(decisions.pause, decisions.resume, decisions.retry, decisions.trigger, decisions.rollback),
    ),
    _PROCESSES: (controllers.operator, controllers.drift),
}

for panel, commands in _COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)


@app.command(rich_help_panel=_PROCESSES)
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit code. 3 is an error of usage too: 2 means something else to whoever waits."""
    as_plugin = Path(sys.argv[0]).name.startswith("kubectl-")
    command = typer.main.get_command(app)
    try:
        code = command.main(arguments, prog_name="kubectl tandem" if as_plugin else "tandem", standalone_mode=False)
    except CommandError as error:
        typer.echo(f"error: {error}", err=True)
        return EXIT_NO_ANSWER
    except typer.Exit as end:
        return end.exit_code
    except typer.exceptions.TyperException as error:
        told = error.format_message()
        if told:  # else the help was shown instead
            typer.echo(f"error: {told} (--help tells more)", err=True)
        return EXIT_NO_ANSWER
    except (typer.Abort, KeyboardInterrupt):
        return 130
    return code if isinstance(code, int) else 0

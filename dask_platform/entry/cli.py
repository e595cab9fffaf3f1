"""``dask-platform``: the operator's command line.

Exit codes: 0 done, 1 refused or failed with a one-line reason on standard error, 2 wrong usage.
Bad input never gives a traceback.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from dask_platform import __version__
from dask_platform.entry.context import CommandContext
from dask_platform.kernel.errors import ConfigurationError, DaskError

# Loaded when called: a command that cleans a line of HTML should not wait for all the rest.
LAZY = {
    "audit": "dask_platform.features.audit.cli:audit",
    "backup": "dask_platform.entry.backup:backup",
    "content": "dask_platform.features.courses.cli:content",
    "db": "dask_platform.entry.commands:db",
    "demo": "dask_platform.entry.demo:demo",
    "files": "dask_platform.features.handins.cli:files",
    "health": "dask_platform.entry.health:health",
    "html": "dask_platform.entry.commands:html",
    "people": "dask_platform.features.identity.cli:people",
    "restore": "dask_platform.entry.restore:restore",
    "room": "dask_platform.features.identity.cli:room",
    "serve": "dask_platform.entry.commands:serve",
    "settings": "dask_platform.entry.commands:settings",
    "store": "dask_platform.entry.commands:store",
    "unit": "dask_platform.features.identity.cli:unit",
    "whitelist": "dask_platform.features.whitelists.cli:whitelist",
    "worker": "dask_platform.entry.commands:worker",
}


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(LAZY)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in LAZY:
            return None
        module, _, name = LAZY[cmd_name].partition(":")
        found = getattr(import_module(module), name)
        assert isinstance(found, click.Command)  # noqa: S101 - the table above is ours
        return found


@click.group(cls=LazyGroup)
@click.version_option(__version__, prog_name="dask-platform")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """The school platform for prison education."""
    ctx.obj = CommandContext()
    ctx.call_on_close(ctx.obj.close)


def main(arguments: list[str] | None = None) -> None:
    """Run a command and turn every expected error into its exit code and one line."""
    try:
        status = cli.main(arguments, prog_name="dask-platform", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        _say("stopped")
        sys.exit(1)
    except ConfigurationError as error:
        for problem in error.problems:
            _say(problem)
        sys.exit(1)
    except DaskError as error:
        _say(str(error))
        sys.exit(1)
    except BrokenPipeError:
        # The reader went away; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _say(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "))
        sys.exit(1)
    except Exception as error:
        from sqlalchemy.exc import SQLAlchemyError

        if not isinstance(error, SQLAlchemyError):
            raise
        _say(f"the database refused: {str(getattr(error, 'orig', error)).splitlines()[0]}")
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)


def _say(line: str) -> None:
    print(f"dask-platform: {line}", file=sys.stderr)


if __name__ == "__main__":
    main()

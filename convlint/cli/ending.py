"""How a run ends: its exit code, and the one line about what went wrong."""

from __future__ import annotations

import re
import sys
import traceback

import click

from convlint import errors

NOT_DONE = 2
INTERRUPTED = 130


def guarded(command: click.Command, arguments: list[str], given: object = None) -> int:
    """Run the command; return its exit code whatever happens in it.

    ``given`` is the object of click's context.
    """
    verbose = any(re.fullmatch(r"-v+|--verbose", argument) for argument in arguments)
    try:
        code = command.main(arguments, prog_name="convlint", standalone_mode=False, obj=given)
        sys.stdout.flush()
    except errors.ConvlintError as error:
        return _tell(error.format(), error.detail if verbose else "", error.exit_code)
    except click.ClickException as error:
        return _tell(_plain(error))
    except (click.Abort, KeyboardInterrupt):
        return _tell("interrupted", code=INTERRUPTED)
    except SystemExit as end:  # click leaves so where the reader of its help has gone
        return end.code if isinstance(end.code, int) else NOT_DONE
    except Exception as error:
        what = f"internal error: {type(error).__name__}: {error}"
        hint = "" if verbose else "; run again with -v for the trace"
        return _tell(" ".join(what.split()) + hint, traceback.format_exc() if verbose else "")
    return code if isinstance(code, int) else 0


def _tell(line: str, detail: str = "", code: int = NOT_DONE) -> int:
    click.echo(f"error: {line}", err=True)
    if detail:
        click.echo(detail.rstrip(), err=True)
    return code


def _plain(error: click.ClickException) -> str:
    """Return click's sentence as one line of ours."""
    if isinstance(error, click.NoSuchOption):
        close = errors.suggest(error.option_name, error.possibilities or ())
        fix = close or "`convlint check --help` lists them"
        return f"no such option {error.option_name}; {fix}"
    text = " ".join(error.format_message().split()).rstrip(".")
    return text[:1].lower() + text[1:]

"""The group of commands; ``check`` is the one that is meant where none is named."""

from __future__ import annotations

import click

from convlint import __version__
from convlint.cli.apply import apply
from convlint.cli.check import check
from convlint.cli.compare import compare
from convlint.cli.config import config
from convlint.cli.cost import cost
from convlint.cli.fix import fix
from convlint.cli.init import init
from convlint.cli.measure import measure
from convlint.cli.new_rule import new_rule, test_rule
from convlint.cli.report import report
from convlint.cli.rule import rule
from convlint.cli.why import why, why_not

_OF_THE_GROUP = frozenset({"--help", "-h", "--version"})


class DefaultGroup(click.Group):
    """A group that takes anything but a command's name as arguments of ``check``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put ``check`` in front where no command is named."""
        if not args or (args[0] not in self.commands and args[0] not in _OF_THE_GROUP):
            args = ["check", *args]
        return super().parse_args(ctx, args)


@click.group(cls=DefaultGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="convlint")
def convlint() -> None:
    """Find wasted inference compute in PyTorch conv nets, on the line that builds it.

    \b
    convlint model.py                 check the models of a file
    convlint nets/                    ... of every file below a folder
    convlint 'net.py:Net(classes=10)' ... this expression
    convlint check --help             all flags

    convlint imports the files it checks and builds their models, in a process of its own.
    """


convlint.add_command(check)
convlint.add_command(cost)
convlint.add_command(rule)
convlint.add_command(config)
convlint.add_command(apply)
convlint.add_command(fix)
convlint.add_command(measure)
convlint.add_command(compare)
convlint.add_command(why)
convlint.add_command(why_not)
convlint.add_command(new_rule)
convlint.add_command(test_rule)
convlint.add_command(init)
convlint.add_command(report)

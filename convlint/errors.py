"""Everything that can end a run, as data; the command line alone prints it.

ConvlintError
+-- UsageError         a flag, target or expression that cannot be served
+-- ConfigError        a setting that is unknown, malformed or out of range
+-- PluginError        a rule or report that cannot be loaded
+-- GraphError         a ModelGraph that breaks an invariant
+-- ModelError         a model that could not be imported, built or traced
+-- ApplyError         a rewrite that cannot be made on the torch model
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ConvlintError(Exception):
    """One problem: ``where`` it is, ``what`` was seen, what to type instead (``fix``)."""

    exit_code = 2

    def __init__(self, what: str, *, where: str = "", fix: str = "", detail: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix
        self.detail = detail

    def format(self) -> str:
        """Return the one line a user reads: ``where: what; fix``."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}; {self.fix}" if self.fix else head


class UsageError(ConvlintError):
    """What was typed cannot be served."""


class ConfigError(ConvlintError):
    """A setting is unknown, malformed or out of range."""


class PluginError(ConvlintError):
    """A rule or report cannot be loaded."""


class GraphError(ConvlintError):
    """A ModelGraph breaks an invariant; ``where`` names the node."""


class ModelError(ConvlintError):
    """A model could not be imported, built or traced."""


class ApplyError(ConvlintError):
    """A rewrite cannot be made on the torch model, or its outputs differ."""


def suggest(word: str, known: Iterable[str]) -> str:
    """Return "did you mean ...?" for the closest known word, or an empty string."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else ""

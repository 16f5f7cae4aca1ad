"""Runs a function once, right after a module was imported for the first time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


class AfterImport:
    """A meta path finder for one module: ``action`` gets the module when it has run.

    It takes itself out when the module is found. ``done`` says that the action was called.
    """

    def __init__(self, name: str, action: Callable[[Any], None]) -> None:
        self.name = name
        self.action = action
        self.done = False

    def install(self) -> AfterImport:
        """Stand in front of the other finders; a module that is there gets its action now."""
        module = sys.modules.get(self.name)
        if module is None:
            sys.meta_path.insert(0, self)
        else:
            self._act(module)
        return self

    def find_spec(
        self, name: str, path: Any = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find the one module as Python does, with the action behind it."""
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        loader: Any = None if spec is None else spec.loader
        if loader is None or not hasattr(loader, "exec_module"):
            return spec
        run = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            self._act(module)

        loader.exec_module = exec_module
        return spec

    def _act(self, module: ModuleType) -> None:
        self.action(module)
        self.done = True

"""Notes what a process reads: files, folders, environment variables. What a cache has to know.

Python's own audit events tell of files opened and folders listed, whoever does it. A file that is
read by compiled code alone is not seen.
"""

from __future__ import annotations

import os
import sys
from typing import Any

_RUNS = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork"})
_CONNECTS = frozenset({"socket.connect"})
_ASKING = ("/ctypes/util.py", "/platform.py")
_IMPORTING = "<frozen importlib._bootstrap_external>"
_BYTECODE = "__pycache__"


class Watch:
    """What was read since :meth:`start`, as absolute paths.

    ``files`` were opened for reading, those that are not there too; ``listed`` are folders whose
    entries were asked for, ``searched`` those that an import looked through. ``written`` were
    opened for writing. ``uncertain`` says what happened that cannot be noted ("os.system"), or "".
    """

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.listed: set[str] = set()
        self.searched: set[str] = set()
        self.written: set[str] = set()
        self.uncertain = ""
        self._before: frozenset[str] = frozenset()
        self._on = False

    def start(self) -> Watch:
        """Note everything from now on; the hook stays as long as the process lives."""
        self._before = frozenset(sys.modules)
        self._on = True
        if type(os.environ) is os._Environ:
            os.environ.__class__ = _Seen
        sys.addaudithook(self._hear)
        return self

    def stop(self) -> Watch:
        """Note nothing any more."""
        self._on = False
        return self

    @property
    def environment(self) -> dict[str, str | None]:
        """The environment variables that were read, None for those that are not set."""
        return dict(vars(os.environ).get("seen", {}))

    def modules(self, *, new: bool) -> set[str]:
        """Return the files of the modules that are loaded; with ``new`` those loaded since."""
        found = set()
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__dict__", {}).get("__file__")
            if name == "__main__" or (new and name in self._before):
                continue
            if isinstance(file, str):
                found.add(os.path.abspath(file))
        return found

    def _hear(self, event: str, args: Any) -> None:
        if not self._on:
            return
        try:
            if event == "open":
                self._opened(*args[:3])
            elif event in ("os.listdir", "os.scandir"):
                self._looked(args[0])
            elif event == "os.rename":
                self._moved(*args[:2])
            elif event in _RUNS or event in _CONNECTS:
                self._doubt(event, args)
        except Exception as error:
            self.uncertain = f"{event}: {error}"

    def _opened(self, path: Any, mode: Any, flags: Any) -> None:
        if isinstance(path, int):
            return
        name = os.path.abspath(os.fsdecode(path))
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        if writes or (isinstance(mode, str) and set(mode) & set("wax+")):
            self.written.add(name)
        else:
            self.files.add(source_of(name))

    def _looked(self, path: Any) -> None:
        if isinstance(path, int):
            return
        name = os.path.abspath(os.fsdecode("." if path is None else path))
        caller = sys._getframe(2).f_code.co_filename
        (self.searched if caller == _IMPORTING else self.listed).add(name)

    def _moved(self, source: Any, target: Any) -> None:
        before, after = (os.path.abspath(os.fsdecode(path)) for path in (source, target))
        if before in self.written:
            self.written.discard(before)
            self.written.add(after)
        else:
            self.uncertain = self.uncertain or "os.rename"

    def _doubt(self, event: str, args: Any) -> None:
        frame = sys._getframe(2)
        while frame is not None and event in _RUNS:
            if frame.f_code.co_filename.endswith(_ASKING):
                return
            frame = frame.f_back  # type: ignore[assignment]
        if event in _CONNECTS and not isinstance(args[1], tuple):
            return
        if event == "subprocess.Popen" and "convlint.tracing" in str(args[1]):
            return
        self.uncertain = self.uncertain or event


class _Seen(os._Environ):  # type: ignore[type-arg]
    """The environment, which remembers what it was asked for; a copy of all is no question."""

    def __getitem__(self, key: Any) -> Any:
        seen = self.__dict__.setdefault("seen", {})
        try:
            value = super().__getitem__(key)
        except KeyError:
            seen.setdefault(key, None)
            raise
        if key not in self.__dict__.get("own", ()):
            seen.setdefault(key, value)
        return value

    def __setitem__(self, key: Any, value: Any) -> None:
        self.__dict__.setdefault("own", set()).add(key)
        super().__setitem__(key, value)

    def copy(self) -> Any:
        decode = self.__dict__["decodevalue"]
        return {decode(key): decode(value) for key, value in self.__dict__["_data"].items()}


def source_of(path: str) -> str:
    """Return the source behind a file of bytecode, any other file as it is."""
    folder, name = os.path.split(path)
    if os.path.basename(folder) != _BYTECODE or not name.endswith(".pyc"):
        return path
    return os.path.join(os.path.dirname(folder), name.partition(".")[0] + ".py")

"""What a model returns, by name: which outputs are read, and the result with those alone.

An output is called by its key, its field or its position ("out", "0"); a tensor deeper in the
result by the way down to it ("aux[0]").
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from convlint import errors
from convlint.tracing.failures import ReadError
from convlint.tracing.tensors import tensors_in
from convlint.wire import Failure

Path = tuple[str | int, ...]

_MOST = 40
_FIX = "name those that are read with --outputs (or outputs in pyproject)"
_LEAVE = "leave --outputs out for this model (or outputs in pyproject)"
_PLAIN = (torch.Tensor, str, int, float, bool, type(None))


@dataclass(frozen=True, slots=True)
class Kept:
    """The outputs that are read: as they were asked for, and where they are in the result.

    ``unread`` has the place and the name of every other tensor.
    """

    names: tuple[str, ...]
    paths: frozenset[Path]
    unread: dict[Path, str]

    def of(self, result: Any) -> Any:
        """Return a result in plain containers with the read outputs alone, in their order."""
        return _pruned(result, self.paths)


def choose(result: Any, names: Sequence[str]) -> Kept | None:
    """Return where the named outputs are, None for no names; raise ReadError for an unknown one."""
    if not names:
        return None
    if isinstance(result, torch.Tensor):
        what = f"the model returns one tensor: there is no output {names[0]!r} to choose"
        raise ReadError(Failure("output-error", what, _LEAVE))
    places = list(_places(result))
    known = {number: path for path, _, number, _ in places}
    known |= {label: path for path, label, _, _ in places}
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise ReadError(_unknown(unknown, [label for _, label, _, _ in places]))
    paths = frozenset(known[name] for name in names)
    unread = {
        path: label
        for path, label, _, leaf in places
        if leaf and not any(path[: len(head)] == head for head in paths)
    }
    return Kept(tuple(dict.fromkeys(names)), paths, unread)


def _unknown(name: str, labels: list[str]) -> Failure:
    if not labels:
        what = f"the model returns no tensor: there is no output {name!r}"
        return Failure("output-error", what, _LEAVE)
    some = ", ".join(labels[:_MOST]) + (", …" if labels[_MOST:] else "")
    close = errors.suggest(name, labels)
    what = f"the model returns no tensor {name!r}; its outputs are {some}"
    return Failure("output-error", what, close or _FIX)


def _places(
    value: Any, path: Path = (), name: str = "", number: str = ""
) -> Iterator[tuple[Path, str, str, bool]]:
    """Yield every part of a result that holds a tensor: path, name, name by position, is leaf."""
    parts = _parts(value)
    fields = getattr(value, "_fields", ()) if isinstance(value, tuple) else ()
    for place, (key, item) in enumerate((parts or {}).items()):
        if not any(True for _ in tensors_in(plain(item))):
            continue
        own = str(fields[place]) if fields else str(key)
        label = f"{name}[{own}]" if path else own
        by_place = f"{number}[{key}]" if path else str(key)
        yield (*path, key), label, by_place, isinstance(item, torch.Tensor)
        yield from _places(item, (*path, key), label, by_place)


def _pruned(value: Any, paths: frozenset[Path]) -> Any:
    if () in paths or not isinstance(value, (dict, tuple)):
        return value
    below: dict[str | int, set[Path]] = {}
    for head, *rest in paths:
        below.setdefault(head, set()).add(tuple(rest))
    if isinstance(value, dict):
        return {k: _pruned(v, frozenset(below[k])) for k, v in value.items() if k in below}
    chosen = [(place, item) for place, item in enumerate(value) if place in below]
    return tuple(_pruned(item, frozenset(below[place])) for place, item in chosen)


def plain(value: Any) -> Any:
    """Return a model's result in containers that fx can hold; other objects become dicts."""
    parts = _parts(value)
    if parts is None:
        return value
    made = {key: plain(item) for key, item in parts.items()}
    return tuple(made.values()) if isinstance(value, (list, tuple)) else made


def _parts(value: Any) -> dict[Any, Any] | None:
    """Return what a container holds by key or position, None for what is none."""
    if isinstance(value, _PLAIN):
        return None
    if isinstance(value, dict):
        return {str(key): item for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return dict(enumerate(value))
    fields = getattr(value, "__dict__", None) or {}
    if dataclasses.is_dataclass(value):
        fields = {f.name: getattr(value, f.name, None) for f in dataclasses.fields(value)}
    return {key: item for key, item in fields.items() if any(True for _ in tensors_in(item))}

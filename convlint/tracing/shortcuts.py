"""Leaves out imports of torch that tracing does not need; private to torch, all in one place.

Importing torch makes a million objects that stay, and the garbage collector walks them over and
over: without it the import takes a quarter less. The first call of a Python-decomposed operator imports ``torch._dynamo`` (most of a second),
only to ask it to leave that function alone; and shape checks import sympy through
``symbolic_shapes`` to compare plain integers. Where torch's internals look otherwise nothing
is done, and the imports happen. Only for a process of convlint's own: nothing is compiled
there. That results are the same with and without is held by a test.
"""

from __future__ import annotations

import functools
import gc
import importlib
import operator
import sys
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from convlint.tracing.hooks import AfterImport

_SHAPES = "torch.fx.experimental.symbolic_shapes"


def import_torch() -> None:
    """Import torch without what tracing does not need; raise what the import raises.

    The garbage collector is off from here on. Its first full walk, where somebody turns it on,
    passes over what is there now.
    """
    gc.disable()
    unwrapped = AfterImport("torch._compile", _leave_dynamo_out).install()
    import torch  # noqa: F401

    if not unwrapped.done:
        skip_dynamo()
    skip_sympy()
    gc.freeze()


def _leave_dynamo_out(compile_: Any) -> None:
    """Have functions that ``torch._dynamo`` is to leave alone stay as they are, from the start."""

    def _disable_dynamo(fn: Any = None, recursive: bool = True) -> Any:
        del recursive
        return _same if fn is None else fn

    if hasattr(compile_, "_disable_dynamo"):
        compile_._disable_dynamo = _disable_dynamo


def skip_dynamo() -> int:
    """Mark every wrapper that would import ``torch._dynamo``; return how many were marked."""
    try:
        from torch import _compile

        wrapper = _compile._disable_dynamo(_nothing).__code__  # type: ignore[union-attr]
    except (ImportError, AttributeError):
        return 0
    marked = 0
    for found in gc.get_objects():
        if type(found) is FunctionType and found.__code__ is wrapper:
            wrapped = _closed_over(found)
            if wrapped is not None and not hasattr(wrapped, "__dynamo_disable"):
                wrapped.__dynamo_disable = wrapped
                marked += 1
    return marked


def _closed_over(wrapper: FunctionType) -> Any:
    """Return the function that the wrapper holds in its closure."""
    cells = dict(zip(wrapper.__code__.co_freevars, wrapper.__closure__ or (), strict=False))
    return cells["fn"].cell_contents if "fn" in cells else None


def _nothing(*_: Any) -> None:
    return None


def skip_sympy() -> bool:
    """Put a stand-in for ``symbolic_shapes`` that answers for plain numbers; say if it is there.

    Anything else it is asked, or asked about a symbolic number, loads the real module. Another
    for sympy itself tells torch's type promotion alone that a number is no symbol.
    """
    if _SHAPES in sys.modules or "sympy" in sys.modules:
        return False
    sys.modules[_SHAPES] = _PlainShapes(_SHAPES)
    sys.modules["sympy"] = _NoSymbols("sympy")
    return True


class _NoSymbol:
    """Stands for the class of all symbols where none was ever made."""


class _NoSymbols(ModuleType):
    """Answers ``sympy.Basic`` to ``torch._prims_common``; all else loads the real sympy."""

    def __getattr__(self, name: str) -> Any:
        asking = sys._getframe(1).f_globals.get("__name__")
        alone = isinstance(sys.modules.get("sympy"), _NoSymbols)
        if alone and name == "Basic" and asking == "torch._prims_common":
            return _NoSymbol
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        return getattr(_real("sympy"), name)


class _PlainShapes(ModuleType):
    """Answers what shape checks ask, as the real module does for ints, floats and bools."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        plain = _PLAIN.get(name)
        if plain is None:
            return getattr(_real_shapes(), name)
        return _guarded(name, plain)


@functools.cache
def _guarded(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
    def answer(*args: Any, **kwargs: Any) -> Any:
        if all(_is_plain(value) for value in (*args, *kwargs.values())):
            return plain(*args, **kwargs)
        return getattr(_real_shapes(), name)(*args, **kwargs)

    return answer


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(_is_plain(item) for item in value)
    return value is None or type(value) in (int, float, bool)


def _real_shapes() -> ModuleType:
    return _real(_SHAPES)


def _real(name: str) -> ModuleType:
    """Return the real module, which takes the stand-in's place."""
    if isinstance(sys.modules.get(name), (_PlainShapes, _NoSymbols)):
        del sys.modules[name]
    return importlib.import_module(name)


def _same(value: Any, *_: Any, **__: Any) -> Any:
    return value


def _no(*_: Any, **__: Any) -> bool:
    return False


def _yes(*_: Any, **__: Any) -> bool:
    return True


def _equal(x: Any, y: Any) -> bool:
    if isinstance(x, (tuple, list)) and isinstance(y, (tuple, list)):
        return len(x) == len(y) and all(map(_equal, x, y))
    return bool(x == y)


_PLAIN: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(
        (
            "expect_true",
            "guard_bool",
            "guard_int",
            "guard_float",
            "guard_scalar",
            "guard_or_false",
            "guard_or_true",
            "guard_size_oblivious",
            "guarding_hint_or_throw",
            "statically_known_true",
        ),
        _same,
    ),
    "sym_eq": _equal,
    "sym_and": lambda *values: functools.reduce(operator.and_, values),
    "sym_or": lambda *values: functools.reduce(operator.or_, values),
    "is_nested_int": _no,
    "is_symbolic": _no,
    "has_guarding_hint": _yes,
    "is_concrete_int": _yes,
    "is_concrete_bool": _yes,
    "_advise_is_size": _nothing,
    "_advise_is_bounded": _nothing,
}

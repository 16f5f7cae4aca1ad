"""``--input 1x3x224x224``: shapes as people type them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from convlint import errors
from convlint.ir.nodes import DTYPE_BYTES
from convlint.wire import InputSpec

_PATTERN = re.compile(r"(?:(?P<name>[^=:]*)=)?(?P<shape>[^:=]*)(?::(?P<dtype>.*))?")
_KEYED = re.compile(r"[^\[\]]+(\[[^\[\]]+\])+")
_KEY = re.compile(r"\]?\[|\]")
MAX_ELEMENTS = 2**40


def parse_input(text: str) -> InputSpec:
    """Return the input that ``[name=]1x3x224x224[:dtype]`` describes; raise UsageError.

    ``batch[image]=1x3x64x64`` and ``maps[0]=1x64x32x32`` go into a dict or a list that the
    keyword of ``forward`` gets.
    """
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise _refusal(text, "is not a shape")
    name, shape, dtype = match["name"], match["shape"], match["dtype"]
    name, *keys = _KEY.split(name) if name is not None and _KEYED.fullmatch(name) else [name]
    if name is not None and not name.isidentifier():
        raise _refusal(text, f"has {name!r} where a keyword of forward belongs")
    if dtype is not None and dtype not in DTYPE_BYTES:
        close = errors.suggest(dtype, DTYPE_BYTES)
        raise _refusal(text, f"has the unknown dtype {dtype!r}", close)
    within = tuple(int(key) if key.isdigit() else key for key in keys if key)
    return InputSpec(_shape(text, shape), dtype=dtype or "float32", name=name, within=within)


def parse_inputs(texts: Iterable[str]) -> tuple[InputSpec, ...]:
    """Return one input list; refuse a keyword given twice, or a position after a keyword."""
    specs = tuple(parse_input(text) for text in texts)
    names = [spec.label for spec in specs if spec.name]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise errors.UsageError(f"input {twice} is given twice", where="--input")
    return specs


def _shape(text: str, shape: str) -> tuple[int, ...]:
    sizes = re.split(r"[xX×]", shape)
    if not all(re.fullmatch(r"[0-9]{1,9}", size) for size in sizes):
        raise _refusal(text, "is not a shape")
    numbers = tuple(int(size) for size in sizes)
    if 0 in numbers:
        raise _refusal(text, "has an axis of length 0")
    elements = 1
    for number in numbers:
        elements *= number
    if elements > MAX_ELEMENTS:
        raise _refusal(text, f"has {elements} elements, which no machine holds")
    return numbers


def _refusal(text: str, what: str, fix: str = "") -> errors.UsageError:
    example = "write the sizes with x between them, like 1x3x224x224 or 1x128:int64"
    return errors.UsageError(f"{text!r} {what}", where="--input", fix=fix or example)

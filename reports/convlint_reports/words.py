"""Words that came from the user's code, made safe to show.

:func:`cleaned` is the one door: every report that people read starts with it, so no control
character, escape sequence or bidi mark gets further, in whatever field it stood.
"""

from __future__ import annotations

import unicodedata
from typing import Any, TypeVar

import msgspec

Report = TypeVar("Report", bound=msgspec.Struct)

NAME_LIMIT = 160
TEXT_LIMIT = 4000
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_MULTILINE = frozenset({"message", "instead", "risk", "reason"})


def unsafe(char: str) -> bool:
    """Return whether a character moves the cursor, reorders or hides text."""
    return unicodedata.category(char) in _UNSAFE


def visible(text: str, keep: str = "") -> str:
    r"""Return the text with unsafe characters written out, as ``\x1b`` or ``\u202e``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_written(c) if c not in keep and unsafe(c) else c for c in text)


def _written(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def source(text: str) -> str:
    """Return a source line with unsafe characters replaced one for one: columns stay true."""
    if text.isascii() and text.isprintable():
        return text
    return "".join("\ufffd" if c != "\t" and unsafe(c) else c for c in text)


def cut(text: str, limit: int = NAME_LIMIT) -> str:
    """Return at most ``limit`` characters, the last one an ellipsis where any were lost."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def cleaned(run: Report) -> Report:
    """Return the report with every string safe to show and of bounded length."""
    return msgspec.convert(_walked(msgspec.to_builtins(run), ""), type(run))


def _walked(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        code = "line" in value and "text" in value
        return {k: _walked(v, "source" if code else k) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_walked(item, key) for item in value]
    if not isinstance(value, str):
        return value
    if key == "source":
        return cut(source(value), TEXT_LIMIT)
    return cut(visible(value, keep="\n" if key in _MULTILINE else ""), TEXT_LIMIT)


def plural(count: int, noun: str, more: str = "") -> str:
    """Return "1 finding", "3 findings"; ``more`` is a plural that is not noun + s."""
    return f"{count:,} {noun if count == 1 else more or noun + 's'}"

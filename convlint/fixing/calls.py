"""Sets a keyword argument of one call in a file, everything else as it was."""

from __future__ import annotations

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider

from convlint.contract import ArgumentEdit
from convlint.errors import UsageError

_POSITIONS = (
    "in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias",
)  # fmt: skip
_LITERALS = (cst.Integer, cst.Float, cst.Name, cst.SimpleString, cst.Tuple)
_NAMES = frozenset(["True", "False", "None"])


def edit_call(text: str, line: int, column: int, edits: tuple[ArgumentEdit, ...]) -> str:
    """Return ``text`` with arguments of the call that begins at ``line`` and ``column`` set.

    Lines and columns count from 1. Raises UsageError where there is no such call, or where an
    argument is given as something else than a literal.
    """
    wrapper = MetadataWrapper(cst.parse_module(text))
    places = wrapper.resolve(PositionProvider)
    found = [
        node
        for node, place in places.items()
        if isinstance(node, cst.Call) and isinstance(place, CodeRange)
        if (place.start.line, place.start.column) == (line, column - 1)
    ]
    if not found:
        raise UsageError("no call begins there")
    call = min(found, key=lambda node: places[node].end.line * 10_000 + places[node].end.column)
    changed = call
    for edit in edits:
        changed = _with_argument(changed, edit)
    module = wrapper.module.deep_replace(call, changed)
    assert isinstance(module, cst.Module)
    return module.code


def _with_argument(call: cst.Call, edit: ArgumentEdit) -> cst.Call:
    if any(arg.star for arg in call.args):
        raise UsageError("its arguments are unpacked with *")
    value = cst.parse_expression(edit.value)
    for place, arg in enumerate(call.args):
        if _name(arg, place) == edit.name:
            _require_literal(arg.value, edit.name)
            args = [*call.args]
            args[place] = arg.with_changes(value=value)
            return call.with_changes(args=args)
    return call.with_changes(args=_appended(call, edit.name, value))


def _name(arg: cst.Arg, place: int) -> str:
    if arg.keyword is not None:
        return arg.keyword.value
    return _POSITIONS[place] if place < len(_POSITIONS) else ""


def _require_literal(value: cst.BaseExpression, name: str) -> None:
    plain = isinstance(value, _LITERALS)
    if isinstance(value, cst.Name) and value.value not in _NAMES:
        plain = False
    if not plain:
        raise UsageError(f"its argument {name} is no literal")


def _appended(call: cst.Call, name: str, value: cst.BaseExpression) -> list[cst.Arg]:
    """Return the arguments with one more, a line of its own where the others have theirs.

    A comment behind the last argument stays behind it.
    """
    equal = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
    new = cst.Arg(value=value, keyword=cst.Name(name), equal=equal)
    if not call.args:
        return [new]
    last = call.args[-1]
    closing = last.whitespace_after_arg
    if isinstance(last.comma, cst.Comma):
        closing = last.comma.whitespace_after
        new = new.with_changes(comma=last.comma.with_changes(whitespace_after=_bare(closing)))
    else:
        new = new.with_changes(whitespace_after_arg=_bare(closing))
    between = cst.Comma(whitespace_after=_with_comment(_between(call), closing))
    joined = last.with_changes(comma=between, whitespace_after_arg=cst.SimpleWhitespace(""))
    return [*call.args[:-1], joined, new]


def _between(call: cst.Call) -> cst.BaseParenthesizableWhitespace:
    """Return what stands between arguments: that of the first two, or that before the first."""
    if len(call.args) > 1:
        comma = call.args[-2].comma
        assert isinstance(comma, cst.Comma)
        return comma.whitespace_after
    before = call.whitespace_before_args
    lined = isinstance(before, cst.ParenthesizedWhitespace)
    return before if lined else cst.SimpleWhitespace(" ")


def _bare(space: cst.BaseParenthesizableWhitespace) -> cst.BaseParenthesizableWhitespace:
    if not isinstance(space, cst.ParenthesizedWhitespace):
        return space
    first = space.first_line.with_changes(whitespace=cst.SimpleWhitespace(""), comment=None)
    return space.with_changes(first_line=first)


def _with_comment(
    space: cst.BaseParenthesizableWhitespace, closing: cst.BaseParenthesizableWhitespace
) -> cst.BaseParenthesizableWhitespace:
    """Return ``space`` with the comment that ``closing`` begins with, in the place of its own."""
    if not isinstance(closing, cst.ParenthesizedWhitespace):
        return _bare(space)
    if isinstance(space, cst.ParenthesizedWhitespace):
        return space.with_changes(first_line=closing.first_line, empty_lines=())
    return closing if closing.first_line.comment is not None else space

"""A rewritten model as a Python file: constructors of torch's own layers, and the forward."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch
from torch import fx, nn

from convlint.errors import ApplyError

_HEAD = '''"""A rewritten model: the same function, other layers. Load the state_dict saved with it."""

from __future__ import annotations

import math
import operator

import torch
from torch import device, inf, nan, nn
from torch.nn import *

NoneType = type(None)


class Rewritten(nn.Module):
    """The model as it was traced: input shapes are those of the trace."""

    def __init__(self):
        super().__init__()
'''
_SHOWN = re.compile(r"<[^>]*>")


def module_code(module: fx.GraphModule) -> str:
    """Return a Python file whose class ``Rewritten`` is ``module`` without its weights.

    Raises ApplyError where a layer's constructor cannot be told from the layer.
    """
    lines = [f"        {line}" for line in _constructors(module)]
    body = module.graph.python_code("self").src
    if _SHOWN.search(body.replace("<eval_with_key>", "")):
        raise ApplyError("a call of its forward cannot be written as source")
    forward = "\n".join(f"    {line}" if line else "" for line in body.strip().splitlines())
    code = f"{_HEAD}{chr(10).join(lines)}\n\n{forward}\n"
    _require_alike(code, module)
    return code


def _constructors(module: fx.GraphModule) -> Iterator[str]:
    for path, child in module.named_modules():
        if not path:
            continue
        parent, _, name = path.rpartition(".")
        owner = f"self.get_submodule({parent!r})" if parent else "self"
        yield f"{owner}.add_module({name!r}, {_constructor(path, child)})"
    for path, tensor in module.named_parameters():
        if not _is_layer(module.get_submodule(path.rpartition(".")[0])):
            yield _registered(path, tensor, "register_parameter")
    for path, tensor in module.named_buffers():
        if not _is_layer(module.get_submodule(path.rpartition(".")[0])):
            yield _registered(path, tensor, "register_buffer")


def _constructor(path: str, child: nn.Module) -> str:
    if not _is_layer(child):
        return "nn.Module()"
    text = repr(child)
    if "\n" in text or list(child.children()):
        raise ApplyError(f"{path} ({type(child).__name__}) cannot be written as source")
    return f"nn.{text}"


def _is_layer(module: nn.Module) -> bool:
    kind = type(module)
    return kind is not nn.Module and kind.__module__.startswith("torch.nn.modules.")


def _registered(path: str, tensor: torch.Tensor, how: str) -> str:
    parent, _, name = path.rpartition(".")
    owner = f"self.get_submodule({parent!r})" if parent else "self"
    value = f"torch.zeros({tuple(tensor.shape)}, dtype={tensor.dtype})"
    if how == "register_parameter":
        value = f"nn.Parameter({value}, requires_grad={tensor.requires_grad})"
    return f"{owner}.{how}({name!r}, {value})"


def _require_alike(code: str, module: fx.GraphModule) -> None:
    """Run the file and load the weights strictly; raise ApplyError where that fails."""
    room: dict[str, object] = {"__name__": "rewritten"}
    try:
        exec(compile(code, "rewritten.py", "exec"), room)
        made = room["Rewritten"]()  # type: ignore[operator]
        made.load_state_dict(module.state_dict())
    except Exception as error:
        raise ApplyError(f"it cannot be written as source: {error}") from error

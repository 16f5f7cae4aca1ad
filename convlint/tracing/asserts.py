"""What an assertion about values would need to hold, where tensors have no values.

``assert (out == x).all()`` stops a run on meta tensors for nothing: the author says that it
holds. Which truth lets the run go on is read from the bytecode behind the question.
"""

from __future__ import annotations

import dis
from functools import lru_cache
from itertools import pairwise
from types import CodeType, FrameType

QUESTIONS = frozenset(["__bool__", "equal", "allclose", "is_nonzero"])
_FAILS = ("LOAD_ASSERTION_ERROR", "LOAD_COMMON_CONSTANT")
_NEAR = 5


def asserted(frame: FrameType | None) -> bool | None:
    """Return the truth that the ``assert`` running in ``frame`` wants; None if there is none."""
    return _wanted(frame.f_code, frame.f_lasti) if frame is not None else None


@lru_cache(maxsize=256)
def _wanted(code: CodeType, lasti: int) -> bool | None:
    steps = list(dis.get_instructions(code))
    failing = {step.offset for step in steps if step.opname.startswith(_FAILS)}
    ahead = [step for step in steps if step.offset >= lasti][: _NEAR + 1]
    turned = False
    for step, after in pairwise(ahead):
        turned ^= step.opname == "UNARY_NOT"
        if "JUMP" in step.opname:
            jumps_on = ("TRUE" in step.opname) != turned
            if after.offset in failing:
                return jumps_on
            return not jumps_on if step.argval in failing else None
    return None

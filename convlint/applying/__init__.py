"""Makes rewrites on the real torch model, carries its weights, and proves the outputs equal.

The rules see a ModelGraph only. Here the same edits become a ``torch.fx.GraphModule``: calls that
an edit leaves alone are the recorded ones, new nodes are emitted from their operation
(``kinds.py``, ``layers.py``), new weights come from the rule folder's ``apply.py``
(``Values`` is what that function may ask). ``proof.py`` compares the two models in float64.
"""

from __future__ import annotations

from convlint.applying.rewrite import Applied, Change, Task, apply
from convlint.applying.values import Values

__all__ = ["Applied", "Change", "Task", "Values", "apply"]

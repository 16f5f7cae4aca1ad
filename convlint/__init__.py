"""convlint: reads a PyTorch conv net and says, line by line, where inference work is wasted."""

from __future__ import annotations

__version__ = "0.1.0"

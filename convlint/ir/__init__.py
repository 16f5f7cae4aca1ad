"""The model as data. A small tour:

A traced ``nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())`` is five
nodes in execution order: ``input`` -> ``conv`` -> ``norm`` -> ``activation`` ->
``output``. Each holds an ``op`` (one of the structs in :mod:`convlint.ir.nodes`), the
references to the outputs it reads, the specs of what it writes, the parameters it
uses and the lines that built and called it. Rules read a :class:`ModelGraph`,
propose an edit of it, and the edit's cost against the original is the saving.
"""

from __future__ import annotations

from convlint.ir.graph import GraphDocument, ModelGraph
from convlint.ir.nodes import Node, Param, Ref, SourceSpan, TensorSpec

__all__ = ["GraphDocument", "ModelGraph", "Node", "Param", "Ref", "SourceSpan", "TensorSpec"]

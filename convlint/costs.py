"""The cost report as data: what ``convlint cost`` prints, and the JSON of it."""

from __future__ import annotations

from convlint.contract import SCHEMA_VERSION, ReceptiveField, Struct, Tool, Totals
from convlint.ir.nodes import SourceSpan
from convlint.wire import Diagnostic, InputSpec

RIDGE = 10.0
"""MACs for each byte moved at which a device computes and moves for equally long.

In float32 that is 12.7 on a T4 (8.1 TFLOPS, 320 GB/s) and 6.3 on an A100 (19.5 TFLOPS, 1555
GB/s): peak FLOPs / 2 / bandwidth. Under it, memory traffic bounds an unfused layer.
"""


class CostRow(Struct, frozen=True):
    """One line of the table: a node, or ``times`` nodes together, with their sums.

    ``module`` is a path, of which a part may be folded ("layer1.1-2.conv1"). Bytes are moved
    when nothing is fused; ``intensity`` is MACs for each of them, None where none moves.
    ``bound`` is "memory" or "compute" on a device with the report's ridge.
    """

    module: str
    kind: str
    times: int = 1
    macs: int = 0
    macs_percent: float = 0.0
    params: int = 0
    param_bytes: int = 0
    other_ops: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    bytes_moved: int = 0
    bytes_percent: float = 0.0
    intensity: float | None = None
    bound: str = ""
    input_shapes: tuple[tuple[int, ...], ...] = ()
    output_shapes: tuple[tuple[int, ...], ...] = ()
    receptive_field: ReceptiveField | None = None
    location: SourceSpan | None = None


class PeerLine(Struct, frozen=True):
    """One place that another tool counts otherwise, over the nodes that share line and reason."""

    why: str
    kind: str
    modules: tuple[str, ...]
    theirs: int
    ours: int
    location: SourceSpan | None = None


class PeerCosts(Struct, frozen=True):
    """What another tool would say; ``ours`` is our MACs in its unit."""

    tool: str
    version: str
    unit: str
    total: int
    ours: int
    lines: tuple[PeerLine, ...] = ()
    notes: tuple[str, ...] = ()


class ModelCosts(Struct, frozen=True):
    """What one model costs. ``state_bytes`` are parameters and buffers: a saved state_dict.

    ``rows`` is the table as asked for; ``kinds`` the sums by kind of operation;
    ``memory_bound_bytes`` and ``memory_bound_macs`` those of nodes under the ridge.
    ``nanoseconds`` is the median time of a call here, where it was asked for.
    """

    target: str
    status: str
    inputs: tuple[InputSpec, ...] = ()
    totals: Totals = Totals()
    state_bytes: int = 0
    rows: tuple[CostRow, ...] = ()
    kinds: tuple[CostRow, ...] = ()
    memory_bound_bytes: int = 0
    memory_bound_macs: int = 0
    nanoseconds: int | None = None
    peer: PeerCosts | None = None
    diagnostics: tuple[Diagnostic, ...] = ()


class CostReport(Struct, frozen=True):
    """A whole run of ``convlint cost``; ``grouping`` says what a row is.

    ``tables`` is false where models are only set side by side, without their rows. ``timed_on``
    says on which machine times were taken, if any.
    """

    tool: Tool
    models: tuple[ModelCosts, ...]
    schema_version: int = SCHEMA_VERSION
    grouping: str = "node"
    ridge: float = RIDGE
    tables: bool = True
    timed_on: str = ""

"""A target as data."""

from __future__ import annotations

import msgspec

Plain = int | float | bool | str | tuple[str, ...]


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fact about a target, and where it is from."""

    value: Plain
    source: str


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What rules want to know of a target.

    ``name`` is what ``--profile`` takes, ``base`` the target it was made from, whose severities
    it shares where a rule knows only that one. Counts are channels; ``ridge`` is MACs for each
    byte moved under which memory traffic bounds an unfused layer; ``eager`` says that operations
    run one by one as written. A value that is None is not known, and no rule uses it.

    ``channel_multiple``: channel counts that are no multiple are padded. ``padding_limit``: the
    growth up to which a compiler pads silently. ``min_group_width``: channels a group below which
    grouped convolutions run far below dense ones. ``groups_split``: a grouped convolution runs as
    one convolution a group. ``max_dilation``: beyond it a dilated kernel is filled with zeros and
    saves nothing. ``stacked_first``: offer stacked 3x3 before a dilated one.
    ``early_depthwise_map``: side of the map from which depthwise layers are dear. ``ram``: bytes for
    activations that the user gave, 0 where none were.
    """

    name: str
    summary: str
    base: str = ""
    gpu: Value | None = None
    eager: Value | None = None
    channel_multiple: Value | None = None
    padding_limit: Value | None = None
    min_group_width: Value | None = None
    groups_split: Value | None = None
    max_dilation: Value | None = None
    stacked_first: Value | None = None
    early_depthwise_map: Value | None = None
    ridge: Value | None = None
    ram: int = 0

    def number(self, key: str, default: float = 0) -> float:
        """Return a numeric value, or the default where it is not known."""
        found: Value | None = getattr(self, key)
        return float(found.value) if found is not None else default  # type: ignore[arg-type]

    def holds(self, key: str) -> bool:
        """Tell whether a yes-or-no value is known to be yes."""
        found: Value | None = getattr(self, key)
        return found is not None and found.value is True

    def source(self, key: str) -> str:
        """Return where a value is from, empty where it is not known."""
        found: Value | None = getattr(self, key)
        return found.source if found is not None else ""

    @property
    def family(self) -> tuple[str, ...]:
        """The names a rule may know it by, the own one first."""
        return (self.name, self.base) if self.base else (self.name,)

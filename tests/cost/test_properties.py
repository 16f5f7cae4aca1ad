"""Random convolutions: convlint, torch's own counter and a naive loop agree."""

from __future__ import annotations

from hypothesis import given, settings

from tests.cost.naive import Case, convs, counted, loops, torch_macs


@given(convs())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_macs_equal_torchs_counter_and_the_loops(case: Case) -> None:
    """1-D to 3-D, groups, dilation, stride, padding, transposed with output_padding."""
    model = case.build()
    cost = counted(model, *case.shape)
    assert cost.macs == loops(case) == torch_macs(model, case.shape)
    assert cost.params == sum(p.numel() for p in model.parameters())


@given(convs())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_a_double_batch_doubles_the_work_and_not_the_weights(case: Case) -> None:
    """MACs, bias adds, bytes written and the peak double; params and their bytes stay."""
    model = case.build()
    once = counted(model, *case.shape)
    twice = counted(model, 2 * case.shape[0], *case.shape[1:])
    assert twice.macs == 2 * once.macs
    assert twice.other.bias == 2 * once.other.bias
    assert twice.activation_bytes == 2 * once.activation_bytes
    assert twice.peak_activation_bytes == 2 * once.peak_activation_bytes
    assert (twice.params, twice.weight_bytes) == (once.params, once.weight_bytes)
    assert twice.bytes_moved == 2 * once.bytes_moved - once.param_bytes

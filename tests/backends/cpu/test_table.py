"""Emitter and caller know every word of the table by the same name and place."""

import pytest

from recurra.backends.cpu.table import COMMON, panels, slots
from recurra.backends.plan import plan
from recurra.cells import CATALOGUE, modifiers

LOOPS = ("forward", "training", "backward")


def table(cell, which):
    return slots(getattr(plan(cell), which), cell.states, tuple(cell.noise), tuple(cell.carried))


@pytest.mark.parametrize("which", LOOPS)
def test_every_name_has_one_place_and_the_common_ones_the_same_everywhere(which):
    for plain in CATALOGUE.values():
        found = table(modifiers.zoneout(plain, 0.3), which)
        assert sorted(found.values()) == list(range(len(found)))
        assert [found[name] for name in COMMON] == list(range(len(COMMON)))


def test_what_a_gated_unit_has_beside_them():
    """A ring a state, an array a noise, the caller's rows, an operand a product before the loop, a stage's panels."""
    cell = modifiers.zoneout(CATALOGUE["gru"], 0.3)
    own = ["ring.h", "noise.zoneout_h", "before.h", "after.h"]
    before = [f"{kind}.{place}" for place in range(3) for kind in ("operand", "length", "depth", "input")]
    assert list(table(cell, "forward"))[len(COMMON) :] == [*own, *before, "panels.0", "panels.1"]
    # The gradient computes no product before its loop, and its first stage none in it.
    assert list(table(cell, "backward"))[len(COMMON) :] == [*own, "panels.1", "panels.2"]


@pytest.mark.parametrize("which", LOOPS)
def test_there_are_panels_for_each_stage_that_has_products(which):
    for cell in CATALOGUE.values():
        loop, found = getattr(plan(cell), which), table(cell, which)
        for number, stage in enumerate(loop.stages):
            assert (panels(number) in found) == bool(stage.sums)
        assert sum(name.startswith("input.") for name in found) == len(loop.products)

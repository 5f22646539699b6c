"""Emitter and caller know every word of the table by the same name and place."""

from recurra.backends.cpu.table import COMMON, slots
from recurra.backends.plan import plan
from recurra.cells import CATALOGUE, modifiers


def test_every_name_has_one_place_and_the_common_ones_the_same_everywhere():
    for plain in CATALOGUE.values():
        cell = modifiers.zoneout(plain, 0.3)
        made = plan(cell)
        for loop in (made.forward, made.training, made.backward):
            found = slots(loop, cell.states, tuple(cell.noise))
            assert sorted(found.values()) == list(range(len(found)))
            assert [found[name] for name in COMMON] == list(range(len(COMMON)))


def test_there_is_a_ring_a_state_an_array_a_noise_and_panels_where_there_are_products():
    cell = modifiers.zoneout(CATALOGUE["gru"], 0.3)
    found = slots(plan(cell).backward, cell.states, tuple(cell.noise))
    assert list(found)[len(COMMON) :] == ["ring.h", "noise.zoneout_h", "panels.1", "panels.2"]

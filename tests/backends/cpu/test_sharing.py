"""Who does what follows from an estimate: rows each, units shared out, or parts of numbers instead of numbers."""

import dataclasses

from recurra.backends.cpu.sharing import FEW_ROWS, MATRIX_UNIT_RATES, RATES, SHARES, Work, share, shares_each
from recurra.backends.cpu.target import host

PLAIN = dataclasses.replace(host(), matrix_unit=False)
TILES = dataclasses.replace(host(), matrix_unit=True)


def lstm(target, hidden, *, parts=False):
    weights = {"recurrent": 4 * hidden, "inputs": 4 * hidden}
    return Work(target, parts, hidden, 4, stages=1, backward=False, **weights)


def test_a_single_row_shares_out_units_where_its_weights_take_longer_than_to_meet():
    assert share(lstm(PLAIN, 512), 1, 2, by_units=True) == (2, True)
    assert share(lstm(PLAIN, 32), 1, 2, by_units=True) == (1, False)
    assert share(lstm(PLAIN, 512), 1, 2, by_units=False) == (1, False)


def test_rows_are_shared_out_until_the_weights_outgrow_the_second_cache():
    """Of a processor whose third is far away: as parts, 6 bytes each, an LSTM's of 256 units are 1.5 MiB."""
    assert 6 * 4 * 128 * 128 < MATRIX_UNIT_RATES.second_cache < 6 * 4 * 256 * 256
    assert share(lstm(TILES, 128, parts=True), 32, 2, by_units=True) == (2, False)
    assert share(lstm(TILES, 256, parts=True), 32, 2, by_units=True) == (2, True)


def test_products_of_few_rows_are_not_of_parts():
    assert lstm(TILES, 128, parts=True).splits(FEW_ROWS)
    assert not lstm(TILES, 128, parts=True).splits(FEW_ROWS - 1)
    assert not lstm(TILES, 128).splits(FEW_ROWS)
    assert not Work(TILES, True, 128, 4, stages=1, recurrent=0, inputs=128, backward=False).splits(FEW_ROWS)


def test_more_rows_and_fewer_shares_take_longer():
    for target in (PLAIN, TILES):
        work = lstm(target, 128)
        assert work.step(1) < work.step(2) < work.step(8)
        assert work.step(8, 2) < work.step(8)
        assert work.step(8) < dataclasses.replace(work, backward=True).step(8)


def test_reading_takes_its_time_beside_multiplying_or_while_it_is_done():
    assert RATES.products(1000, 10, split=False) == 1000 / RATES.adds
    assert MATRIX_UNIT_RATES.products(900, 110, split=False) == 900 / 90 + 110 / 110


def test_few_rows_have_fewer_shares():
    assert shares_each(1) < shares_each(32) == SHARES

"""What the gradients of a cell's matrices are sums of, and which of them are best worked out together."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from functools import lru_cache

from recurra.backends.cpu.prepare import Prepared

__all__ = ["MatrixBlock", "Source", "covered", "matrix_sources", "sharing_sides"]

MatrixBlock = tuple[str, int, int]
"""Columns of a matrix: its name, the first and the end."""

Source = tuple[tuple[str, int], tuple[str, int]]
"""Whose columns, turned, and whose rows the gradient of a block is the sum of the products of."""


def _goes_with(others: dict[MatrixBlock, list[Source]], own: dict[MatrixBlock, list[Source]]) -> bool:
    """Whether blocks, each of one source, share a side with others, and none both."""
    if any(len(sources) > 1 for sources in (*others.values(), *own.values())):
        return False
    theirs, ours = ([sources[0] for sources in blocks.values()] for blocks in (others, own))
    alike = [[x == y for x, y in zip(*pair, strict=True)] for pair in itertools.product(theirs, ours)]
    return any(map(any, alike)) and not any(map(all, alike))


@lru_cache(maxsize=512)
def matrix_sources(prepared: Prepared) -> dict[MatrixBlock, list[Source]]:
    """What the gradient of each block of a matrix is the sum of: pairs of what is kept, or an operand, by row."""
    found: dict[MatrixBlock, list[Source]] = {}
    for columns, terms in prepared.outer:
        for rows, block in terms:
            found.setdefault((block.matrix, block.start, block.stop), []).append((rows, columns))
    for number, group in enumerate(prepared.outside):
        for place, block in zip(group.gradients, group.blocks, strict=True):
            if place >= 0:
                pair: Source = (("gradient", place), ("operand", number))
                key = (block.matrix, block.start, block.stop)
                found.setdefault(key, []).append((pair[1], pair[0]) if block.transposed else pair)
    return found


@lru_cache(maxsize=512)
def covered(prepared: Prepared, matrix: str) -> bool:
    """Whether every column of a matrix has a gradient."""
    sizes = prepared.cell.parameters[matrix].column_sizes(prepared.input_size, prepared.hidden)
    return sum(stop - start for name, start, stop in matrix_sources(prepared) if name == matrix) == sum(sizes)


def sharing_sides(prepared: Prepared, wanted: Collection[str]) -> list[dict[MatrixBlock, list[Source]]]:
    """The blocks of matrices with what their gradients are sums of, those together that share a side.

    Args:
        prepared: The cell at its sizes.
        wanted: The matrices whose gradients are asked for.
    """
    found: list[dict[MatrixBlock, list[Source]]] = []
    for block, sources in matrix_sources(prepared).items():
        if block[0] not in wanted:
            continue
        own = {block: sources}
        for others in list(found):
            if _goes_with(others, own):
                found.remove(others)
                own = {**others, **own}
        found.append(own)
    return found

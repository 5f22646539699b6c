"""Whether weights are those of before: a digest of their bits, as LLVM IR.

Reading weights takes a small part of the time it takes to pack them. The bits themselves are looked at, since no count
of changes tells of all: a tensor may share its memory with an array of NumPy's or with another process.
"""

from __future__ import annotations

from llvmlite import ir

from recurra.backends.cpu.building import constant, loop_over
from recurra.backends.cpu.mathematics import I32, I64
from recurra.backends.cpu.tiles import TileEmitter

__all__ = ["digest"]

CHAINS = 2
"""How many vectors are taken in side by side."""

ODD = 0x9E3779B97F4A7C15
"""2⁶⁴ by the golden ratio: a number whose bits follow no pattern."""

LOW = (1 << 32) - 1


def digest(
    of: TileEmitter,
    b: ir.IRBuilder,
    out: ir.Value,
    source: ir.Value,
    by_unit: ir.Value,
    by_k: ir.Value,
    units: ir.Value,
    length: ir.Value,
) -> None:
    """Write what puts the digest of some weights, never 0, where `out` says.

    Numbers are taken in as words w of 64 bits, with a key for each place: the sum of low · high + w with its halves
    exchanged, where low and high are the halves of w xor key. That is how XXH3 (Collet, 2019) takes in long inputs; two
    that are different have the same digest once in about 2⁶⁴ times.

    Args:
        of: What is written for.
        b: Where it is written.
        out: The address of a word.
        source: Where the weights begin.
        by_unit: How far it is from unit to unit; this or the next is 1.
        by_k: From k to k.
        units: How many units there are.
        length: K.
    """
    wide = max(1, of.lanes * of.bytes // 8)
    lanes, together = constant(of.lanes), constant(CHAINS * of.lanes)
    straight = b.icmp_signed("==", by_unit, constant(1))
    lines, apart, line_of = (b.select(straight, x, y) for x, y in ((length, units), (by_k, by_unit), (units, length)))
    chains = [_Chain(b, wide, number) for number in range(CHAINS)]
    single = _Chain(b, 1, CHAINS)
    whole, even = b.sub(line_of, b.srem(line_of, lanes)), b.sub(line_of, b.srem(line_of, together))
    if of.lanes * of.bytes < 8:
        whole = even = constant(0)
    with loop_over(b, constant(0), lines) as number:
        line = b.gep(source, [b.mul(number, apart)])
        with loop_over(b, constant(0), even, together) as k:
            for place, chain in enumerate(chains):
                chain.take(of.load(b, b.gep(line, [b.add(k, constant(place * of.lanes))])))
        with loop_over(b, even, whole, lanes) as k:
            chains[0].take(of.load(b, b.gep(line, [k])))
        with loop_over(b, whole, line_of) as k:
            word = b.load(b.bitcast(b.gep(line, [k]), ir.IntType(8 * of.bytes).as_pointer()))
            single.take(word if of.bytes == 8 else b.zext(word, I64))
    for chain in chains:
        for lane in range(wide):
            single.take(b.extract_element(b.load(chain.sum), ir.Constant(I32, lane)))
    b.store(b.or_(b.load(b.bitcast(single.sum, I64.as_pointer())), constant(1)), out)


class _Chain:
    """Sums of what is taken in, and the keys of the next words."""

    def __init__(self, b: ir.IRBuilder, wide: int, number: int) -> None:
        self.b, self.kind = b, ir.VectorType(I64, wide)
        self.sum, self.key = b.alloca(self.kind), b.alloca(self.kind)
        keys = [ODD * (1 + number * wide + lane) & ((1 << 64) - 1) for lane in range(wide)]
        b.store(self._all(0), self.sum)
        b.store(ir.Constant(self.kind, keys), self.key)

    def _all(self, value: int) -> ir.Constant:
        return ir.Constant(self.kind, [value] * self.kind.count)

    def take(self, numbers: ir.Value) -> None:
        """As many bits as the chain is wide."""
        b, half = self.b, self._all(32)
        words, key = b.bitcast(numbers, self.kind), b.load(self.key)
        keyed = b.xor(words, key)
        product = b.mul(b.and_(keyed, self._all(LOW)), b.lshr(keyed, half))
        exchanged = b.or_(b.shl(words, half), b.lshr(words, half))
        b.store(b.add(b.load(self.sum), b.add(product, exchanged)), self.sum)
        b.store(b.add(key, self._all(ODD)), self.key)

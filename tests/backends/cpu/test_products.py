"""Products of matrices in compiled code, against torch, on processors of every shape; nothing outside is touched.

Every array lies in a frame of a NaN that says whose it is: what is read there ends up in a result, and what is written
there is seen.
"""

import ctypes
import dataclasses
import functools
import itertools
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import ir

from recurra.backends.cpu import library, tiles
from recurra.backends.cpu.gradients import ROWS, gradient_workspace
from recurra.backends.cpu.parts import CHUNK, configure, depth, parts_size
from recurra.backends.cpu.products import emit_products, modules_for, rows_workspace
from recurra.backends.cpu.table import PACK_WORDS
from recurra.backends.cpu.target import host
from recurra.backends.cpu.tiles import block_length, tile_rows
from support.machine_code import MULTIPLY_ADD, TARGETS, assembly_of, body_of, calls, functions_of, seen_from_outside

POISON = {torch.float64: (torch.int64, 0x7FF8DEADBEEF1234), torch.float32: (torch.int32, 0x7FC0BEEF)}
SHAPES = {"scalar": (8, 8), "short": (16, 8), "short, many": (16, 32), "middling": (32, 16), "long": (64, 16)}
"""Bytes in a vector, and how many of them. What the host does not have, LLVM puts together from what it has."""

MARGIN = 37
"""How many numbers the frame of an array has on each side: more than two vectors of any kind, and no whole number."""

POINTER, WORD = ctypes.c_void_p, ctypes.c_int64
SIGNATURES = {
    "product": (POINTER, WORD, WORD, WORD, POINTER, POINTER, WORD, WORD, POINTER, WORD, WORD, WORD),
    "pack": (POINTER, WORD, WORD),
    "repack": (POINTER, WORD, WORD),
    "gradient": (POINTER, WORD, WORD, POINTER),
    "rows_product": (POINTER, WORD, WORD, POINTER),
    "several": (POINTER,),
    "product_parts": (POINTER, WORD, WORD, WORD, POINTER, POINTER, WORD, WORD, POINTER, WORD, WORD, WORD),
    "split": (WORD, POINTER, POINTER, WORD, WORD, POINTER),
}


class Framed:
    """Numbers (rows, columns) in memory, `apart` from row to row, in a frame of poison, as are the gaps.

    Args:
        values: The numbers; None for poison.
        apart: At least as many as there are columns.
    """

    def __init__(self, values, shape=None, apart=None, dtype=None):
        rows, columns = values.shape if shape is None else shape
        self.dtype, apart = dtype or values.dtype, apart or max(columns, 1)
        kind, poison = POISON[self.dtype]
        self.bits = torch.full((2 * MARGIN + rows * apart,), poison, dtype=kind)
        self.apart, self.poison = apart, poison
        self.inside = torch.zeros(len(self.bits), dtype=torch.bool)
        self.inside.as_strided((rows, columns), (apart, 1), MARGIN).fill_(True)
        self.values = self.bits.view(self.dtype).as_strided((rows, columns), (apart, 1), MARGIN)
        if values is not None:
            self.values.copy_(values)
        self.address = self.bits.data_ptr() + MARGIN * self.bits.element_size()

    def whole(self):
        """Whether nothing was written beside the numbers."""
        return bool((self.bits[~self.inside] == self.poison).all())

    def untouched(self):
        """Whether there is nothing but poison."""
        return bool((self.bits == self.poison).all())


class Functions:
    """The functions for a processor and dtype, called from here."""

    def __init__(self, target, dtype):
        double = dtype == torch.float64
        self.target, self.double = target, double
        self.dtype, self.wide = dtype, 2 * target.vector_bytes // (8 if double else 4)
        for names in modules_for(target, double=double):
            text = f"products {names} {double}"
            code = library.load(text, functools.partial(emit_products, target, names, double=double), target, names)
            for name in names:
                setattr(self, name, ctypes.CFUNCTYPE(None, *SIGNATURES[name])(code.addresses[name]))
        self.numbers = torch.arange(1000)
        # Sizes off every tile, and those where a block of a panel ends.
        block = block_length(target)
        self.lengths = (1, 3, 5, 17, 33, 100, 257, block, block + 1)

    def panel_size(self, length):
        """How many numbers a panel has."""
        return self.wide * length

    def draw(self, *shape):
        return torch.randn(*shape, dtype=self.dtype)

    def packed(self, matrix):
        """A matrix (units, K) in panels, by its definition."""
        units, length = matrix.shape
        wide = torch.zeros(-(-units // self.wide) * self.wide, length, dtype=self.dtype)
        wide[:units] = matrix
        panels = [wide[at : at + self.wide].T.flatten() for at in range(0, len(wide), self.wide)]
        return Framed(torch.cat(panels)[None])

    def words(self, *of_pack):
        """What is asked of `pack`."""
        return (*of_pack, 0)

    def close(self, found, pairs, begin=0.0):
        """Whether a result is the sum of products, within what their roundings may come to."""
        exact = sum((a.double() @ b.double() for a, b in pairs), begin)
        size = sum((a.double().abs() @ b.double().abs() for a, b in pairs), abs(begin))
        terms = sum(a.shape[1] for a, _ in pairs) + 8
        return bool(((found.double() - exact).abs() <= 2 * terms * torch.finfo(self.dtype).eps * size).all())


def configured(target):
    """Have this thread's tiles be what the loops make them."""
    code = ir.Module("configured")
    code.triple = target.triple
    b = ir.IRBuilder(ir.Function(code, ir.FunctionType(ir.VoidType(), []), "configured").append_basic_block())
    configure(b, code)
    b.ret_void()
    compiled = library.load("configured", lambda: str(code), target, ("configured",))
    ctypes.CFUNCTYPE(None)(compiled.addresses["configured"])()


class OfParts(Functions):
    """The same, all on parts of numbers."""

    def __init__(self, target):
        super().__init__(target, torch.float32)
        del self.product
        configured(target)

    def panel_size(self, length):
        return self.wide * depth(length)

    def words(self, *of_pack):
        return (*of_pack, 1)

    def product(self, out, out_stride, fresh, rows, index, base, stride, length, *rest):
        parts = Framed(None, (1, parts_size(rows, length)), dtype=torch.float32)
        self.split(rows, index, base, stride, length, parts.address)
        assert parts.whole()
        # What it needs no longer to know it must not ask.
        self.product_parts(out, out_stride, fresh, rows, 0, parts.address, 0, length, *rest)

    def packed(self, matrix):
        units, length = matrix.shape
        chunks = -(-length // CHUNK)
        wide = torch.zeros(-(-units // self.wide) * self.wide, chunks * CHUNK)
        wide[:units, :length] = matrix
        found, rest = [], wide
        for part in range(3):
            rounded = ((rest.view(torch.int32) + 0x8000 * (part < 2)) & -0x10000).view(torch.float32)
            usual = (rest.abs() < 3.396e38) | (part == 2)
            found.append(torch.where(usual, rounded, 0.0))
            rest = rest - found[-1]
        assert not rest.nan_to_num(0.0, 0.0, 0.0).any(), "three parts are the whole"
        # (part, panel, v, unit, chunk, j, row) with k = 32 chunk + 16 j + row
        tiles = torch.stack(found).view(3, -1, 2, 16, chunks, 2, 16).permute(1, 4, 0, 2, 6, 3, 5).to(torch.bfloat16)
        return Framed(tiles.contiguous().view(torch.float32).reshape(1, -1))


def job(*words):
    row = (WORD * len(words))(*words)
    return row, ctypes.addressof(row)


DTYPES = {"float64": torch.float64, "float32": torch.float32}


@pytest.fixture(scope="module", params=[*((shape, dtype) for shape in SHAPES for dtype in DTYPES), ("host", "parts")])
def functions(request):
    shape, dtype = request.param
    if dtype == "parts":
        if not host().matrix_unit:
            pytest.skip("this processor has no unit that multiplies parts")
        return OfParts(host())
    vector_bytes, registers = SHAPES[shape]
    shape = {"vector_bytes": vector_bytes, "registers": registers, "matrix_unit": False}
    return Functions(dataclasses.replace(host(), **shape), DTYPES[dtype])


SIZE = st.sampled_from([1, 2, 3, 5, 6, 7, 17, 33, 100])
FEW = settings(max_examples=25)


# One panel -----------------------------------------------------------------------------------------------------------


def test_rows_of_a_panel(functions):
    @FEW
    @given(SIZE, st.integers(0, 8), st.booleans(), st.data())
    def check(rows, length, fresh, data):
        torch.manual_seed(0)
        draw, length, wide = data.draw, functions.lengths[length], functions.wide
        stored = draw(st.integers(1, 2 * rows))
        base = Framed(functions.draw(stored, length), apart=length + draw(st.sampled_from([0, 1, 7])))
        weights = functions.draw(wide, length)
        panel, chosen, before = functions.packed(weights), torch.randint(0, stored, (rows,)), functions.draw(rows, wide)
        apart = wide + draw(st.sampled_from([0, 3]))
        out = Framed(None if fresh else before, (rows, wide), apart, functions.dtype)
        index = chosen.data_ptr()
        functions.product(
            out.address, apart, fresh, rows, index, base.address, base.apart, length, panel.address, 1, 0, 0
        )
        begin = 0.0 if fresh else before.double()
        assert functions.close(out.values, [(base.values[chosen], weights.T)], begin)
        assert out.whole()

    check()


def test_several_panels(functions):
    # As many as there are, whatever lies between them, and however the rows share out over tiles.
    @FEW
    @given(st.integers(1, 7), st.integers(1, 9), st.integers(0, 8), st.booleans(), st.data())
    def check(rows, panels, length, fresh, data):
        torch.manual_seed(0)
        length, wide = functions.lengths[length], functions.wide
        base, weights = Framed(functions.draw(rows, length)), functions.draw(panels * wide, length)
        gap = data.draw(st.sampled_from([0, 5]))
        size = functions.panel_size(length)
        packed = functions.packed(weights).values.reshape(panels, size)
        panel, before = Framed(packed, apart=size + gap), functions.draw(rows, panels * wide)
        apart = panels * wide + data.draw(st.sampled_from([0, 3]))
        out = Framed(None if fresh else before, (rows, panels * wide), apart, functions.dtype)
        sizes = (length, panel.address, panels, size + gap, wide)
        index = functions.numbers.data_ptr()
        functions.product(out.address, apart, fresh, rows, index, base.address, base.apart, *sizes)
        assert functions.close(out.values, [(base.values, weights.T)], 0.0 if fresh else before.double())
        assert out.whole()

    check()


@pytest.mark.parametrize("fresh", [0, 1])
def test_no_row_is_nothing(functions, fresh):
    panel, out = functions.packed(functions.draw(functions.wide, 5)), Framed(None, (0, 0), dtype=functions.dtype)
    index, base = functions.numbers.data_ptr(), Framed(functions.draw(1, 5))
    functions.product(out.address, 1, fresh, 0, index, base.address, 5, 5, panel.address, 1, 0, 0)
    assert out.untouched()


def test_what_is_not_a_number_reaches_its_own_row_and_unit_only(functions):
    rows, length, wide = 17, 33, functions.wide
    base, weights = functions.draw(rows, length), functions.draw(wide, length)
    base[4, 7], weights[wide - 1, 3] = torch.inf, torch.nan
    out, held = Framed(None, (rows, wide), dtype=functions.dtype), Framed(base)
    index, panel = functions.numbers.data_ptr(), functions.packed(weights)
    functions.product(out.address, wide, 1, rows, index, held.address, length, length, panel.address, 1, 0, 0)
    strange = torch.zeros(rows, wide, dtype=torch.bool)
    strange[4], strange[:, wide - 1] = True, True
    assert torch.equal(out.values.isfinite(), ~strange)


def test_an_infinite_number_makes_products_infinite_of_the_sign_that_they_have(functions):
    """On either side, and nothing that is no number: whatever becomes of it then, as a sigmoid 0 or 1, is right."""
    torch.manual_seed(0)
    rows, length, wide = 17, 33, functions.wide
    largest = torch.finfo(functions.dtype).max
    base, weights = functions.draw(rows, length), functions.draw(wide, length)
    base[4, 7], base[5, 7], weights[wide - 1, 3], weights[0, 32] = torch.inf, -torch.inf, -torch.inf, torch.inf
    base[6, 2], weights[:, 2] = largest, weights[:, 2] / 16
    weights[1, 7] = 0.5  # one part alone, and two of nothing
    out, held = Framed(None, (rows, wide), dtype=functions.dtype), Framed(base)
    index, panel = functions.numbers.data_ptr(), functions.packed(weights)
    functions.product(out.address, wide, 1, rows, index, held.address, length, length, panel.address, 1, 0, 0)
    expected = base.double() @ weights.double().T
    strange = ~expected.isfinite()
    assert torch.equal(out.values[strange].double().nan_to_num(7.0), expected[strange].nan_to_num(7.0))
    assert ((out.values[6].double() / expected[6] - 1)[~strange[6]].abs() < 0.01).all()


# Matrices as panels --------------------------------------------------------------------------------------------------


def test_a_matrix_as_panels(functions):
    """To the bit, zero past the last unit, whichever of unit and k lie side by side, and whatever threads do it."""

    @FEW
    @given(SIZE, SIZE, st.sampled_from(["by k", "by unit", "neither"]), st.integers(1, 4), st.integers(0, 5))
    def check(units, length, lie, threads, more):
        torch.manual_seed(0)
        matrix = functions.draw(units, length)
        if lie == "by k":
            source = Framed(matrix, apart=length + more)
            steps = (source.apart, 1)
        elif lie == "by unit":
            source = Framed(matrix.T, apart=units + more)
            steps = (1, source.apart)
        else:
            source = Framed(torch.stack([matrix, matrix.fill_diagonal_(7.0)], 2).flatten(1))
            matrix = source.values[:, 1::2]
            steps = (2 * length, 2)
        address = source.address + (lie == "neither") * source.bits.element_size()
        expected = functions.packed(matrix)
        found = Framed(None, expected.values.shape, dtype=functions.dtype)
        row, task = job(*functions.words(found.address, address, *steps, units, length, 1))
        for thread in torch.randperm(threads).tolist():
            functions.pack(task, thread, threads)
        assert torch.equal(found.bits, expected.bits)
        assert tuple(row) == functions.words(found.address, address, *steps, units, length, 1)

    check()


def test_panels_of_several_matrices_by_turns(functions):
    """The first two vectors of units of each, then the next two of each."""
    torch.manual_seed(0)
    units, length = 2 * functions.wide + 1, 5
    matrices = [functions.draw(units, length) for _ in range(3)]
    single = [functions.packed(matrix).values.view(-1, functions.panel_size(length)) for matrix in matrices]
    found = Framed(None, (1, 3 * single[0].numel()), dtype=functions.dtype)
    for place, matrix in enumerate(matrices):
        address = found.address + place * single[0].shape[1] * matrix.element_size()
        _row, task = job(*functions.words(address, matrix.data_ptr(), length, 1, units, length, 3))
        functions.pack(task, 0, 1)
    assert torch.equal(found.values.view(-1, 3, single[0].shape[1]), torch.stack(single, 1))


@pytest.mark.parametrize("lie", ["by k", "by unit"])
def test_what_was_packed_before_is_packed_again_where_a_bit_is_another(functions, lie):
    """Each thread keeps a digest of its share, and looks at nothing else."""

    @FEW
    @given(SIZE, SIZE, st.integers(1, 3), st.data())
    def check(units, length, threads, data):
        torch.manual_seed(0)
        matrix = functions.draw(units, length)
        source = Framed(matrix if lie == "by k" else matrix.T, apart=max(units, length) + 2)
        steps = (source.apart, 1) if lie == "by k" else (1, source.apart)
        kept = torch.zeros(threads, dtype=torch.int64)

        def pack():
            """The panels, where there were none."""
            found = Framed(None, functions.packed(matrix).values.shape, dtype=functions.dtype)
            words = functions.words(found.address, source.address, *steps, units, length, 1)
            row, task = job(*words, kept.data_ptr(), ctypes.cast(functions.pack, POINTER).value)
            for thread in range(threads):
                functions.repack(task, thread, threads)
            assert len(row) == PACK_WORDS
            return found

        assert torch.equal(pack().bits, functions.packed(matrix).bits)
        digests = kept.clone()
        assert pack().untouched()
        unit, k = data.draw(st.integers(0, units - 1)), data.draw(st.integers(0, length - 1))
        bit = data.draw(st.integers(0, 8 * source.bits.element_size() - 1))
        place = MARGIN + unit * steps[0] + k * steps[1]
        source.bits[~source.inside] = 0
        assert pack().untouched()
        source.bits[place] ^= torch.tensor(1, dtype=source.bits.dtype) << bit
        found = pack()
        groups = -(-units // functions.wide)
        own = next(t for t in range(threads) if unit // functions.wide < groups * (t + 1) // threads)
        assert [t for t in range(threads) if kept[t] != digests[t]] == [own]
        assert not found.untouched()
        source.bits[place] ^= torch.tensor(1, dtype=source.bits.dtype) << bit
        pack()
        assert torch.equal(kept, digests)

    check()


# The gradient of a matrix --------------------------------------------------------------------------------------------


def test_the_gradients_of_matrices(functions):
    """Over several sources, whose rows follow one another or are named; each number is written, whatever was there."""

    @FEW
    @given(st.data())
    def check(data):
        torch.manual_seed(0)
        draw = data.draw
        units = draw(SIZE | st.just(257))
        lefts = draw(st.integers(1, 3))
        first = draw(st.integers(0, units - 1))
        end = draw(st.integers(first + 1, min(units, first + ROWS // lefts)))
        widths = draw(st.lists(SIZE, min_size=1, max_size=3))
        held, words, found, pairs = [], [*widths], {}, {}
        for one, (other, columns) in itertools.product(range(lefts), enumerate(widths)):
            if draw(st.integers(0, 3)) == 0:
                words += [0, 0]  # There is no such matrix.
                continue
            apart = columns + draw(st.sampled_from([0, 1, 9]))
            found[one, other] = Framed(None, (end - first, columns), apart, functions.dtype)
            pairs[one, other] = []
            # The job names the whole matrix, of which this task has some rows.
            words += [found[one, other].address - first * apart * functions.dtype.itemsize, apart]
        sources = draw(st.integers(1, 3))
        for _ in range(sources):
            count = functions.lengths[draw(st.integers(0, 8))]

            def side(width, count=count):
                framed = Framed(functions.draw(count, width), apart=width + draw(st.integers(0, 2)))
                named = torch.randint(0, count, (count,)) if draw(st.booleans()) else None
                held.extend([framed, named])
                words.extend([framed.address, framed.apart, 0 if named is None else named.data_ptr()])
                return framed.values if named is None else framed.values[named]

            words.append(count)
            turned = [side(units)[:, first:end].T for _ in range(lefts)]
            rows = [side(columns) for columns in widths]
            for (one, other), own in pairs.items():
                own.append((turned[one], rows[other]))
        row, task = job(functions.numbers.data_ptr(), lefts, len(widths), sources, *words)
        size = gradient_workspace(functions.target, double=functions.double, rows=end - first, lefts=lefts)
        space = Framed(None, (1, size), dtype=functions.dtype)
        functions.gradient(task, first, end, space.address)
        for place, matrix in found.items():
            assert functions.close(matrix.values, pairs[place])
            assert matrix.whole()
        assert space.whole()
        assert list(row)[4:] == words

    check()


# Rows times panels ---------------------------------------------------------------------------------------------------


def test_rows_times_panels(functions):
    """As the gradient of an input: the sum over several matrices, of rows that begin anywhere and may go elsewhere."""

    @FEW
    @given(st.data())
    def check(data):
        torch.manual_seed(0)
        draw = data.draw
        total, columns = draw(SIZE), draw(SIZE)
        first = draw(st.integers(0, total - 1))
        end = draw(st.integers(first + 1, min(total, first + 48)))
        apart = columns + draw(st.sampled_from([0, 1, 9]))
        terms, words = [], []
        for _ in range(draw(st.integers(1, 3))):
            length = functions.lengths[draw(st.integers(0, 8))]
            rows = Framed(functions.draw(total, length), apart=length + draw(st.integers(0, 2)))
            weights = functions.draw(columns, length)
            panels = functions.packed(weights)
            terms.append((rows, weights, panels))
            words += [rows.address, rows.apart, length, panels.address]
        places = torch.randperm(total)
        named, adds = draw(st.booleans()), draw(st.booleans())
        found = Framed(None, (total, columns), apart, functions.dtype)
        own = places[first:end] if named else torch.arange(first, end)
        before = functions.draw(len(own), columns)
        if adds:
            found.values[own] = before
        numbers = places.data_ptr() if named else 0
        row, task = job(found.address, apart, columns, functions.numbers.data_ptr(), len(terms), numbers, adds, *words)
        lengths, parts = [rows.values.shape[1] for rows, *_ in terms], hasattr(functions, "product_parts")
        size = rows_workspace(end - first, lengths, wide=functions.wide, parts=parts)
        space = Framed(None, (1, size), dtype=functions.dtype)
        functions.rows_product(task, first, end, space.address)
        pairs = [(a.values[first:end], w.T) for a, w, _ in terms]
        assert functions.close(found.values[own], pairs, before if adds else 0.0)
        found.values[own] = Framed(None, (len(own), columns), dtype=functions.dtype).values
        assert found.untouched(), "rows of others were written"
        assert space.whole()
        assert list(row)[7:] == words

    check()


# Written for others --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("registers", range(5, 65))
def test_a_tile_fits_the_registers_and_no_larger_one_does_unless_it_has_many_rows(registers):
    """Two sums a row, and beside them two vectors of weights and a number in every lane."""
    rows = tile_rows(registers)
    assert 1 <= rows <= tiles.MANY
    assert 2 * rows + 3 <= registers
    assert rows == tiles.MANY or registers < 2 * (rows + 1) + 3


@pytest.mark.parametrize("name", TARGETS)
def test_a_cache_holds_what_is_worked_on_the_nearest_where_it_is_read_fast(name):
    target = TARGETS[name]
    near = tiles.NEAREST_CACHE if target.registers == 16 else tiles.SECOND_CACHE
    assert 2 * target.vector_bytes * block_length(target) == near


DOUBLE = {
    "neon": (False,),
    "wasm": (True,),
    "avx512": (False,),
    "amx": (False, True),
    "avx2": (False, True),
    "sse2": (True,),
    "riscv": (True,),
}
"""Every target in one dtype at least, and both dtypes of those that share most; compiling takes its time."""


@pytest.mark.parametrize(("name", "double"), [(name, double) for name in DOUBLE for double in DOUBLE[name]])
def test_code_for_every_kind_of_processor(name, double):
    whole, *numbers, repack = modules_for(TARGETS[name], double=double)
    assert repack == ("repack",)
    texts = {names: emit_products(TARGETS[name], names, double=double) for names in (whole, *numbers, repack)}
    assemblies = {names: assembly_of(text, TARGETS[name]) for names, text in texts.items()}
    # Nothing that must be found elsewhere is called, and what calls these needs no more than these.
    for names, assembly in assemblies.items():
        assert calls(assembly) <= functions_of(assembly)
        assert not re.search(r"\b(fmaf?|memcpy|memset|memmove)\b", assembly)
        assert set(seen_from_outside(texts[names])) == set(names)
    assembly = assemblies[numbers[0] if numbers else whole]
    # A tile multiplies whole vectors: for each k its own, nothing more, and nothing number by number.
    rows = tile_rows(TARGETS[name].registers)
    pattern = MULTIPLY_ADD[name][double]
    assert len(re.findall(pattern, body_of(assembly, f"tile_{rows}_1"))) == 2 * rows
    # The smallest has eight sums under way all the same, and a second loop for what is left of them.
    assert len(re.findall(pattern, body_of(assembly, "tile_1_1"))) == 8 + 2
    assert not re.search("tdpbf16ps|tileload", assembly)
    assert bool(numbers) == (name == "amx" and not double)
    if numbers:
        check_parts(assemblies[whole])
    if name == "avx2":
        check_loop(body_of(assembly, "tile_6_1"))


def check_parts(assembly):
    """Six products of parts for each 32 numbers of K, a tile of either side read again only for another part."""
    turns = r"^(\.LBB\w+):\n((?:(?!^\.LBB).*\n)*?)\s+j\w+\s+\1$"
    ((_, turn),) = re.findall(turns, body_of(assembly, "tile_of_parts"), re.MULTILINE)
    assert len(re.findall(r"\btdpbf16ps\s", turn)) == 6
    assert len(re.findall(r"\btileloadd\s", turn)) == 4 + 3


def check_loop(tile):
    """For each k twelve multiply-adds, of six numbers in every lane and two vectors of weights; nothing is spilled."""
    ((_, turn),) = re.findall(r"^(\.LBB\w+):\n((?:(?!^\.LBB).*\n)*?)\s+j\w+\s+\1$", tile, re.MULTILINE)
    assert len(re.findall(r"vfmadd", turn)) == 12
    assert len(re.findall(r"vbroadcasts[sd]\s+[-\d]*\(%r", turn)) == 6
    assert len(re.findall(r"vmovup[sd]\s+[-\d]*\(%r", turn)) == 2
    assert "(%rsp" not in turn
    assert not re.search(r"movq\s+%rsp, %r", tile), "the stack may be reached by another name"

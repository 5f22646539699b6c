"""Where everything is that a call of a loop needs: words, weights in panels, rings, and what is left to do after it.

All of it depends on sizes alone, so it is worked out once for each.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import torch

from recurra.backends.cpu import threads
from recurra.backends.cpu.arrangement import SMALL, Arrangement, Fix, Lengths
from recurra.backends.cpu.emit import home
from recurra.backends.cpu.gradients import ROWS, gradient_workspace
from recurra.backends.cpu.parts import HIGH, depth, multiplies_parts, parts_size
from recurra.backends.cpu.prepare import Block, Prepared, Which, matrix_function
from recurra.backends.cpu.products import rows_workspace
from recurra.backends.cpu.sharing import FEW_ROWS, Work, share, shares_each
from recurra.backends.cpu.sources import MatrixBlock, Source, sharing_sides
from recurra.backends.cpu.table import LINE, panels
from recurra.backends.cpu.target import host
from recurra.backends.layout import Layout

__all__ = ["arrange"]

CHUNK = 1 << 16
"""How many numbers the products with the input are, of as many steps at a time as make so many: what a cache holds."""

CHUNK_ROWS = (32, 128)
"""The fewest and the most rows they are computed for at a time: enough to use weights well once fetched; from parts,
which take more room than numbers and less time than it takes to fetch them, always the most."""

TASK_ROWS, PARTS_TASK_ROWS = 48, 64
"""For how many rows at a time the gradient of an input is computed, and from parts."""

ROUNDED = 16
"""Batches of different lengths are arranged for as many steps as a multiple of this, since few are alike."""


Word = tuple[int, str, int] | Literal["total", "numbers"] | int
"""A number, an address (whether it is within the call's own memory, of which array, how many bytes after it), or what
depends on lengths: how many steps count, and where it stands which rows of the caller's batch they are of."""


def arrange(
    prepared: Prepared, which: Which, layout: Layout, backwards: bool, most: int, wanted: tuple[bool, ...] = ()
) -> Arrangement:
    """Work out how a loop is called.

    Args:
        prepared: The cell at its sizes.
        which: The loop.
        layout: The rows and steps that count.
        backwards: Whether to go from the last step to the first.
        most: How many threads there are.
        wanted: For a backward loop which gradients are wanted, in the order of `Prepared.names`.
    """
    steps = -(-layout.steps // ROUNDED) * ROUNDED if layout.ragged else layout.steps
    return _arrange(prepared, which, steps, layout.batch, layout.ragged, backwards, most, wanted)


class _Sizes(NamedTuple):
    """What an arrangement depends on; of a batch of different lengths the most steps that there may be."""

    prepared: Prepared
    which: Which
    steps: int
    batch: int
    ragged: bool
    backwards: bool
    most: int
    wanted: tuple[bool, ...]


@lru_cache(maxsize=64)
def _arrange(*sizes: Any) -> Arrangement:  # noqa: ANN401
    return _Arranger(_Sizes(*sizes)).run()


class _Arranger:
    def __init__(self, sizes: _Sizes) -> None:
        prepared, self.which, self.steps, self.batch, self.ragged, self.backwards, self.most, self.wanted = sizes
        self.prepared, self.kernel = prepared, prepared.kernel(self.which)
        self.total = self.steps * self.batch  # at most, if ragged
        self.hidden, self.width, self.cell = prepared.hidden, prepared.width, prepared.cell
        self.size = 8 if prepared.double else 4
        self.can_split = multiplies_parts(host(), double=prepared.double)
        self.words: list[int] = [0] * len(self.kernel.slots)
        self.own: list[Fix] = []
        self.given: list[Fix] = []
        self.places: dict[str, int] = {}
        self.space = 0
        self.packs: list[list[Word]] = []
        self.lists: dict[str, int] = {}
        self.by_length: dict[str, list[int]] = {"total": [], "numbers": []}
        self.ends: list[tuple[int, int, int]] = []
        self.workspaces: list[int] = []
        self.task_rows = PARTS_TASK_ROWS if self.can_split else TASK_ROWS
        self.work = Work(
            host(),
            self.can_split,
            self.hidden,
            self.size,
            len(self.kernel.loop.stages),
            sum(map(len, self.kernel.panels.values())) * self.hidden,
            sum(self._length(block) for block in self.kernel.inputs.values()),
            self.which == "backward",
        )

    def run(self) -> Arrangement:
        """The arrangement."""
        self.cost = self.work.step(self.batch) * self.total / self.batch
        self.used, self.by_units = self._share()
        rows = self.batch if self.by_units else -(-self.batch // self.used)
        numbers = max(1, len(self.kernel.loop.products)) * self._padded(self.hidden)
        fewest, most = CHUNK_ROWS
        together = most if self.can_split else min(max(CHUNK // numbers, fewest), most)
        self.chunk = max(1, min(self.steps, together // rows))
        self.split = self.work.splits(rows)
        self.in_turn = self.ragged and not self.by_units and self._takes_turns()
        self.both = self.split and self.ragged  # since only then rows become few
        self.split_inputs = self.can_split and self.chunk * rows >= FEW_ROWS and bool(self.kernel.inputs)
        self._plain()
        self._lists()
        self._arrays()
        self._panels()
        jobs = self._tasks() if self.which == "backward" else []
        self._keep_packed()
        self._list("packs", self.packs)
        self._jobs(jobs)
        sync = len(self.words) * 8
        self._point("sync", len(self.words))
        self.words += [0] * ((3 + self.words[self.kernel.slots["shares"]]) * LINE)
        lines = self.used * self.chunk * (self.batch + 1)
        words, lengths = (ctypes.c_int64 * len(self.words))(*self.words), self._lengths()
        if not self.ragged:
            lengths.write(words, Layout.of(self.steps, self.batch, None))
        return Arrangement(
            self.kernel,
            self.used,
            bytes(words),
            (sync, len(self.words) * 8 if self.used > 1 or jobs else sync),
            self.space,
            self.places,
            lines,
            tuple(self.own),
            tuple(self.given),
            self._order(),
            lengths if self.ragged else None,
            self.kept,
            self.prepared.double,
            self.cost,
        )

    # -- threads ------------------------------------------------------------------------------------------------

    def _share(self) -> tuple[int, bool]:
        """How many threads are worth while, and whether they share out units rather than rows."""
        if self.most == 1 or self.cost < SMALL:
            return 1, False
        means = any(stage.means for stage in self.kernel.loop.stages)
        return share(self.work, self.batch, self.most, by_units=not means)

    def _takes_turns(self) -> bool:
        """Whether threads take rows of different lengths in turn, not some that follow one another.

        A tile of parts takes as long for few rows as for many: that all threads have as many steps would not do.
        """
        return self.split

    def _shares(self) -> int:
        """How many shares of the units there are."""
        groups = -(-self.width // (2 * self.prepared.lanes))
        return min(groups, shares_each(self.batch) * self.used) if self.by_units else 1

    # -- words --------------------------------------------------------------------------------------------------

    def _function(self, name: str) -> int:
        """The address of a product of matrices."""
        return matrix_function(name, self.prepared.double)

    def _set(self, name: str, value: int) -> None:
        self.words[self.kernel.slots[name]] = value

    def _point(self, name: str, word: int) -> None:
        """Have a word of the table tell where another word is."""
        self.own.append(Fix(self.kernel.slots[name], "words", 8 * word))

    def _plain(self) -> None:
        """The words that are the same at every call."""
        # The device is named, since the caller may have made another the default.
        self.kept = torch.arange(max(ROWS, self.batch) + 1, device="cpu")
        self.index = self.kept.data_ptr()
        for name, value in {
            "thread": threads.thread_number() if self.used > 1 else threads.SINGLE,
            "threads": self.used,
            "by_units": int(self.by_units),
            "shares": self._shares(),
            "yield": threads.let_others_run(),
            "product": self._function("product") if self.kernel.panels and (self.both or not self.split) else 0,
            "product.parts": self._function("product_parts") if self.split else 0,
            "split": self._function("split") if self.split else 0,
            "few": FEW_ROWS if self.both else 0,
            "depth": self._depth(self.hidden, self.split),
            "inputs.product": self._function(f"product{'_parts' * self.split_inputs}") if self.kernel.inputs else 0,
            "inputs.split": self._function("split") if self.split_inputs else 0,
            "pack": self._function("repack" if self.which == "forward" else "pack"),
            "index": self.index,
            "backwards": int(self.backwards),
            "chunk": self.chunk,
            "lines.size": self.chunk * self.batch,
            "rows": self.batch,
            "rows.apart": self.used if self.in_turn else 1,
            "hidden": self.hidden,
            "width": self.width,
            "padded": self._padded(self.hidden),
        }.items():
            self._set(name, value)
        self.own.append(Fix(self.kernel.slots["lines"], "lines", 0))
        self.own.append(Fix(self.kernel.slots["starts"], "lines", 8 * self.used * self.chunk * self.batch))

    def _lists(self) -> None:
        """Room for what is written for each layout of rows and steps."""
        for name, count in Lengths.room(self.steps, self.batch, self.used).items():
            self.lists[name] = self._words([self.batch] * count)
            self._point(name, self.lists[name])

    def _lengths(self) -> Lengths:
        """Where the words are that depend on it."""
        return Lengths(
            self.batch,
            1 if self.by_units else self.used,
            self.in_turn,
            {**self.lists, **{name: self.kernel.slots[name] for name in ("steps", "tasks.count")}},
            tuple(self.by_length["total"]),
            tuple(self.by_length["numbers"]),
            self.words[self.kernel.slots["tasks.count"]] - len(self.ends),
            tuple(self.ends),
        )

    def _room(self, name: str, numbers: int) -> None:
        """Set numbers aside, from a cache line's beginning on."""
        self.places[name] = self.space
        self.space += -(-numbers // 16) * 16

    def _arrays(self) -> None:
        """The arrays of the table: the call's own and the caller's."""
        loop, slots, rows = self.kernel.loop, self.kernel.slots, self.batch * self.width
        means = sum(len(stage.means) for stage in loop.stages)
        sizes = {f"ring.{name}": (lag + 1) * rows for name, lag in self.cell.states.items()}
        sizes |= {
            "scratch": len(loop.scratch) * rows,
            "means": means * self.batch,
            "vectors": len(self.prepared.vectors) * self._padded(self.hidden),
            "products": self.chunk * self.batch * self._padded(self.hidden) * len(loop.products),
        }
        parts = self._parts()
        self._set("parts.size", parts)
        sizes["parts"] = self.used * parts
        if self.which == "backward":
            sizes["gradients"] = self.total * self.prepared.plan.homes.count(-1) * self.width
            sizes |= dict.fromkeys(self._unwanted(), self.batch * self.hidden)
        for name, numbers in sizes.items():
            if numbers:
                self._room(name, numbers)
                self.own.append(Fix(slots[name], name, 0))
        words = [name for name in self._order() if name in slots and not name.startswith("operand.")]
        self.given += [Fix(slots[name], name, 0) for name in words]
        for place in loop.products:
            block = self.kernel.inputs[f"input.{place}"]
            self.given.append(Fix(slots[f"operand.{place}"], f"operand.{self._group(place)}", 0))
            self._set(f"length.{place}", self._length(block))
            self._set(f"depth.{place}", self._depth(self._length(block), self.split_inputs))

    def _order(self) -> tuple[str, ...]:
        """The caller's arrays, in the order in which their addresses are told."""
        names, after = self.prepared.names, self.prepared.after
        noise = [f"noise.{name}" for name in self.cell.noise]
        if self.which != "backward":
            return (*names, *noise, "output", *after, *["saved"][: self.which == "training"])
        vectors = {f"parameter.{name}" for name in self.prepared.vectors}
        asked = [name for name, wanted in zip(names, self.wanted, strict=True) if wanted and name not in vectors]
        states = dict(zip(names[len(names) - len(after) :], after, strict=True))
        results = [states.get(name, f"gradient.{name}") for name in asked]
        return (*names, *noise, "received", "saved", "sums", *results)

    def _unwanted(self) -> list[str]:
        """Gradients of states at first that nobody wants, but which the loop writes."""
        wanted = self.wanted[len(self.wanted) - len(self.prepared.carried) :]
        return [name for name, asked in zip(self.prepared.after, wanted, strict=True) if not asked]

    def _depth(self, length: int, split: bool) -> int:
        """How many numbers each unit of a panel has."""
        return depth(length) if split else length

    def _parts(self) -> int:
        """How many numbers a thread takes for the parts of rows."""
        found = [0]
        if self.split:
            for stage in self.kernel.loop.stages:
                sums = [total for place in stage.sums if (total := self.kernel.loop.operations[place].sum)]
                operands = {term.operand for total in sums for term in total.terms}
                found.append(len(operands) * parts_size(self.batch, self.hidden))
        if self.split_inputs:
            groups = {self._group(place) for place in self.kernel.loop.products}
            lengths = [self._length(self.prepared.outside[group].blocks[0]) for group in groups]
            found.append(sum(parts_size(self.chunk * self.batch, length) for length in lengths))
        return max(found)

    def _group(self, product: int) -> int:
        """Which of the operands before the loop a product reads."""
        return next(k for k, group in enumerate(self.prepared.outside) if product in group.places)

    # -- weights ------------------------------------------------------------------------------------------------

    def _length(self, block: Block) -> int:
        """How many elements an operand of a block has."""
        return self.hidden if block.transposed else block.stop - block.start

    def _padded(self, units: int) -> int:
        """Units, up to a whole number of panels."""
        wide = 2 * self.prepared.lanes
        return -(-units // wide) * wide

    def _columns(self, matrix: str) -> int:
        return sum(self.cell.parameters[matrix].column_sizes(self.prepared.input_size, self.hidden))

    def _pack(self, block: Block, to: Word, *, split: bool, turned: bool = False, apart: int = 1) -> None:
        """Have a block of a matrix packed, as it stands left of a vector, or turned."""
        columns, wide = self._columns(block.matrix), block.stop - block.start
        along = block.transposed != turned
        units, length = (wide, self.hidden) if along else (self.hidden, wide)
        steps = (1, columns) if along else (columns, 1)
        source = (0, f"parameter.{block.matrix}", block.start * self.size)
        self.packs.append([to, source, *steps, units, length, apart, int(split)])

    def _panels(self) -> None:
        """Every block of a matrix that the loop reads, and the vectors, which are matrices of one column.

        The panels of a stage that are read one after the other lie so as well.
        """
        padded, wide = self._padded(self.hidden), 2 * self.prepared.lanes
        for number, blocks in self.kernel.panels.items():
            name, size = panels(number), 0
            for split in (True, False) if self.both else (self.split,):
                deep = self._depth(self.hidden, split)
                for place, block in enumerate(blocks):
                    to = (1, name, (size + place * wide * deep) * self.size)
                    self._pack(block, to, split=split, apart=len(blocks))
                size += len(blocks) * padded * deep
            self._room(name, size)
            self.own.append(Fix(self.kernel.slots[name], name, 0))
        for name, block in self.kernel.inputs.items():
            self._room(name, padded * self._depth(self._length(block), self.split_inputs))
            self._pack(block, (1, name, 0), split=self.split_inputs)
            self.own.append(Fix(self.kernel.slots[name], name, 0))
        for place, name in enumerate(self.prepared.vectors):
            to = (1, "vectors", place * padded * self.size)
            self.packs.append([to, (0, f"parameter.{name}", 0), 1, 1, self.hidden, 1, 1, 0])

    def _keep_packed(self) -> None:
        """Without gradients weights are mostly the same as before: where panels stay in the call's memory, say so.

        Of each there is a digest for each thread, and none at first.
        """
        keeps = self.which == "forward"
        digests = self._words([0] * len(self.packs) * self.used) if keeps else 0
        for number, pack in enumerate(self.packs):
            own: list[Word] = [(1, "words", 8 * (digests + number * self.used)), self._function("pack")]
            pack += own if keeps else [0, 0]

    def _words(self, words: Sequence[Word]) -> int:
        """Words after the table."""
        first = len(self.words)
        for word in words:
            if isinstance(word, tuple):
                own, array, after = word
                (self.own if own else self.given).append(Fix(len(self.words), array, after))
                word = 0
            elif isinstance(word, str):
                self.by_length[word].append(len(self.words))
                word = 0
            self.words.append(word)
        return first

    def _list(self, name: str, rows: Sequence[Sequence[Word]]) -> list[int]:
        """Rows of words after the table; where each begins."""
        first = len(self.words)
        begins = [self._words(row) for row in rows]
        self._point(name, first)
        self._set(f"{name}.count", len(rows))
        return begins

    # -- after the last step --------------------------------------------------------------------------------------

    def _side(self, side: tuple[str, int]) -> tuple[Word, int, Word]:
        """Where rows begin, how far it is from row to row, and which of them they are: those of an operand, or kept."""
        kind, place = side
        if kind == "operand":
            length = self._length(self.prepared.outside[place].blocks[0])
            return (0, f"operand.{place}", 0), length, "numbers"
        plan = self.prepared.plan
        array, at = (kind, place) if kind == "saved" else home(plan.homes, place)
        count = len(plan.saved) if array == "saved" else plan.homes.count(-1)
        return (int(array != "saved"), array, at * self.width * self.size), count * self.width, 0

    def _gradient_job(self, blocks: dict[MatrixBlock, list[Source]]) -> tuple[int, list[Word]]:
        """How many sides the gradients of some blocks have on the left, and what is asked of `gradient`."""
        lefts, rights = (list(dict.fromkeys(sources[0][side] for sources in blocks.values())) for side in range(2))
        places = {(sources[0][0], sources[0][1]): block for block, sources in blocks.items()}
        sources = next(iter(blocks.values()))
        job: list[Word] = [self.index, len(lefts), len(rights), len(sources)]
        wide = {sources[0][1]: stop - start for (_, start, stop), sources in blocks.items()}
        job += [wide[right] for right in rights]
        for left, right in itertools.product(lefts, rights):
            if (left, right) in places:
                matrix, start, _ = places[left, right]
                job += [(0, f"gradient.parameter.{matrix}", start * self.size), self._columns(matrix)]
            else:
                job += [0, 0]
        for own in [(*lefts, *rights)] if len(sources) == 1 else sources:
            job.append("total")
            for side in own:
                job += self._side(side)
        return len(lefts), job

    def _tasks(self) -> list[tuple[str, list[Word], list[tuple[int, int]]]]:
        """The gradients of matrices and operands: (function, job, first and end row of each task)."""
        groups = self.prepared.outside
        operands, parameters = self.wanted[: len(groups)], self.wanted[len(groups) :]
        wanted = {name for name, asked in zip(self.cell.parameters, parameters, strict=False) if asked}
        found = []
        for blocks in sharing_sides(self.prepared, wanted):
            lefts, job = self._gradient_job(blocks)
            # As many rows as fit, but enough tasks for all threads; of whole tiles, but for the last.
            tiles = -(-self.hidden // HIGH)
            parts = max(-(-self.hidden * lefts // ROWS), min(self.hidden * lefts // self.task_rows, self.used))
            ends = [min(self.hidden, HIGH * (tiles * k // parts)) for k in range(parts + 1)]
            most = max(end - begin for begin, end in itertools.pairwise(ends))
            self.workspaces.append(gradient_workspace(host(), double=self.prepared.double, rows=most, lefts=lefts))
            found.append(("gradient", job, [(begin, end) for begin, end in itertools.pairwise(ends) if begin < end]))
        for number, (group, asked) in enumerate(zip(groups, operands, strict=False)):
            reached = [(p, b) for p, b in zip(group.gradients, group.blocks, strict=True) if p >= 0]
            if not asked or not reached:
                continue
            width = self._length(group.blocks[0])
            job = [(0, f"gradient.operand.{number}", 0), width, width, self.index, len(reached), "numbers", 0]
            lengths: list[int] = []
            for term, (place, block) in enumerate(reached):
                name = f"turned.{number}.{term}"
                across = block.stop - block.start if block.transposed else self.hidden
                self._room(name, self._padded(width) * self._depth(across, self.can_split))
                self._pack(block, (1, name, 0), split=self.can_split, turned=True)
                lengths.append(across)
                job += [*self._side(("gradient", place))[:2], across, (1, name, 0)]
            rows = range(0, self.total, self.task_rows)
            wide = 2 * self.prepared.lanes
            self.workspaces.append(rows_workspace(self.task_rows, lengths, wide=wide, parts=self.can_split))
            found.append(
                (
                    "rows_product",
                    job,
                    [(k, min(k + self.task_rows, self.total)) for k in rows],
                )
            )
        return found

    def _jobs(self, jobs: Sequence[tuple[str, list[Word], list[tuple[int, int]]]]) -> None:
        """The tasks; those of some of the packed rows come last in their order, so that fewer rows are fewer tasks."""
        tasks: list[list[Word]] = []
        by_rows: list[tuple[int, int, list[Word]]] = []
        for function, job, parts in jobs:
            first = self._words(job)
            for begin, end in parts:
                task: list[Word] = [self._function(function), (1, "words", 8 * first), begin, end]
                if function == "rows_product":
                    by_rows.append((begin, end, task))
                else:
                    tasks.append(task)
        if jobs:
            size = -(-max(self.workspaces) // 16) * 16
            self._room("workspace", self.used * size)
            self.own.append(Fix(self.kernel.slots["workspace"], "workspace", 0))
            self._set("workspace.size", size)
        by_rows.sort(key=lambda one: one[0])
        begins = self._list("tasks", [*tasks, *(task for _, _, task in by_rows)])
        self.ends = [(at + 3, begin, end) for at, (begin, end, _) in zip(begins[len(tasks) :], by_rows, strict=True)]

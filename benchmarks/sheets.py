"""The results as tables, for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from results import KINDS, RIVALS, Kind, Results, geometric_mean
from rich.table import Table
from rich.text import Text
from targets import SLACK, targets, times


@dataclass(frozen=True)
class Entry:
    """What stands in one place of a table, and whether it is good or bad news."""

    text: str
    good: bool | None = None


@dataclass
class Sheet:
    """A table: columns of words, then `words` fewer of figures; a row that is None is a gap."""

    title: str
    columns: Sequence[str]
    words: int
    note: str = ""
    rows: list[list[Entry] | None] = field(default_factory=list)

    def add(self, *entries: str | Entry) -> None:
        """Add a row."""
        self.rows.append([e if isinstance(e, Entry) else Entry(e) for e in entries])

    def gap(self) -> None:
        """Add a gap, unless there is nothing to part."""
        if self.rows and self.rows[-1] is not None:
            self.rows.append(None)

    def rich(self) -> Table:
        """For the terminal, but for the note."""
        table = Table(
            title=self.title, title_justify="left", title_style="bold",
            box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0),
        )  # fmt: skip
        for place, column in enumerate(self.columns):
            table.add_column(column, justify="left" if place < self.words else "right", overflow="fold")
        styles = {None: "", True: "green", False: "red"}
        for row in self.rows:
            table.add_row(*("" for _ in self.columns)) if row is None else table.add_row(
                *(Text(entry.text, style=styles[entry.good]) for entry in row)
            )
        return table

    def markdown(self) -> str:
        """For a document; bad news is bold."""
        rule = ["---" if place < self.words else "---:" for place in range(len(self.columns))]
        lines = [f"**{self.title}**", "", _line(self.columns), _line(rule)]
        lines += [_line([f"**{e.text}**" if e.good is False else e.text for e in row]) for row in self.rows if row]
        return "\n".join([*lines, *(["", self.note] if self.note else [])]) + "\n"


def _line(entries: Sequence[str]) -> str:
    return f"| {' | '.join(entries)} |"


def sheets(results: Results) -> tuple[list[Sheet], list[Sheet]]:
    """The long tables of all points, and the short ones; those that have something in them."""
    long = [_points(results, kind) for kind in KINDS]
    short = [_cells(results), _ragged(results), _stream(results), _memory(results), _first_use(results)]
    return [s for s in long if s.rows], [s for s in short if s.rows] + [_targets(results)]


def _rivals(results: Results, kind: Kind | None = None) -> list[str]:
    """The rivals that there are figures of."""
    there = {p.contender for p in results.points if kind in (None, p.kind)}
    return [rival for rival in RIVALS if rival in there]


def _ratio(ratio: float, more: str = "") -> Entry:
    """A ratio to a rival; bad if it is slower by more than a measurement's noise."""
    return Entry(times(ratio) + more, False if ratio < SLACK else None)


def _points(results: Results, kind: Kind) -> Sheet:
    rivals = _rivals(results, kind)
    note = "A rival: how many times recurra's time it takes, and the fraction of the peak that it reaches itself."
    columns = ["cell", "B", "H", "recurra ms", "GFLOP/s", "of peak", *rivals]
    sheet = Sheet(f"{kind.capitalize()}, every point", columns, 1, note)
    before = ""
    for (cell, batch, size), by in results.by_place(kind).items():
        if "recurra" not in by:
            continue
        if cell != before:
            sheet.gap()
        before, own = cell, by["recurra"]
        against = [
            _ratio(by[rival].seconds / own.seconds, f" {by[rival].of_peak:4.0%}") if rival in by else Entry("")
            for rival in rivals
        ]
        figures = (f"{own.seconds * 1e3:.2f}", f"{own.gflops:.0f}", f"{own.of_peak:.0%}")
        sheet.add(cell, str(batch), str(size), *figures, *against)
    return sheet


def _cells(results: Results) -> Sheet:
    rivals = _rivals(results)
    note = "Geometric mean (least) over the points; of the peak over those with B ≥ 32 and H ≥ 128."
    sheet = Sheet("Cell by cell", ["pass", "cell", "of peak", *rivals], 2, note)
    for kind in KINDS:
        sheet.gap()
        places = results.by_place(kind)
        for cell in dict.fromkeys(place[0] for place in places):
            fractions = [
                by["recurra"].of_peak
                for (own, batch, size), by in places.items()
                if own == cell and batch >= 32 and size >= 128 and "recurra" in by
            ]
            of_peak = f"{geometric_mean(fractions):.0%} ({min(fractions):.0%})" if fractions else ""
            against = []
            for rival in rivals:
                ratios = results.ratios(kind, rival, [cell]).values()
                least = f" ({times(min(ratios))})" if ratios else ""
                against.append(_ratio(geometric_mean(ratios), least) if ratios else Entry(""))
            sheet.add(kind, cell, of_peak, *against)
    return sheet


def _ragged(results: Results) -> Sheet:
    note = (
        "Lengths spread evenly from T/4 to T. Dense: the same batch without lengths. "
        "Torch's time includes packing and unpacking."
    )
    columns = ["pass", "cell", "B", "H", "steps that count", "ms", "of its dense time", "torch packed ms", "ratio"]
    sheet = Sheet("Ragged batches", columns, 2, note)
    rivals = {(r.kind, r.cell, r.batch, r.size): r for r in results.ragged if r.contender == "torch.nn"}
    for r in results.ragged:
        if r.contender == "recurra":
            share, rival = r.seconds / r.dense, rivals[r.kind, r.cell, r.batch, r.size]
            spent = Entry(f"{share:.0%}", False if share > 1.15 * r.counted else None)
            own = (f"{r.counted:.0%}", f"{r.seconds * 1e3:.2f}", spent)
            ratio = _ratio(rival.seconds / r.seconds)
            sheet.add(r.kind, r.cell, str(r.batch), str(r.size), *own, f"{rival.seconds * 1e3:.2f}", ratio)
    return sheet


def _stream(results: Results) -> Sheet:
    note = "The median of one call from Python; beside it a step of torch.nn's LSTMCell or GRUCell without gradients."
    sheet = Sheet("One step of a stream, B 1", ["cell", "H", "recurra µs", "torch.nn µs"], 1, note)
    by: dict[tuple[str, int], dict[str, float]] = {}
    for step in results.stream:
        by.setdefault((step.cell, step.size), {})[step.contender] = step.microseconds
    for (cell, size), found in by.items():
        both = [found.get(who) for who in ("recurra", "torch.nn")]
        sheet.add(cell, str(size), *("" if taken is None else f"{taken:.1f}" for taken in both))
    return sheet


def _memory(results: Results) -> Sheet:
    note = "How far resident memory rises in training over what the layer and its inputs hold, in a process of its own."
    sheet = Sheet("Memory", ["cell", "B", "H", "T", "recurra MiB", "torch.nn MiB", "ratio"], 1, note)
    by: dict[tuple[str, int, int, int], dict[str, float]] = {}
    for m in results.memory:
        by.setdefault((m.cell, m.batch, m.size, m.steps), {})[m.contender] = m.mebibytes
    for (cell, *shape), found in by.items():
        if len(found) == 2:
            own, other = found["recurra"], found["torch.nn"]
            ratio = Entry(times(own / other), own <= other and None)
            sheet.add(cell, *map(str, shape), f"{own:.0f}", f"{other:.0f}", ratio)
    return sheet


def _first_use(results: Results) -> Sheet:
    note = "The first forward and backward of a process less the second."
    sheet = Sheet("First use", ["cell", "cache", "recurra ms", "torch.nn ms"], 2, note)
    found = {(f.cell, f.cache, f.contender): f.seconds * 1e3 for f in results.first_use}
    for cell, cache in dict.fromkeys((f.cell, f.cache) for f in results.first_use):
        both = [found.get((cell, cache, who)) for who in ("recurra", "torch.nn")]
        sheet.add(cell, cache, *("" if taken is None else f"{taken:.0f}" for taken in both))
    return sheet


def _targets(results: Results) -> Sheet:
    note = (
        "Of several figures: their geometric mean, the least of them, and where that is (BxH); how many reach it. "
        "Limit: the same for a program that does every multiply-add at the peak, the matrix unit's if there is one, or "
        "reads every weight before a state at each step as fast as it can be read, whichever takes longer, and takes "
        "no time for anything else."
    )
    sheet = Sheet("Targets", ["what", "target", "measured", "met", "limit"], 5, note)
    for target in targets(results):
        met = Entry({True: "yes", False: "no", None: "–"}[target.met], target.met)
        sheet.add(target.what, target.target, target.measured, met, target.limit)
    return sheet

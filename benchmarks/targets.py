"""What the library means to reach, and whether it did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from results import Kind, Place, Results, geometric_mean

SLACK = 1 / 1.05
"""Never slower by more than 5%."""


@dataclass(frozen=True)
class Target:
    """One line of the summary; `met` is None where nothing was measured.

    `limit` is what a program would reach that wastes no time at all: every operation at the peak, every weight as fast
    as it can be read, gates for nothing.
    """

    what: str
    target: str
    measured: str
    met: bool | None
    limit: str = ""


def targets(results: Results) -> list[Target]:
    """All targets, on the points that were measured."""
    found = [
        _faster(results, "forward", "torch.nn", ["lstm"], 1.2, SLACK),
        _faster(results, "training", "torch.nn", ["lstm"], 1.8, 1.0),
    ]
    for cell in ("gru-reset-after", "rnn"):
        found += [_faster(results, kind, "torch.nn", [cell], 5.0, 1.5) for kind in ("forward", "training")]
    for cell in ("gru", "simplified-gru", "peephole-lstm", "own"):
        found.append(_faster(results, "training", "eager loop", [cell], 25.0, None))
    found.append(_faster(results, "forward", "onnxruntime", None, 1.2, SLACK))
    found += [_of_peak(results, "forward", 0.75), _of_peak(results, "training", 0.65)]
    return [*found, *_ragged(results), *_stream(results), _memory(results), *_first_use(results)]


def times(ratio: float) -> str:
    """A ratio with three digits."""
    return f"{ratio:.2f}x" if ratio < 10 else f"{ratio:.1f}x" if ratio < 100 else f"{ratio:.0f}x"


def _where(values: Mapping[Place, float]) -> str:
    """The point of the least value as BxH, with its cell if there are several."""
    cell, batch, size = min(values, key=lambda place: values[place])
    several = len({place[0] for place in values}) > 1
    return (f"{cell}, " if several else "") + f"{batch}x{size}"


def _span(ratios: Sequence[float]) -> str:
    """The least and the greatest."""
    least, greatest = times(min(ratios)), times(max(ratios))
    return least if least == greatest else f"{least} to {greatest}"


def _faster(
    results: Results, kind: Kind, rival: str, cells: list[str] | None, mean: float, least: float | None
) -> Target:
    """The geometric mean of the ratios to a rival, and the least of them."""
    what = f"{rival}, {', '.join(cells) if cells else 'all its cells'}, {kind}"
    asked = f"≥ {mean:g}x" + (f", least ≥ {least:.2f}x" if least else "")
    ratios = results.ratios(kind, rival, cells)
    if not ratios:
        return Target(what, asked, "not measured", None)
    average, worst = geometric_mean(ratios.values()), min(ratios.values())
    measured = f"{times(average)}, least {times(worst)} ({_where(ratios)})"
    met = average >= mean and (least is None or worst >= least)
    return Target(what, asked, measured, met, _limit(results, kind, rival, ratios))


def _limit(results: Results, kind: Kind, rival: str, places: Iterable[Place]) -> str:
    """The same ratios, had this library taken the least time there is."""
    by_place = results.by_place(kind)
    points = [by_place[place][rival] for place in places]
    if not all(point.least for point in points):
        return ""
    ratios = [point.seconds / point.least for point in points]
    return f"{times(geometric_mean(ratios))}, least {times(min(ratios))}"


def _of_peak(results: Results, kind: Kind, asked: float) -> Target:
    """The fraction of the peak, where the products are large enough to fill the processor."""
    what, target = f"of the peak, {kind}, B≥32, H≥128", f"least ≥ {asked:.0%}"
    found = {
        place: by["recurra"].of_peak
        for place, by in results.by_place(kind).items()
        if place[1] >= 32 and place[2] >= 128 and "recurra" in by
    }
    if not found:
        return Target(what, target, "not measured", None)
    reached = sum(value >= asked for value in found.values())
    measured = (
        f"{geometric_mean(found.values()):.0%}, least {min(found.values()):.0%} ({_where(found)}); "
        f"{reached} of {len(found)}"
    )
    return Target(what, target, measured, reached == len(found))


def _ragged(results: Results) -> list[Target]:
    """Time against the steps that count, and against torch's packed LSTM."""
    asked = (("ragged, of dense × steps that count", "≤ 1.15x"), ("torch.nn, lstm, packed sequences", "≥ 3x"))
    own = [r for r in results.ragged if r.contender == "recurra"]
    rivals = {(r.kind, r.cell, r.batch, r.size): r.seconds for r in results.ragged if r.contender == "torch.nn"}
    if not own:
        return [Target(*target, "not measured", None) for target in asked]
    shares = [r.seconds / (r.dense * r.counted) for r in own]
    ratios = [rivals[r.kind, r.cell, r.batch, r.size] / r.seconds for r in own if r.cell == "lstm"]
    return [
        Target(*asked[0], _span(shares), max(shares) <= 1.15),
        Target(*asked[1], _span(ratios), min(ratios) >= 3),
    ]


def _stream(results: Results) -> list[Target]:
    """One step from Python."""
    found = []
    for cell in ("lstm", "gru"):
        what, target = f"one streaming step, {cell}, B 1, H 128", "≤ 8 µs"
        own = [s.microseconds for s in results.stream if (s.cell, s.contender) == (cell, "recurra")]
        met = own[0] <= 8 if own else None
        found.append(Target(what, target, f"{own[0]:.1f} µs" if own else "not measured", met))
    return found


def _memory(results: Results) -> Target:
    """Memory beside torch.nn.LSTM's."""
    what, target = "memory, of torch.nn.LSTM's", "≤ 1.00x"
    by: dict[str, dict[tuple[int, int, int], float]] = {}
    for m in results.memory:
        by.setdefault(m.contender, {})[m.batch, m.size, m.steps] = m.mebibytes
    if not by:
        return Target(what, target, "not measured", None)
    ratios = [mebibytes / by["torch.nn"][shape] for shape, mebibytes in by["recurra"].items()]
    return Target(what, target, _span(ratios), max(ratios) <= 1)


def _first_use(results: Results) -> list[Target]:
    """What a process pays once."""
    found = []
    asked = (("empty", "first use of a layer", 0.5), ("filled", "first use in a later process", 0.02))
    for cache, what, limit in asked:
        own = [f.seconds for f in results.first_use if (f.contender, f.cache) == ("recurra", cache)]
        measured = f"{own[0] * 1e3:.0f} ms" if own else "not measured"
        found.append(Target(what, f"≤ {limit * 1e3:.0f} ms", measured, own[0] <= limit if own else None))
    return found

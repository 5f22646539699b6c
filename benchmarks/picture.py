"""The results as a picture: a panel a cell and kind of pass, the fraction of the peak by hidden size."""

from __future__ import annotations

from pathlib import Path

from results import KINDS, RIVALS, Results

COLOURS = {
    "recurra": "#7b1fa2",
    "torch.nn": "#ef6c00",
    "onnxruntime": "#00897b",
    "torch.compile": "#1565c0",
    "eager loop": "#757575",
}


def plot(results: Results, file: Path) -> None:
    """Draw it: solid the batch nearest to 32, dotted the smallest."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    cells = list(dict.fromkeys(p.cell for p in results.points))
    batches = sorted({p.batch for p in results.points})
    lines = {min(batches): ":", min(batches, key=lambda batch: abs(batch - 32)): "-"}
    there = [who for who in ("recurra", *RIVALS) if any(p.contender == who for p in results.points)]
    figure, panels = plt.subplots(
        len(KINDS), len(cells), figsize=(2.1 * len(cells) + 0.8, 5.6), sharex=True, sharey=True, squeeze=False
    )
    for row, kind in zip(panels, KINDS, strict=True):
        for axes, cell in zip(row, cells, strict=True):
            for who in reversed(there):
                for batch, style in lines.items():
                    wanted = (kind, cell, who, batch)
                    own = [p for p in results.points if (p.kind, p.cell, p.contender, p.batch) == wanted]
                    points = sorted((p.size, 100 * p.of_peak) for p in own)
                    if points:
                        width = 2.2 if who == "recurra" else 1.4
                        look = {"color": COLOURS[who], "lw": width, "marker": "o", "ms": width + 1.2}
                        axes.plot(*zip(*points, strict=True), style, **look)
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(axis="y", alpha=0.25)
            if kind == KINDS[0]:
                axes.set_title(cell, fontsize=10)
        row[0].set_ylabel(f"{kind}, % of peak")
    sizes = sorted({p.size for p in results.points})
    first = panels[0][0]
    first.set_xscale("log", base=2)
    first.set_xticks(sizes, map(str, sizes))
    first.set_xlim(min(sizes) / 1.3, max(sizes) * 1.3)
    first.set_ylim(0, 100)
    entries = [Line2D([], [], color=COLOURS[who], lw=2, label=who) for who in there]
    entries += [Line2D([], [], color="black", ls=style, label=f"B {batch}") for batch, style in lines.items()]
    figure.legend(handles=entries, loc="upper center", ncols=len(entries), frameon=False, fontsize=9)
    figure.supxlabel("hidden size H, which is also the input's", fontsize=10)
    figure.tight_layout(rect=(0, 0, 1, 0.95))
    figure.savefig(file, dpi=120)
    plt.close(figure)

"""How the gradient fades back from the loss, in words and tables."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from torch.nn.utils.rnn import pad_sequence

from recurra.cli.language import unit_name
from recurra.cli.waiting import Waiting
from recurra.data import IGNORED, TokenBatch, sentences
from recurra.errors import SettingError
from recurra.inspection import GradientFlow, LayerFlow, gradient_flow
from recurra.tasks.language_model_run import LanguageModelRun

__all__ = ["measure_flow", "print_flow"]

LABEL = 16
"""Width of the column of names."""

TEXTS = 16
"""How many texts the gradient is measured on, at most."""

SMALLEST_SHARE, LARGEST_SHARE = 0.0001, 100.0
"""Between these a part of the first norm can be read as a percentage."""

DISTANCES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""The steps back that the table of norms shows."""


def measure_flow(model: LanguageModelRun, text: str | None, steps: int) -> tuple[GradientFlow, str]:
    """Measure how the gradient fades back from the loss of a run's model.

    Args:
        model: The run.
        text: What the loss is of; None for texts that the model writes itself.
        steps: How far the gradient is followed back.

    Returns:
        What is left of it at every step, and what it was measured on, in words.

    Raises:
        SettingError: The text is too short.
    """
    batch, about = _batch(model, text, steps)
    with Waiting("following the gradient back"):
        return gradient_flow(model.model, batch), about


def _batch(model: LanguageModelRun, text: str | None, steps: int) -> tuple[TokenBatch, str]:
    """Texts side by side, at most so many steps long, and what they are in words."""
    vocabulary = model.vocabulary
    with Waiting("writing texts to measure on") as waiting:
        drawn = model.sample(steps, number=TEXTS, seed=0, watch=waiting.step) if text is None else [text]
    parts = [part for one in drawn for part in (sentences(one) if model.by_sentence else [one])]
    rows: list[list[int]] = []
    for part in parts:
        ids = vocabulary.encode(part)
        end = [vocabulary.end] if model.by_sentence and vocabulary.end is not None else []
        tokens = [*([] if model.start is None else [model.start]), *ids, *end]
        rows += [tokens[first : first + steps + 1] for first in range(0, len(tokens) - 1, steps)]
    # Those that are cut off short say little about what is far back.
    rows = sorted(rows, key=len, reverse=True)[:TEXTS]
    if not rows:
        raise SettingError("the text is too short to have a gradient; give one of at least two units")
    longest, unit = len(rows[0]) - 1, unit_name(model.vocabulary.level)
    number = "1 text" if len(rows) == 1 else f"{len(rows)} texts"
    about = f"{number} of up to {longest} {unit}s" + (" that the model wrote" if text is None else "")
    inputs = pad_sequence([torch.tensor(row[:-1]) for row in rows], batch_first=True)
    targets = pad_sequence([torch.tensor(row[1:]) for row in rows], batch_first=True, padding_value=IGNORED)
    return TokenBatch(inputs=inputs, targets=targets, lengths=torch.tensor([len(row) - 1 for row in rows])), about


def print_flow(flow: GradientFlow, about: str, console: Console) -> None:
    """Print the verdict on each layer, with its figures and what to try.

    Args:
        flow: What was measured.
        about: What it was measured on.
        console: Where to print.
    """
    console.print(f"the loss at the last step, followed back over {about}")
    for layer in flow.layers:
        console.print()
        console.print(_verdict(layer))
        for table in (_norms(layer, console.width - 2), _saturations(layer)):
            if not table.row_count:
                continue
            console.print()
            console.print(Padding(table, (0, 0, 0, 2), expand=False))
        for way in layer.advice:
            console.print(Padding(Text.assemble(("try: ", "bold"), way), (0, 0, 0, 2), expand=False))


def _verdict(layer: LayerFlow) -> Text:
    colour = {"healthy": "green", "vanishing": "yellow", "exploding": "red", "unmeasured": "dim"}[layer.verdict]
    name, _, figures = layer.words.partition(":")
    return Text.assemble(
        (f"layer {layer.layer}", "bold"),
        f" ({layer.cell.name or 'own cell'}): ",
        (name, f"bold {colour}"),
        ":",
        figures,
    )


def _norms(layer: LayerFlow, width: int) -> Table:
    """How much is left at some distances: of each state that has a gradient."""
    furthest = len(layer.profile) - 1
    places = [k for k in DISTANCES if k < furthest] + [furthest]
    places = places[: max(1, (width - LABEL) // 8)]
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 0, 0, 2))
    table.add_column("steps back", no_wrap=True)
    for k in places:
        table.add_column(str(k), justify="right", no_wrap=True, min_width=6)
    for name, norms in layer.norms.items():
        if norms:
            parts = [norms[k] / norms[0] for k in places if k < len(norms)]
            table.add_row(f"dL/d{name}", *_parts(parts), *["-"] * (len(places) - len(parts)))
    return table


def _parts(parts: Sequence[float]) -> list[str]:
    """Parts of a whole in one notation, so that they can be compared: as percentages, unless some are far too small.

    Example:
        >>> _parts([1.0, 0.25, 0.0007]), _parts([1.0, 0.25, 7e-9])
        (['100%', '25%', '0.07%'], ['1e+00', '2e-01', '7e-09'])
    """
    if all(part == 0 or SMALLEST_SHARE <= part < LARGEST_SHARE for part in parts):
        return [f"{part:.0%}" if part >= 0.01 or part == 0 else f"{part:.2%}" for part in parts]
    return [f"{part:.0e}" for part in parts]


def _saturations(layer: LayerFlow) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 0, 0, 2))
    table.add_column("saturated")
    table.add_column("low", justify="right")
    table.add_column("high", justify="right")
    for name, own in layer.saturation.items():
        table.add_row(Text(f"{name}[t]"), f"{own.low:.0%}", f"{own.high:.0%}")
    return table

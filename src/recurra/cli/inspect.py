"""`recurra inspect RUN`: what a language model does inside, over the tokens of a text or back from its loss."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from torch.nn.utils.rnn import pad_sequence

from recurra.cli.language import load_language_model, standard_input, unit_name
from recurra.data import IGNORED, Batch, sentences
from recurra.data.files import write_atomically
from recurra.errors import SettingError
from recurra.inspection import Activations, GradientFlow, LayerFlow, activations, check_picture, gradient_flow
from recurra.tasks.language_model_run import LanguageModelRun
from recurra.training.figures import SIGNS, printable

__all__ = ["inspect"]

ROWS = 200
"""The most tokens of a table; the file that --json writes has all."""

LABEL, CELL = 16, 6
"""Width of the column of tokens, and of a unit's."""

UNITS = 12
"""How many units are shown unless told."""

TEXTS = 16
"""How many texts the gradient is measured on, at most."""

DISTANCES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""The steps back that the table of norms shows."""


def inspect(
    run: Annotated[Path, typer.Argument(help="Folder of a language model's run.", metavar="RUN")],
    text: Annotated[
        str | None, typer.Option("--text", help="What the model reads; - reads standard input.", metavar="TEXT")
    ] = None,
    value: Annotated[
        str | None,
        typer.Option("--value", help="Which gate or state of the equations. [the gate that keeps]", metavar="NAME"),
    ] = None,
    layer: Annotated[int | None, typer.Option("--layer", help="Which layer, from 1. [1]", metavar="N")] = None,
    units: Annotated[
        int | None, typer.Option("--units", help="How many units to show, the most selective first. [12]", metavar="N")
    ] = None,
    gradients: Annotated[
        bool, typer.Option("--gradients", help="Show how the gradient fades back from the loss instead.")
    ] = False,
    steps: Annotated[
        int | None, typer.Option("--steps", help="How far back, with --gradients. [100]", metavar="N")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw the same as a picture: .png, .pdf or .svg.", metavar="FILE")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the same figures, of all tokens, as JSON.", metavar="FILE")
    ] = None,
) -> None:
    """Show the inside of a language model: a gate or state over the words of a text, or how its gradient fades."""
    _check(text, gradients, {"--value": value, "--layer": layer, "--units": units}, steps)
    if units is not None and units < 1:
        raise SettingError(f"units is {units}; it must be 1 or more")
    if plot is not None:
        check_picture(plot)
    model = load_language_model(run)
    text = standard_input() if text == "-" else text
    console = Console(highlight=False)
    if gradients:
        batch, about = _batch(model, text, 100 if steps is None else steps)
        flow = gradient_flow(model.model, batch)
        _print_flow(flow, about, console)
        _write(flow.to_json(), flow.plot if plot else None, plot, json_file)
        return
    assert text is not None
    found = _read(model, text, value, 1 if layer is None else layer)
    _print_activations(found, units, unit_name(model.vocabulary.level), console)
    _write(
        found.to_json(),
        (lambda path: found.plot(path, UNITS if units is None else units)) if plot else None,
        plot,
        json_file,
    )


def _check(text: str | None, gradients: bool, of_text: dict[str, object], steps: int | None) -> None:
    """Refuse options that have nothing to do with what is asked for."""
    if text is None and not gradients:
        raise SettingError('nothing is asked for; give --text "..." to see a gate or state, or --gradients')
    idle = [name for name, given in of_text.items() if given is not None] if gradients else []
    idle += ["--steps"] if steps is not None and not gradients else []
    if idle:
        raise SettingError(f"{idle[0]} says nothing {'with' if gradients else 'without'} --gradients; leave it out")
    if steps is not None and steps < 1:
        raise SettingError(f"steps is {steps}; it must be 1 or more")


def _write(content: dict[str, Any], draw: Any, plot: Path | None, json_file: Path | None) -> None:  # noqa: ANN401
    if plot is not None:
        draw(plot)
    if json_file is not None:
        write_atomically(json_file, json.dumps(content, ensure_ascii=False) + "\n")


# A value over the tokens ---------------------------------------------------------------------------------------------


def _read(model: LanguageModelRun, text: str, value: str | None, layer: int) -> Activations:
    vocabulary = model.vocabulary
    parts = sentences(text) if model.data.sentences else [text]
    ids = [vocabulary.encode(part) for part in parts]
    names = [
        [unit + "*" * (number == vocabulary.unknown) for unit, number in zip(vocabulary.split(part), own, strict=True)]
        for part, own in zip(parts, ids, strict=True)
    ]
    return activations(model.model, ids, names, value, layer, model.start)


def _print_activations(found: Activations, units: int | None, unit: str, console: Console) -> None:
    fit = max(1, (console.width - LABEL) // CELL)
    chosen = found.ranking()[: min(UNITS if units is None else units, fit)]
    console.print(_title(found))
    console.print(_table(found, chosen, unit, console))
    notes = []
    if units is not None and len(chosen) < min(units, len(found.ranking())):
        notes.append(f"{len(chosen)} of the {units} units asked for fit into this window")
    if len(found.tokens) > ROWS:
        notes.append(f"the first {ROWS} of {len(found.tokens):,} tokens; --json writes all of them")
    if any(token.endswith("*") and len(token) > 1 for token in found.tokens):
        notes.append("* not in the vocabulary: read as <UNK>")
    for note in notes:
        console.print(note, style="dim")


def _title(found: Activations) -> Text:
    low, high = found.ends
    span = f"from {low:g} to {high:g}" if (low, high) in {(0, 1), (-1, 1)} else f"up to {high:.3g} away from 0"
    return Text.assemble(
        (f"{found.value}[t]", "bold"),
        f" of layer {found.layer} ({found.cell.name or 'own cell'}), {span}; most selective first",
    )


def _table(found: Activations, chosen: Sequence[int], unit: str, console: Console) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=0, collapse_padding=True)
    table.add_column(unit, width=LABEL, no_wrap=True, overflow="ellipsis")
    for number in chosen:
        table.add_column(str(number), width=CELL, justify="right", no_wrap=True)
    values = found.values[:ROWS, chosen].tolist()
    for token, row in zip(found.tokens, values, strict=False):
        name = Text(printable(token.translate(SIGNS), console.encoding), no_wrap=True, overflow="ellipsis")
        table.add_row(name, *(_cell(value, found.ends) for value in row))
    table.add_section()
    for label, figures in (("selectivity", found.selectivity), ("persistence", found.persistence)):
        table.add_row(Text(label, style="dim"), *(Text(_figure(float(figures[n])), style="dim") for n in chosen))
    return table


def _figure(value: float) -> str:
    """A number in at most five characters, if it is not beyond all measure."""
    return f"{value:.2f}" if abs(value) < 99.995 else f"{value:.0f}" if abs(value) < 9999.5 else f"{value:.0e}"


def _cell(value: float, ends: tuple[float, float]) -> Text:
    """A number on a shade that says how large it is."""
    text = f"{_figure(value):>{CELL}}"
    if not -float("inf") < value < float("inf"):
        return Text(text, style="bold red")
    low, high = ends
    if low < 0:
        strength = min(abs(value) / high, 1.0)
        far = (190, 60, 50) if value > 0 else (50, 100, 190)
    else:
        strength, far = min(max((value - low) / (high - low), 0.0), 1.0), (250, 190, 90)
    shade = [round(dark + strength * (bright - dark)) for dark, bright in zip((24, 24, 32), far, strict=True)]
    # Red, green and blue count in the brightness as the eye weighs them.
    ink = "black" if shade[0] * 0.3 + shade[1] * 0.59 + shade[2] * 0.11 > 130 else "white"
    return Text(text, style=f"{ink} on rgb({shade[0]},{shade[1]},{shade[2]})")


# The gradient --------------------------------------------------------------------------------------------------------


def _batch(model: LanguageModelRun, text: str | None, steps: int) -> tuple[Batch, str]:
    """Texts side by side, at most so many steps long, and what they are in words."""
    vocabulary = model.vocabulary
    drawn = model.sample(steps, number=TEXTS, seed=0) if text is None else [text]
    parts = [part for one in drawn for part in (sentences(one) if model.data.sentences else [one])]
    rows: list[list[int]] = []
    for part in parts:
        ids = vocabulary.encode(part)
        end = [vocabulary.end] if model.data.sentences and vocabulary.end is not None else []
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
    return Batch(inputs, targets, torch.tensor([len(row) - 1 for row in rows]), fresh=True), about


def _print_flow(flow: GradientFlow, about: str, console: Console) -> None:
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
            parts = [norms[k] / norms[0] if k < len(norms) else None for k in places]
            table.add_row(f"dL/d{name}", *("-" if p is None else _part(p) for p in parts))
    return table


def _part(part: float) -> str:
    return f"{part:.0%}" if 0.01 <= part < 100 else f"{part:.0e}"


def _saturations(layer: LayerFlow) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 0, 0, 2))
    table.add_column("saturated")
    table.add_column("low", justify="right")
    table.add_column("high", justify="right")
    for name, own in layer.saturation.items():
        table.add_row(Text(f"{name}[t]"), f"{own.low:.0%}", f"{own.high:.0%}")
    return table

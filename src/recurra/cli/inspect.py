"""`recurra inspect RUN`: what a language model does inside, over the tokens of a text or back from its loss."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from recurra.cli.completion import run_folders
from recurra.cli.language import load_language_model, standard_input
from recurra.cli.outputs import check_outputs, write_outputs
from recurra.errors import SettingError

__all__ = ["inspect"]


def inspect(
    run: Annotated[
        Path, typer.Argument(help="Folder of a language model's run.", metavar="RUN", autocompletion=run_folders)
    ],
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
    check_outputs(plot, json_file)
    model = load_language_model(run)
    text = standard_input() if text == "-" else text
    console = Console(highlight=False)
    if gradients:
        from recurra.cli.inspect_gradients import measure_flow, print_flow

        flow, about = measure_flow(model, text, 100 if steps is None else steps)
        print_flow(flow, about, console)
        write_outputs(console, {plot: flow.plot, json_file: _as_json(flow.to_json())})
        return
    from recurra.cli.inspect_values import UNITS, print_activations

    assert text is not None
    found = model.inspect(text, value, 1 if layer is None else layer)
    print_activations(found, units, model.vocabulary.level, console)
    shown = UNITS if units is None else units
    write_outputs(console, {plot: lambda path: found.plot(path, shown), json_file: _as_json(found.to_json())})


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


def _as_json(content: dict[str, Any]) -> Callable[[Path], None]:
    """What writes it to a file."""
    from recurra.data.files import write_atomically

    return lambda path: write_atomically(path, json.dumps(content, ensure_ascii=False) + "\n")

"""Make the pictures of the README and the docs.

usage: pictures.py RUN FOLDER

RUN is a character language model of a cell with an `update` gate, as `recurra demo` leaves it; FOLDER takes
overview.png and gradients.png. They are made again when the demo or the cells change:

    recurra demo --minutes 5 --out /tmp/run && python scripts/pictures.py /tmp/run docs/pictures
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

import recurra
from recurra.lab.picture import Curve, Style, draw_curves
from recurra.nn import Recurrent

TEXT = "The class statement defines a new type."
LINES: tuple[tuple[str, str, dict[str, float]], ...] = (
    ("RNN", "rnn", {}),
    ("GRU, update bias 0", "gru", {}),
    ("LSTM, forget bias 1", "lstm", {}),
    ("GRU, update bias -3", "gru", {"b_update": -3.0}),
    ("LSTM, forget bias 4", "lstm", {"b_forget": 4.0}),
    ("IRNN: relu, identity", "irnn", {}),
    ("antisymmetric RNN", "antisymmetric-rnn", {}),
)
STEPS = 100
LOWEST = 1e-9


def gates(run: recurra.tasks.language_modelling.LanguageModelRun, value: str) -> np.ndarray:
    """A named value of the first layer at every character of TEXT, (T, H)."""
    tokens = torch.tensor([run.vocabulary.encode(TEXT)])
    with torch.no_grad():
        trace = run.model.recurrent.trace(run.model.embedding(tokens))
    return trace.layers[0][value][0].numpy()


def draw_gates(axes: Axes, values: np.ndarray, units: int = 14) -> None:
    """The units whose gate changes most over the text, those that open together side by side."""
    chosen = np.argsort(values.var(0))[-units:]
    chosen = sorted(chosen, key=lambda unit: float(np.argmax(values[:, unit])))
    image = axes.imshow(values[:, chosen].T, aspect="auto", cmap="magma", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks(range(len(TEXT)), list(TEXT.replace(" ", "␣")), fontsize=9, family="monospace")
    axes.set_yticks(range(units), [str(unit) for unit in chosen], fontsize=7)
    axes.set_ylabel("unit")
    axes.tick_params(length=0)
    axes.set_title("update[t] of a GRU, reading: bright units renew, dark ones keep", fontsize=10, loc="left")
    axes.figure.colorbar(image, ax=axes, pad=0.015, fraction=0.03)


def gradient_norms(name: str, initial: dict[str, float]) -> list[float]:
    """The norm of dL/dx at each distance from a loss at the last step, as parts of the first."""
    torch.manual_seed(0)
    layer = Recurrent(name, 16, 128, initial=initial)
    x = torch.randn(32, STEPS, 16, requires_grad=True)
    layer(x)[0][:, -1].square().sum().backward()
    norms = x.grad.norm(dim=(0, 2)).flip(0)
    return (norms / norms[0]).tolist()


def draw_gradients(axes: Axes) -> None:
    """How much of the gradient is left, by distance, in untrained networks."""
    colours = plt.get_cmap("plasma")(np.linspace(0, 0.88, len(LINES)))
    axes.set_yscale("log")
    axes.set_ylim(LOWEST, 30)
    axes.set_xlim(0, STEPS - 1)
    axes.set_xlabel("steps back from the loss")
    axes.set_title("‖∂L/∂x‖ by distance, before training, as a part of the first", fontsize=10, loc="left")
    axes.grid(alpha=0.25)
    curves = []
    for (label, name, initial), colour in zip(LINES, colours, strict=True):
        norms = [norm for norm in gradient_norms(name, initial) if norm > LOWEST]
        curves.append(Curve(label, range(len(norms)), norms, Style(to_hex(colour), marker="")))
    draw_curves(axes, curves)


def main() -> None:
    """Draw both pictures."""
    if len(sys.argv) != 3:
        sys.exit("usage: pictures.py RUN FOLDER")
    run, folder = recurra.load(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    plt.rcParams.update(
        {"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 150, "lines.linewidth": 1.8}
    )
    figure, (left, right) = plt.subplots(1, 2, figsize=(14, 3.8), width_ratios=(3, 2), layout="constrained")
    draw_gates(left, gates(run, "update"))
    draw_gradients(right)
    figure.savefig(folder / "overview.png")
    figure, axes = plt.subplots(figsize=(8.5, 4), layout="constrained")
    draw_gradients(axes)
    figure.savefig(folder / "gradients.png")


if __name__ == "__main__":
    main()

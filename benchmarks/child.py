"""Measurements that need a process of their own: the module is run as a program, and prints numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from contenders import layer_of, parameters_of, torch_layer

TIMEOUT = 300


def measured_in_child(file: str, *arguments: object, **environment: str) -> float:
    """The number that a module of this folder prints when it is run as a program; see `figures_of_child`."""
    return figures_of_child(file, *arguments, **environment)[-1]


def figures_of_child(file: str, *arguments: object, **environment: str) -> list[float]:
    """The numbers in the last line that a module of this folder prints when it is run as a program.

    Raises:
        RuntimeError: It failed; with the last line of what it said.
    """
    command = [sys.executable, str(Path(file).resolve()), str(torch.get_num_threads()), *map(str, arguments)]
    done = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=False, timeout=TIMEOUT, env=os.environ | environment
    )
    if done.returncode:
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise RuntimeError(f"{Path(file).name} {' '.join(command[2:])}: {last}")
    return [float(figure) for figure in done.stdout.splitlines()[-1].split()]


def training_of(contender: str, name: str, batch: int, size: int, steps: int) -> Callable[[int, int], None]:
    """In a child: a function that does one forward and backward on (T, B) of its inputs, all of them or fewer."""
    layer = layer_of(name, size)
    module = layer if contender == "recurra" else torch_layer(name, parameters_of(layer))
    x = torch.randn(steps, batch, size, requires_grad=True)
    above = torch.randn(steps, batch, size)

    def run(steps: int, batch: int) -> None:
        x.grad = None
        for parameter in module.parameters():
            parameter.grad = None
        torch.autograd.backward(module(x[:steps, :batch])[0], above[:steps, :batch])

    return run

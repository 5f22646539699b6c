"""A whole step of training: as this library's loop takes it, and in plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.profiler import record_function

from recurra.training import StepLoss
from recurra.training.averaging import build_average
from recurra.training.engine import Engine
from recurra.training.settings import TrainingSettings
from recurra.training.world import World

UPDATE = "update"
"""What a profiler sees the clipping, the optimiser and the average of this library's step as."""

Step = Callable[[Any], float]
"""Takes a batch; returns the mean of its loss."""


def library_step(model: nn.Module, loss: Callable[[nn.Module, Any, Any], StepLoss], settings: TrainingSettings) -> Step:
    """Gradient, clipping, optimiser and average as the library's loop takes them, the state carried on."""
    engine = Engine(model, loss, settings, torch.device("cpu"), World())
    average, carried = build_average(model, settings), None

    def step(batch: Any) -> float:  # noqa: ANN401  (whatever the model reads)
        nonlocal carried
        model.train()
        sums = engine.backward([batch], carried, "")
        with record_function(UPDATE):
            engine.step(sums.total / sums.count, 1, sums.count, settings.learning_rate)
            average.update()
        carried = sums.carried
        return sums.total / sums.count

    return step


def plain_step(
    model: nn.Module,
    loss: Callable[[Any], Tensor],
    count: Callable[[Any], int],
    settings: TrainingSettings,
    fused: bool,
) -> Step:
    """The same step in plain PyTorch.

    Args:
        model: What is trained.
        loss: The loss of a batch, summed.
        count: Over how many items.
        settings: The optimiser, either AdamW or SGD; learning rate, decay, clipping and average.
        fused: Whether the optimiser is torch's fused one.
    """
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    options = {"lr": settings.learning_rate, "fused": fused or None}
    optimiser = (
        torch.optim.SGD(groups, momentum=settings.momentum, **options)
        if settings.optimiser == "sgd"
        else torch.optim.AdamW(groups, betas=(0.9, settings.beta2), **options)
    )
    decay = settings.weight_average
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay)) if decay else None

    def step(batch: Any) -> float:  # noqa: ANN401
        model.train()
        optimiser.zero_grad()
        mean = loss(batch) / count(batch)
        mean.backward()
        nn.utils.clip_grad_norm_(parameters, settings.clip_norm)
        optimiser.step()
        if average is not None:
            average.update_parameters(model)
        return float(mean.detach())

    return step

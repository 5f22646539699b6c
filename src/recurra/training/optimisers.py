"""The rules that turn gradients into steps: torch's own, chosen by name."""

from typing import Any

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from recurra.errors import TrainingError
from recurra.training.freezing import layer_factors, rate_factors
from recurra.training.settings import TrainingSettings


def build_optimiser(model: nn.Module, settings: TrainingSettings) -> Optimizer:
    """Make the optimiser of a run over the parameters that ask for a gradient.

    Weight decay pulls matrices only: biases, gains and per-unit weights are vectors, and pulling them to zero
    changes what a cell computes rather than how large its weights are.

    Args:
        model: The module to train, already on its device.
        settings: optimiser, learning_rate, weight_decay, momentum, beta2 and the rates of parts are read.

    Returns:
        A `torch.optim.Optimizer` with, for each factor of the learning rate, one group that decays and one that does
        not.

    Raises:
        TrainingError: No parameter of the model asks for a gradient.

    Example:
        >>> optimiser = build_optimiser(nn.Linear(3, 2), TrainingSettings(optimiser="adamw", weight_decay=0.1))
        >>> [(group["weight_decay"], len(group["params"])) for group in optimiser.param_groups]
        [(0.1, 1), (0.0, 1)]
    """
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    parameters = [parameter for _, parameter in named]
    if not parameters:
        raise TrainingError(f"{type(model).__name__} has no parameter with requires_grad=True: nothing to train")
    by_layer = [] if settings.rate_divisor is None else layer_factors(settings.freeze, settings.rate_divisor)
    factors = rate_factors(model, [*by_layer, *settings.rate_factors])
    groups: list[dict[str, Any]] = []
    for factor in dict.fromkeys(factors.get(name, 1.0) for name, _ in named):
        members = [parameter for name, parameter in named if factors.get(name, 1.0) == factor]
        groups += [
            {
                "params": [p for p in members if p.dim() >= 2],
                "weight_decay": settings.weight_decay,
                "rate_factor": factor,
            },
            {"params": [p for p in members if p.dim() < 2], "weight_decay": 0.0, "rate_factor": factor},
        ]
    groups = [group for group in groups if group["params"]]
    # One fused kernel updates Adam four times as fast as torch's default on a processor.
    fused = all(p.is_floating_point() and p.device.type in {"cpu", "cuda"} for p in parameters)
    fused = fused and not any(hasattr(p, "full_tensor") for p in parameters)  # torch has none for shards
    common: dict[str, Any] = {"lr": settings.learning_rate, "fused": fused}
    match settings.optimiser:
        case "adam":
            return Adam(groups, betas=(0.9, settings.beta2), **common)
        case "adamw":
            return AdamW(groups, betas=(0.9, settings.beta2), **common)
        case "rmsprop":  # torch has no fused kernel of it
            return RMSprop(groups, lr=settings.learning_rate, momentum=settings.momentum, foreach=True)
        case "sgd" | "asgd":  # what averages the weights is beside the rule, in `averaging`
            return SGD(groups, momentum=settings.momentum, **common)

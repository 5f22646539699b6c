"""Models that are not trained, with weights that are large enough to make a difference."""

import torch

from recurra.training import seed_everything


def untrained(task, config, data, scale=3):
    """A model of a use for some data, the same each time."""
    assets = task.fit(config, data)
    seed_everything(0)
    model = task.build(config, assets)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale)
    return task.trained()(task, config, assets, model.eval())

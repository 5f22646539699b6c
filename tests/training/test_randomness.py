import random

import numpy as np
import torch

from recurra.training import seed_everything, undisturbed


def draw():
    return random.random(), np.random.rand(), torch.rand(()).item()


def test_one_seed_repeats_every_generator():
    seed_everything(3)
    first, second = draw(), draw()
    seed_everything(3)
    assert draw() == first
    with undisturbed():
        assert draw() == second
        torch.manual_seed(99)
    assert draw() == second
    seed_everything(4)
    assert all(a != b for a, b in zip(draw(), first, strict=True))

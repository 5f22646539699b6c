"""Tiny language models, trained in a moment or not at all."""

from pathlib import Path

import pytest
import torch

from recurra.data import Vocabulary
from recurra.models import LanguageModel
from recurra.tasks import train_run
from recurra.tasks.language_model_run import LanguageModelRun
from recurra.tasks.language_modelling import LANGUAGE_MODELLING, LanguageModelAssets
from support.tiny import PETS, tiny_config


@pytest.fixture
def train_tiny(tmp_path):
    """Trains a tiny model on a text; every setting can be given by its key."""
    numbers = iter(range(100))

    def train_tiny(text=PETS * 8, observers=lambda prepared, folder: (), folder=None, **given):
        data = tmp_path / f"text-{next(numbers)}.txt"
        data.write_text(text, encoding="utf-8")
        folder = folder or tmp_path / f"run-{next(numbers)}"
        return train_run(LANGUAGE_MODELLING, tiny_config(data=data, **given), folder, observers)

    return train_tiny


@pytest.fixture
def random_run():
    """A model with random weights that are large enough to make a difference."""

    def random_run(vocabulary, sentences=False, **given):
        torch.manual_seed(0)
        sizes = {"embedding_size": 4, "hidden_size": 6} | given
        model = LanguageModel(len(vocabulary), "gru", **sizes).eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.8)
        config = tiny_config(level=vocabulary.level, sentences=sentences)
        assets = LanguageModelAssets(vocabulary=vocabulary)
        return LanguageModelRun(LANGUAGE_MODELLING, config, assets, model, Path("runs/random"))

    return random_run


@pytest.fixture
def words():
    return Vocabulary.build(PETS, "word")

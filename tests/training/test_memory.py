import pytest
import torch
from torch import nn

from recurra.errors import SettingError
from recurra.training import memory
from recurra.training.memory import available_memory, bounded_memory


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.empty(10**7, 10**7),
        lambda: torch.zeros(10**12, 10**12),  # whose number of bytes no integer of the machine's holds
        lambda: torch.empty(10**30),
        lambda: nn.Linear(10**8, 10**8),
        lambda: torch.empty((10**7, 10**7), dtype=torch.float64),
    ],
)
def test_what_is_larger_than_memory_is_refused_in_one_line(make):
    line = r"^the model .*; make hidden_size, embedding_size, num_layers or the vocabulary smaller$"
    with pytest.raises(SettingError, match=line) as raised, bounded_memory("the model"):
        make()
    assert "\n" not in str(raised.value)


def test_what_fits_is_made():
    with bounded_memory("the model"):
        assert nn.Linear(3, 2).weight.shape == (2, 3)


def test_many_small_tensors_are_counted(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 0)

    def make_many():
        for _ in range(10**4):
            torch.empty(10**6)

    with pytest.raises(SettingError, match="0 GiB are free"), bounded_memory("the model"):
        make_many()


def test_another_error_is_left_as_it_is():
    with pytest.raises(TypeError, match="not a number"), bounded_memory("the model"):
        raise TypeError("not a number")


def test_the_memory_that_is_free_is_known_or_not():
    free = available_memory()
    assert free is None or free > 0

import pytest
import torch

from recurra.errors import SettingError
from recurra.training import choose_device


def test_auto_takes_what_there_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == choose_device("cpu").type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == choose_device("cuda").type == "cuda"
    assert choose_device("cpu").type == "cpu"


def test_a_device_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingError, match="torch finds none here; use 'cpu', or 'auto'"):
        choose_device("cuda")
    with pytest.raises(SettingError, match="choose one of auto, cpu, cuda"):
        choose_device("tpu")

"""The device to train on."""

from typing import get_args

import torch

from recurra.errors import SettingError
from recurra.training.settings import DeviceName


def choose_device(name: DeviceName = "auto") -> torch.device:
    """Return the device of a name; `auto` is a CUDA device if there is one, else the processor.

    Raises:
        SettingError: The name is unknown, or `cuda` is asked for where there is none: training on another device than
            the one asked for would look like a slow success.

    Example:
        >>> choose_device("cpu")
        device(type='cpu')
    """
    if name not in get_args(DeviceName):
        raise SettingError(f"device {name!r} is unknown; choose one of {', '.join(get_args(DeviceName))}")
    there_is_cuda = torch.cuda.is_available()
    if name == "cuda" and not there_is_cuda:
        raise SettingError("device 'cuda' is asked for, but torch finds none here; use 'cpu', or 'auto' to take either")
    return torch.device("cuda" if there_is_cuda and name != "cpu" else "cpu")

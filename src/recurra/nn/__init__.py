"""Layers: any cell as a torch module, and torch.nn's own recurrent layers on the same footing."""

from recurra.nn.compatible import GRU, LSTM, RNN
from recurra.nn.dropout import Dropout, LockedDropout
from recurra.nn.echo_state import EchoStateNetwork
from recurra.nn.initialise import chrono_, initialise_
from recurra.nn.recurrent import Recurrent
from recurra.nn.stream import Stream

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Dropout",
    "EchoStateNetwork",
    "LockedDropout",
    "Recurrent",
    "Stream",
    "chrono_",
    "initialise_",
]

"""Recurrent networks from their equations.

A cell is its equations as text; its gradient, its layer, its training and its samples follow.

    >>> from recurra import Cell, Recurrent
    >>> cell = Cell("h[t] = tanh(W @ [h[t-1], x[t]] + b)")
    >>> layer = Recurrent(cell, input_size=3, hidden_size=5)
"""

from recurra import cells, nn
from recurra.equations import Cell, read_cell
from recurra.nn import Recurrent
from recurra.tasks import load

__version__ = "0.1.0"

__all__ = ["Cell", "Recurrent", "__version__", "cells", "load", "nn", "read_cell"]

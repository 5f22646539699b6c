"""Recurrent networks from their equations.

A cell is its equations as text; its gradient, its layer, its training and its samples follow.

    >>> from recurra import Cell, Recurrent
    >>> cell = Cell("h[t] = tanh(W @ [h[t-1], x[t]] + b)")
    >>> layer = Recurrent(cell, input_size=3, hidden_size=5)
"""

import os
import sys

# Threads that wait for one another spin, by default so long that two of them crawl as soon as other work shares their
# cores: measured, a step of training took 1,100 ms like that and 90 ms like this. The runtime reads its settings when
# torch loads it; whoever has set one has decided already.
if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

from recurra.lazy import import_on_demand

TYPE_CHECKING = False  # as type checkers take it; `typing` itself would be imported before Ctrl-C can be handled
if TYPE_CHECKING:
    from recurra import cells, nn
    from recurra.equations import Cell, read_cell
    from recurra.nn import Recurrent
    from recurra.tasks import load, train
else:
    import_on_demand(__name__)

__version__ = "0.1.0"

__all__ = ["Cell", "Recurrent", "__version__", "cells", "load", "nn", "read_cell", "train"]

"""The language: a cell is its equations as text, and everything else follows from them.

text ─parse→ equations ─infer→ shapes ─build→ step graph ─differentiate→ backward graph
"""

from recurra.equations.cell import Cell, Noise, read_cell
from recurra.equations.functions import FUNCTIONS, Function

__all__ = ["FUNCTIONS", "Cell", "Function", "Noise", "read_cell"]

"""The catalogue of cells: one a file, each an equation text with what it is for and the paper it comes from.

A new cell is a file with one public `Cell` and a line below; its name in the catalogue is its own, `cell.name`.
Functions that change any cell, such as zoneout, are in `recurra.cells.modifiers`.
"""

# The order here is that of the catalogue: from the plain to the gated, then those that went other ways.
# ruff: noqa: I001

from recurra.equations import Cell as Cell
from recurra.errors import SettingError
from recurra.spelling import unknown

from recurra.cells.rnn import RNN as RNN
from recurra.cells.irnn import IRNN as IRNN
from recurra.cells.simplified_gru import SimplifiedGRU as SimplifiedGRU
from recurra.cells.gru import GRU as GRU
from recurra.cells.gru_reset_after import GRUResetAfter as GRUResetAfter
from recurra.cells.lstm import LSTM as LSTM
from recurra.cells.peephole_lstm import PeepholeLSTM as PeepholeLSTM
from recurra.cells.full_peephole_lstm import FullPeepholeLSTM as FullPeepholeLSTM
from recurra.cells.coupled_lstm import CoupledLSTM as CoupledLSTM
from recurra.cells.minimal_gated_unit import MinimalGatedUnit as MinimalGatedUnit
from recurra.cells.li_gru import LiGRU as LiGRU
from recurra.cells.min_gru import MinGRU as MinGRU
from recurra.cells.min_lstm import MinLSTM as MinLSTM
from recurra.cells.ind_rnn import IndRNN as IndRNN
from recurra.cells.antisymmetric_rnn import AntisymmetricRNN as AntisymmetricRNN
from recurra.cells.fast_grnn import FastGRNN as FastGRNN
from recurra.cells.co_rnn import CoRNN as CoRNN
from recurra.cells.s_lstm import SLSTM as SLSTM
from recurra.cells.echo_state import EchoState as EchoState

CATALOGUE: dict[str, Cell] = {cell.name: cell for cell in list(globals().values()) if isinstance(cell, Cell)}
"""Every cell by its name, in the order above."""


def get(name: str) -> Cell:
    """A cell of the catalogue by its name.

    Args:
        name: One of the keys of `CATALOGUE`.

    Raises:
        SettingError: No cell is called so; the message lists those there are and the nearest.

    Example:
        >>> get("lstm").title
        'Long short-term memory'
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    raise SettingError(unknown("cell", name, CATALOGUE))

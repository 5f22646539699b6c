"""The truth: plain PyTorch, a step at a time, on any device and in any floating dtype.

`run` is the forward pass, through which autograd goes as through any PyTorch code. `backpropagate` is the same
gradient a second way: backpropagation through time written out as a loop over the derived backward graph.
"""

from recurra.backends.reference.backpropagation import Gradients, backpropagate
from recurra.backends.reference.forward import run

__all__ = ["Gradients", "backpropagate", "run"]

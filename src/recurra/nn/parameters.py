"""The parameters of a cell as a module, under the names of its equations."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from recurra.backends import gate
from recurra.equations.cell import Cell
from recurra.errors import SettingError
from recurra.nn.initialise import Rule, initialise_

__all__ = ["CellParameters"]


class CellParameters(nn.Module):
    """The parameters of one layer in one direction, under the names of the equations.

    A matrix is (H, width of its operand), its columns in the order of the concatenation; a vector is (H,). Beside them
    stand the learned initial states, if there are any: `initial_h` (H,), and `initial_h_2` for what h[t-2] is at first.
    """

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        rules: Mapping[str, Rule],
        learn_initial_state: bool,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.initial_states: dict[str, str] = {}
        for name, parameter in cell.parameters.items():
            self._add(name, torch.empty(parameter.shape(input_size, hidden_size), device=device, dtype=dtype))
        if learn_initial_state:
            for key, (name, lag) in cell.carried.items():
                self.initial_states[key] = own = f"initial_{name}" if lag == 1 else f"initial_{name}_{lag}"
                self._add(own, torch.zeros(hidden_size, device=device, dtype=dtype))
        initialise_(cell, self.tensors(cell), input_size, rules)

    def _add(self, name: str, tensor: Tensor) -> None:
        if hasattr(self, name):
            raise SettingError(f"{name!r} has a meaning of its own in a layer; rename it in the equations")
        self.register_parameter(name, nn.Parameter(tensor))

    def tensors(self, cell: Cell) -> dict[str, Tensor]:
        """The parameters of the equations by name."""
        # Read directly, since by name each takes as long as a short step; what is no longer among them (`parametrize`
        # puts a property in the place of one) is read by name.
        own = self._parameters
        return {name: own[name] if name in own else getattr(self, name) for name in cell.parameter_names}  # type: ignore[misc]

    def uniform_values(self, cell: Cell) -> dict[str, float]:
        """The vectors that hold one number in every unit, with that number, and the matrices that hold 0 alone."""
        numbers = {}
        for name, tensor in self.tensors(cell).items():
            if tensor.is_meta:
                continue
            lowest, highest = (float(bound) for bound in tensor.detach().double().aminmax())
            if lowest == highest and (tensor.dim() == 1 or lowest == 0):
                numbers[name] = lowest
        return numbers

    def initial_state(self, key: str, layer: int, *, reverse: bool = False) -> Tensor:
        """The initial state (H,) for a key of the state that has a learned one.

        Args:
            key: The key.
            layer: Which layer of the network this is, for a message.
            reverse: Whether it is one of `reverse_layers`.

        Raises:
            ShapeError: The parameter no longer has that shape.
        """
        name = self.initial_states[key]
        found: Tensor = getattr(self, name)
        if found.shape != (self.hidden_size,):
            layers = "reverse_layers" if reverse else "layers"
            gate.check_shape(f"the parameter {layers}.{layer}.{name}", found, (self.hidden_size,))
        return found

    def extra_repr(self) -> str:
        """The names of the parameters by shape, for repr."""
        by_shape: dict[tuple[int, ...], list[str]] = {}
        for name, parameter in self.named_parameters(recurse=False):
            by_shape.setdefault(tuple(parameter.shape), []).append(name)
        return "\n".join(f"{shape}: {', '.join(names)}" for shape, names in by_shape.items())

"""Echo state networks: a fixed random reservoir, and a linear readout found in one shot."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recurra import cells
from recurra.checks import LARGEST_SEED, is_number, whole_number
from recurra.equations.cell import Cell
from recurra.equations.shapes import HIDDEN, INPUT
from recurra.errors import DataError, SettingError, ShapeError, TrainingError
from recurra.nn.initialise import Rule
from recurra.nn.recurrent import CellParameters, Recurrent, as_cell
from recurra.nn.series import Series, as_tensor, check_series, is_ragged, pairs_of

__all__ = ["EchoStateNetwork"]

ROWS = 1 << 14
"""How many reservoir states are held at once: longer series are run through in parts, to the same result."""

OUTPUT = "output"
"""The key of a state that holds what is fed back next."""

LEAK = "leak"
"""The constant of a cell that its leak is."""


class EchoStateNetwork(nn.Module):
    """A recurrent network of which only a linear readout is learned, by one linear regression.

        h<t> = cell(h<t-1>, [x<t>, y<t-1>])            the reservoir: drawn once, sparse, never trained
        y<t> = readout @ [1, x<t>, y<t-1>, h<t>]       the readout: ridge regression

    y<t-1> is there with `feedback` only: the output drives the reservoir, which can then run freely and generate. In
    `fit` it is the target that is fed back (teacher forcing).

    Jaeger, "The 'echo state' approach to analysing and training recurrent neural networks", GMD report 148, 2001;
    Jaeger and Haas, "Harnessing nonlinearity: predicting chaotic systems and saving energy in wireless
    communication", Science 304, 2004. Advice on the settings: Lukoševičius, "A practical guide to applying echo state
    networks", 2012. As there, but: the output is linear, the constant is not penalised, and any cell can be the
    reservoir.

    Args:
        input_size: I, the width of x<t>; 0 for a network that only hears its own output.
        hidden_size: H, the units of the reservoir.
        output_size: O, the width of y<t>.
        cell: The reservoir's equations: a `Cell`, the name of one in the catalogue, or the text of its equations.
        feedback: Whether y<t-1> is an input of the reservoir.
        spectral_radius: The largest absolute eigenvalue of each matrix that meets a hidden vector.
        density: The share of those matrices' weights that are not 0.
        input_scaling: Weights that meet x<t> are uniform from minus this to this.
        feedback_scaling: The same for weights that meet y<t-1>.
        bias_scaling: The same for biases; None leaves them as the cell says.
        leak: The cell's constant `leak`, from 0 to 1: how fast a leaky integrator follows; None leaves it.
        squares: Whether the readout also sees the square of every unit, as columns of its own. States of tanh around
            zero are odd, and a readout of odd states is (Pathak et al., Physical Review Letters 120, 2018, who square
            half of them).
        seed: What the reservoir is drawn from; PyTorch's own generators are left as they were.
        backend: "auto", or the name of a backend, which then runs or says why it cannot.
        device: Where it all is.
        dtype: In float32 the rounding of the states acts as noise, which costs a generated signal its precision.

    Raises:
        SettingError: A size, scale, density or leak is not possible, or nothing drives the reservoir.

    Example:
        >>> wave = torch.sin(0.2 * torch.arange(400.0))[:, None]
        >>> network = EchoStateNetwork(0, 30, 1, feedback=True).fit(None, wave[:300], washout=50)
        >>> bool((network.generate(100, primer=wave[:300]) - wave[300:]).abs().max() < 0.01)
        True
    """

    readout: Tensor
    """What is learned, (O, features): columns for 1, x<t>, y<t-1>, h<t> and its squares. NaN before `fit`."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        cell: Cell | str = cells.EchoState,
        feedback: bool = False,
        spectral_radius: float = 0.9,
        density: float = 0.1,
        input_scaling: float = 0.5,
        feedback_scaling: float = 0.5,
        bias_scaling: float | None = None,
        leak: float | None = None,
        squares: bool = False,
        seed: int = 0,
        backend: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        input_size = whole_number("input_size", input_size, 0)
        hidden_size = whole_number("hidden_size", hidden_size, 1)
        output_size = whole_number("output_size", output_size, 1)
        seed = whole_number("seed", seed, 0, LARGEST_SEED)
        if input_size == 0 and not feedback:
            raise SettingError("input_size is 0 and feedback False, so nothing drives the reservoir; set feedback=True")
        if not 0 < _positive("density", density) <= 1:
            raise SettingError(f"density is {density!r}; it is a share above 0, at most 1")
        density = float(density)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, output_size
        self.feedback, self.squares = feedback, squares
        scales = [_positive("input_scaling", input_scaling)] * input_size
        scales += [_positive("feedback_scaling", feedback_scaling)] * (output_size if feedback else 0)
        own = _with_leak(as_cell(cell).at_rest, leak)
        if OUTPUT in own.carried:
            raise SettingError(f"the state of a reservoir cannot be called {OUTPUT!r}: rename it in the equations")
        rules = _rules(own, _positive("spectral_radius", spectral_radius), density, bias_scaling)
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed, which would seed the generators of every accelerator too.
            torch.default_generator.manual_seed(seed)
            self.reservoir = Recurrent(own, len(scales), hidden_size, initial=rules, backend=backend, dtype=dtype)
            _scale_inputs(self.reservoir, torch.tensor(scales))
        self.reservoir.requires_grad_(False)
        features = 1 + len(scales) + hidden_size * (2 if squares else 1)
        self.register_buffer("readout", torch.full((output_size, features), math.nan, dtype=dtype))
        self.to(device=device)

    @property
    def fitted(self) -> bool:
        """Whether there is a readout; on the meta device, where nothing has a value, there is none."""
        return not self.readout.is_meta and not bool(self.readout.isnan().any())

    @torch.no_grad()
    def fit(
        self,
        inputs: Series | None,
        targets: Series,
        *,
        washout: int = 100,
        ridge: float = 1e-8,
        noise: float = 0.0,
        seed: int = 0,
    ) -> Self:
        """Find the readout that gives the targets, in one shot.

            readout = argmin  sum over t of |y<t> - readout @ features<t>|^2  +  ridge * |readout|^2

        over the steps after the washout, the readout's constant not penalised. It is solved in float64 from a QR
        decomposition and not from the normal equations: these would square the condition of states that are almost
        dependent, as a reservoir's are, and drown a small ridge in rounding.

        Args:
            inputs: x<t>, (B, T, I), or (T, I) for one series; None if I is 0. A tensor, an array, or a list: of rows of
                numbers, or of series (T, I) each, which may differ in length.
            targets: y<t>, (B, T, O), or (T, O). Several rows are several series, each from a reservoir at rest.
            washout: How many first steps of each row are left out, while the reservoir forgets where it began.
            ridge: The weight of the penalty, in units of the features squared and summed over the steps: noise of
                variance v on what the readout sees would be worth v times the number of steps.
            noise: With feedback, each target fed back is off by a number uniform from minus this to this (Jaeger's
                equation 18): what the network generates then returns to its course, at a cost in precision.
            seed: What the noise is drawn from.

        Returns:
            The network itself.

        Raises:
            DataError: A series is no longer than the washout, or holds a number that is not finite.
            ShapeError: A shape does not fit.
            SettingError: A setting is not possible.
        """
        washout, seed = whole_number("washout", washout, 0), whole_number("seed", seed, 0, LARGEST_SEED)
        _positive("ridge", ridge)
        if _positive("noise", noise) and not self.feedback:
            raise SettingError(f"noise is {noise!r} on what is fed back, and this network has no feedback; leave it 0")
        series = self._series_of(inputs, targets)
        for _, y in series:
            if y.shape[1] <= washout:
                raise DataError(
                    f"the series has {y.shape[1]} steps, and washout={washout} leaves none of them; "
                    "give a longer series or a smaller washout"
                )
        generator = torch.Generator().manual_seed(seed)
        triangle = self.readout.new_zeros(0, self.readout.shape[1] + self.output_size, dtype=torch.float64)
        for x, y in series:
            drive, first = self._drive(x, y, y.new_zeros(1, y.shape[0], self.output_size)), 0
            if noise:
                random = torch.empty(y.shape, dtype=torch.float64).uniform_(-noise, noise, generator=generator)
                drive[..., self.input_size :] += random.to(drive)
            for part, hidden, _ in self._states(drive, {}):
                rows = torch.cat([*self._features(part, hidden), y[:, first : first + part.shape[1]]], -1)
                rows = rows[:, max(0, washout - first) :].flatten(0, 1).double()
                # The triangle holds all that the regression asks of the rows so far, so that they need not be kept.
                triangle = torch.linalg.qr(torch.cat([triangle, rows]), mode="r").R
                first += part.shape[1]
        self.readout.copy_(_solve(triangle, self.readout.shape[1], ridge))
        return self

    def forward(
        self, inputs: Series | None = None, targets: Series | None = None, state: Mapping[str, Tensor] | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Run the network over a batch of series.

        Args:
            inputs: x<t>, (B, T, I), or (T, I) for one series; None if I is 0 and there are targets.
            targets: With feedback, what is fed back instead of the network's own output, (B, T, O) or (T, O): the
                answer at step t then knows the targets before t. None lets it hear itself.
            state: What this returned for the steps before; None for a reservoir at rest.

        Returns:
            The outputs (B, T, O), and the state after the last step: the reservoir's by name, (1, B, H) each, and with
            feedback `output`, what is fed back next, (1, B, O). For one series there is no B.

        Raises:
            TrainingError: There is no readout yet.
            ShapeError: A shape does not fit.
            DataError: A number is not finite.
        """
        if not self.fitted:
            raise TrainingError("the network has no readout yet; call fit(inputs, targets), or load a state_dict")
        if targets is not None and not self.feedback:
            raise ShapeError("targets were given to a network that has no feedback to hear them; pass None")
        x, y, single = self._check(inputs, targets)
        carried = {key: value.unsqueeze(1) if single else value for key, value in (state or {}).items()}
        output = carried.pop(OUTPUT, x.new_zeros(1, x.shape[0], self.output_size))
        if output.shape != (1, x.shape[0], self.output_size):
            expected = (1, x.shape[0], self.output_size)
            raise ShapeError(f"the state {OUTPUT!r} is {tuple(output.shape)} with its batch; expected {expected}")
        parts = []
        if self.feedback and y is None:
            for t in range(x.shape[1]):
                drive = torch.cat([x[:, t], output[0]], -1)[:, None]
                hidden, carried = self.reservoir(drive, carried)
                parts.append(self._read(drive, hidden))
                output = parts[-1].transpose(0, 1)
        else:
            for drive, hidden, after in self._states(self._drive(x, y, output), carried):
                parts.append(self._read(drive, hidden))
                carried = after
            output = output if y is None else y[:, -1][None]
        outputs = torch.cat(parts, 1)
        carried = {**carried, OUTPUT: output} if self.feedback else carried
        return (outputs[0], {k: v[:, 0] for k, v in carried.items()}) if single else (outputs, carried)

    @torch.no_grad()
    def predict(self, inputs: Series | None, targets: Series | None = None) -> Tensor | list[Tensor]:
        """The outputs alone, (B, T, O) or (T, O), from a reservoir at rest and without gradients; see `forward`.

        Of a list of series that differ in length the outputs are a list as well, (T, O) each.
        """
        if is_ragged(inputs) or is_ragged(targets):
            return [self(x, y)[0] for x, y in pairs_of(inputs, targets)]
        outputs: Tensor = self(inputs, targets)[0]
        return outputs

    @torch.no_grad()
    def generate(self, steps: int, primer: Series | None = None, inputs: Series | None = None) -> Tensor:
        """Let the network run freely: each output is fed back as if it were the target.

        Args:
            steps: How many steps to generate.
            primer: What is fed back before, (B, T, O), or (T, O) for one series: as long as it takes the reservoir to
                forget where it began. None begins at rest.
            inputs: x<t> of the primer's steps and those to generate, (B, T + steps, I) or (T + steps, I); None if I
                is 0.

        Returns:
            The steps after the primer, (B, steps, O) or (steps, O).

        Raises:
            SettingError: The network has no feedback, or `steps` is not a number of steps.
            TrainingError: There is no readout yet.
            ShapeError: A shape does not fit.
            DataError: A number is not finite.
        """
        if not self.feedback:
            raise SettingError("this network has no feedback, so it cannot run freely; build it with feedback=True")
        steps = whole_number("steps", steps, 1)
        if primer is not None:
            primer = as_tensor("primer", primer)
            check_series("primer", primer, "O", self.output_size)
        length = 0 if primer is None else primer.shape[-2]
        if inputs is not None:
            inputs = as_tensor("inputs", inputs)
        if inputs is None and self.input_size == 0:
            rows = primer.shape[:-2] if primer is not None else ()
            inputs = self.readout.new_zeros(*rows, length + steps, 0)
        if inputs is not None and (inputs.dim() < 2 or inputs.shape[-2] != length + steps):
            raise ShapeError(
                f"inputs has the shape {tuple(inputs.shape)}; expected {length + steps} steps, "
                f"{length} of the primer and {steps} to generate"
            )
        state = None
        if primer is not None:
            _, state = self(None if inputs is None else inputs[..., :length, :], primer)
        outputs: Tensor = self(None if inputs is None else inputs[..., length:, :], None, state)[0]
        return outputs

    def _drive(self, x: Tensor, y: Tensor | None, output: Tensor) -> Tensor:
        """What the reservoir hears, (B, T, I + O): the inputs, and with feedback the targets a step late."""
        if not self.feedback or y is None:
            return x
        return torch.cat([x, torch.cat([output.transpose(0, 1), y[:, :-1]], 1)], -1)

    def _states(self, drive: Tensor, state: dict[str, Tensor]) -> Iterator[tuple[Tensor, Tensor, dict[str, Tensor]]]:
        """Run the reservoir part by part: what it hears, its states (B, steps, H) and what it carries on."""
        for part in torch.split(drive, max(1, ROWS // drive.shape[0]), dim=1):
            hidden, state = self.reservoir(part, state)
            yield part, hidden, state

    def _features(self, drive: Tensor, hidden: Tensor) -> list[Tensor]:
        """What the readout sees, in the order of its columns."""
        squares = [hidden * hidden] if self.squares else []
        return [torch.ones_like(hidden[..., :1]), drive, hidden, *squares]

    def _read(self, drive: Tensor, hidden: Tensor) -> Tensor:
        features = self._features(drive, hidden)
        columns = torch.split(self.readout, [f.shape[-1] for f in features], dim=1)
        return torch.stack([F.linear(f, c) for f, c in zip(features, columns, strict=True)]).sum(0)

    def _series_of(self, inputs: Series | None, targets: Series) -> list[tuple[Tensor, Tensor]]:
        """The series by length: inputs (B, T, I) and targets (B, T, O), once for all, or one by one."""
        ragged = is_ragged(inputs) or is_ragged(targets)
        series = []
        for x, y, _ in [self._check(*pair) for pair in (pairs_of(inputs, targets) if ragged else [(inputs, targets)])]:
            assert y is not None
            series.append((x, y))
        return series

    def _check(self, inputs: Series | None, targets: Series | None) -> tuple[Tensor, Tensor | None, bool]:
        """The series as (B, T, width) in the network's dtype, and whether they came as one series without B."""
        targets = None if targets is None else as_tensor("targets", targets)
        if inputs is None:
            if self.input_size or targets is None:
                raise ShapeError(f"no inputs were given; expected (B, T, I) or (T, I) with I = {self.input_size}")
            inputs = targets[..., :0]
        inputs = as_tensor("inputs", inputs)
        check_series("inputs", inputs, "I", self.input_size)
        if targets is not None:
            check_series("targets", targets, "O", self.output_size)
            if inputs.shape[:-1] != targets.shape[:-1]:
                raise ShapeError(
                    f"inputs has the shape {tuple(inputs.shape)} and targets {tuple(targets.shape)}; "
                    "expected both with as many rows and steps"
                )
        single = inputs.dim() == 2
        x, y = (series if series is None or not single else series[None] for series in (inputs, targets))
        assert x is not None
        return x.to(self.readout), None if y is None else y.to(self.readout), single

    def extra_repr(self) -> str:
        """The sizes, for repr."""
        parts = [f"{self.input_size}, {self.hidden_size}, {self.output_size}"]
        parts += [f"{name}=True" for name in ("feedback", "squares") if getattr(self, name)]
        return ", ".join([*parts, "fitted" if self.fitted else "not fitted"])


def _solve(triangle: Tensor, features: int, ridge: float) -> Tensor:
    """The readout (O, F) from the triangle of a QR decomposition of [features | targets], its first column ones.

    As that column is ones, the triangle without its first row is that of the centred features and targets. So the
    constant stays out of the penalty, and follows from the first row.
    """
    seen, wanted = triangle[:, :features], triangle[:, features:]
    left, values, right = torch.linalg.svd(seen[1:, 1:], full_matrices=False)
    significant = values > values[:1] * torch.finfo(values.dtype).eps * features
    gains = torch.where(significant, values / (values * values + ridge), 0)
    weights = right.T @ (gains[:, None] * (left.T @ wanted[1:]))
    constant = (wanted[:1] - seen[:1, 1:] @ weights) / seen[0, 0]
    return torch.cat([constant, weights]).T


def _with_leak(cell: Cell, leak: float | None) -> Cell:
    if leak is None:
        return cell
    if LEAK not in cell.constants:
        known = ", ".join(cell.constants) or "none"
        raise SettingError(f"this cell has no constant {LEAK!r} to set; its constants: {known}. Give leak=None")
    if not is_number(leak) or not 0 < leak <= 1:
        raise SettingError(f"leak is {leak!r}; it is a number above 0, at most 1")
    return cell.replace(list(cell.equations), constants={LEAK: float(leak)})


def _rules(cell: Cell, radius: float, density: float, bias_scaling: float | None) -> dict[str, Rule]:
    """How the parameters of a reservoir begin, but for the weights that meet its input."""
    rules: dict[str, Rule] = {}
    for name, parameter in cell.parameters.items():
        if HIDDEN in parameter.columns:
            rules[name] = f"spectral_radius({radius!r}, {density!r})"
        if parameter.kind == "bias" and bias_scaling is not None:
            scale = _positive("bias_scaling", bias_scaling)
            rules[name] = f"uniform({-scale!r}, {scale!r})"
    return rules


@torch.no_grad()
def _scale_inputs(reservoir: Recurrent, scales: Tensor) -> None:
    """Draw the weights that meet the input, each column on its scale."""
    (parameters,) = reservoir.layers
    assert isinstance(parameters, CellParameters)
    for name, parameter in reservoir.cell.parameters.items():
        if parameter.kind == "matrix":
            sizes = list(parameter.column_sizes(reservoir.input_size, reservoir.hidden_size))
            for block, width in zip(getattr(parameters, name).split(sizes, dim=1), parameter.columns, strict=True):
                if width == INPUT:
                    block.uniform_(-1, 1).mul_(scales)


def _positive(name: str, number: float) -> float:
    if not is_number(number) or not 0 <= number < math.inf:
        raise SettingError(f"{name} is {number!r}; it is a finite number from 0")
    return float(number)

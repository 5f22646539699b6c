"""The model, its loss and its optimiser, in one process or as one of several."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from recurra.errors import SettingError, TrainingError
from recurra.training.clipping import Clipping, clip_gradients
from recurra.training.freezing import matching
from recurra.training.loss import Loss, StepLoss
from recurra.training.optimisers import build_optimiser
from recurra.training.settings import TrainingSettings
from recurra.training.truncation import detach
from recurra.training.world import World, full, is_lost_peer, lost_peer, sharded_like

__all__ = ["Engine", "Sums", "scaled"]

BatchT = TypeVar("BatchT")


class _LossModule(nn.Module, Generic[BatchT]):
    """The loss as a module around the model: what replicates or shards modules looks at calls of modules."""

    def __init__(self, model: nn.Module, loss: Loss[BatchT], autocast: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.model, self.loss, self.autocast = model, loss, autocast

    def forward(self, batch: BatchT, carried: Any) -> StepLoss:  # noqa: ANN401
        with self.autocast():
            result = self.loss(self.model, batch, carried)
        if not isinstance(result, StepLoss):
            raise TrainingError(
                f"the loss function returned a {type(result).__name__}; it must return a StepLoss: the sum over the "
                "items of a batch, how many they are, and what is carried to the next: StepLoss(total, count, carried)"
            )
        # The state is cut here, so that no process waits for a gradient that would come through it alone.
        return replace(result, carried=detach(result.carried))


@dataclass
class Sums:
    """The loss of a step, over its batches in this process.

    Attributes:
        total: The sum over the counted items, in nats.
        count: How many.
        carried: The state after the last batch.
    """

    total: float
    count: int
    carried: Any


class Engine(Generic[BatchT]):
    """Runs the loss of batches and leaves its gradient in the parameters, the mean over the items of all processes.

    Args:
        model: What is trained; it is moved to the device.
        loss: Gives the loss of a batch.
        settings: precision, parallel, clipping, and what `build_optimiser` reads.
        device: Where to train.
        world: The processes that train together.
    """

    def __init__(
        self, model: nn.Module, loss: Loss[BatchT], settings: TrainingSettings, device: torch.device, world: World
    ) -> None:
        self.model, self.settings, self.device, self.world = model.to(device), settings, device, world
        self.autocast = (
            (lambda: torch.autocast(device.type, torch.bfloat16)) if settings.precision == "bfloat16" else nullcontext
        )
        module = _LossModule(model, loss, self.autocast)
        self._loss = module
        self.sharded = world.size > 1 and settings.parallel == "sharded"
        if self.sharded:  # imported where it is needed: it takes longer than all the rest of Recurra
            from torch.distributed.device_mesh import init_device_mesh
            from torch.distributed.fsdp import fully_shard

            fully_shard(module, mesh=init_device_mesh(device.type, (world.size,)))
        self.optimiser = build_optimiser(model, settings)
        self._frozen: list[nn.Parameter] = []
        self._replicas: DistributedDataParallel | None = None
        if world.size > 1 and not self.sharded:
            self._replicas = DistributedDataParallel(module, find_unused_parameters=_may_leave_some_unused(model))

    def freeze(self, patterns: Sequence[str]) -> None:
        """Leave the parameters that match as they are, until this is called again.

        Raises:
            SettingError: A pattern matches none, or all parameters match.
        """
        names = [name for name, _ in self.model.named_parameters()]
        frozen = {name for pattern in patterns for name in matching(names, pattern, "freeze")}
        if len(frozen) == len(names):
            raise SettingError(
                "--freeze: all parameters of the model are frozen, so that nothing can be learned; leave some out"
            )
        self._frozen = [parameter for name, parameter in self.model.named_parameters() if name in frozen]

    def backward(self, batches: Sequence[BatchT], carried: Any, where: str) -> Sums:  # noqa: ANN401
        """Add up the gradients of some batches.

        Args:
            batches: Those of one step, on the device.
            carried: The state before the first of them.
            where: Which step it is, for messages.

        Returns:
            The loss in this process. The gradients are those of the mean if one process has one batch, else of a sum
            that `step` makes a mean of.

        Raises:
            TrainingError: The loss depends on no parameter, or another process has ended.
        """
        self.optimiser.zero_grad(set_to_none=True)
        total, count, alone = 0.0, 0, self.world.size == 1
        try:
            for place, batch in enumerate(batches):
                with self._synchronised(place == len(batches) - 1):
                    result = self._run(batch, _before(batch, carried))
                    carried = result.carried
                    if result.count == 0 and alone:
                        continue
                    if not result.total.requires_grad:
                        raise TrainingError(f"{where}: the loss depends on no parameter of the model; was it detached?")
                    self._objective(result, mean=alone and len(batches) == 1).backward()  # type: ignore[no-untyped-call]
                total, count = total + float(result.total.detach()), count + result.count
        except RuntimeError as error:
            if isinstance(error, TrainingError) or alone or not is_lost_peer(error):
                raise
            raise TrainingError(lost_peer(error)) from error
        return Sums(total, count, carried)

    @staticmethod
    def _objective(result: StepLoss, mean: bool) -> Tensor:
        if mean:
            value = result.total / result.count
            return value if result.penalty is None else value + result.penalty
        return result.total if result.penalty is None else result.total + result.penalty * result.count

    def step(self, mean: float, batches: int, count: float, rate: float) -> Clipping | str:
        """Clip the gradient that `backward` left and take a step, unless something is not finite.

        Args:
            mean: The mean loss over the items of all processes.
            batches: How many batches this process had.
            count: The items of all processes.
            rate: The learning rate.

        Returns:
            What clipping found, or why no step was taken.
        """
        if not math.isfinite(mean):
            return f"the loss is {mean}"
        for parameter in self._frozen:
            parameter.grad = None  # without one an optimiser passes a parameter over
        self._average(batches, count)
        try:
            clipping = clip_gradients(self.model.named_parameters(), self.settings.clip_norm, self.settings.clip_value)
        except TrainingError as error:
            return str(error)
        for parameters in self.optimiser.param_groups:
            parameters["lr"] = rate * parameters["rate_factor"]
        self.optimiser.step()
        return clipping

    @torch.no_grad()
    def _average(self, batches: int, count: float) -> None:
        """Make the gradients of `backward` those of the mean over all items of all processes."""
        if self.world.size == 1 and batches == 1:
            return
        gradients = [p.grad for group in self.optimiser.param_groups for p in group["params"] if p.grad is not None]
        if gradients:  # torch has averaged them over the processes already
            torch._foreach_mul_(gradients, self.world.size / count)

    def _run(self, batch: BatchT, carried: Any) -> StepLoss:  # noqa: ANN401
        result: StepLoss = (self._replicas or self._loss)(batch, carried)
        return result

    @contextmanager
    def _synchronised(self, last: bool) -> Iterator[None]:
        """Exchange gradients with the other processes for the last batch of a step only."""
        if self.sharded:
            self._shards.set_requires_gradient_sync(last)
        with nullcontext() if last or self._replicas is None else self._replicas.no_sync():
            yield

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Have the whole model in this process inside, as for an evaluation."""
        if self.sharded:
            self._shards.unshard()
        try:
            with self.autocast():
                yield
        finally:
            if self.sharded:
                self._shards.reshard()

    def again(self, batches: Sequence[BatchT], carried: Any) -> None:  # noqa: ANN401
        """Run the loss of some batches once more in this process alone, to see where it goes wrong."""
        with self.whole():
            for batch in batches:
                carried = self._loss.loss(self.model, batch, _before(batch, carried)).carried

    @property
    def _shards(self) -> Any:  # noqa: ANN401  (an FSDPModule)
        return self._loss

    def weights(self) -> dict[str, Any]:
        """The whole model's state_dict; every process must ask at once."""
        state = self.model.state_dict()
        return {name: full(value) if isinstance(value, Tensor) else value for name, value in state.items()}

    def load_weights(self, weights: Mapping[str, Any]) -> None:
        """Load what `weights` gave."""
        own = self.model.state_dict()
        self.model.load_state_dict(
            {
                name: sharded_like(value, own[name]) if isinstance(value, Tensor) and name in own else value
                for name, value in weights.items()
            }
        )

    def close(self) -> None:
        """Leave the model as it came: with whole parameters, in this process alone."""
        if not self.sharded:
            return
        for module in self.model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                setattr(module, name, nn.Parameter(full(parameter.detach()), parameter.requires_grad))

    def optimiser_state(self) -> dict[str, Any]:
        """The whole optimiser's state; every process must ask at once."""
        state = self.optimiser.state_dict()
        state["state"] = {number: _each(own, full) for number, own in state["state"].items()}
        return state

    def load_optimiser(self, state: dict[str, Any]) -> None:
        """Load what `optimiser_state` gave."""
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]

        def place(number: int) -> Callable[[Tensor], Tensor]:
            like = parameters[number]
            return lambda value: sharded_like(value, like) if value.shape == like.shape else value

        placed = {number: _each(own, place(number)) for number, own in state["state"].items()}
        self.optimiser.load_state_dict({**state, "state": placed})


def _may_leave_some_unused(model: nn.Module) -> bool:
    """Whether a parameter may have no part in a batch; to look for such takes time, and torch warns if there is none.

    Of Recurra's own modules and torch's only an initial state that is learned may, where another one is carried.
    """
    known = all(type(module).__module__.split(".")[0] in {"recurra", "torch"} for module in model.modules())
    return not known or any(name.split(".")[-1].startswith("initial_") for name, _ in model.named_parameters())


def scaled(rate: float, batches: Sequence[object]) -> float:
    """The learning rate of a step: that of the schedule, times the mean of what its batches multiply it by."""
    return rate * sum(getattr(batch, "rate", 1.0) for batch in batches) / len(batches)


def _before(batch: object, carried: Any) -> Any:  # noqa: ANN401
    """The state that a batch begins with: none where it is fresh, as one is that says nothing of it."""
    return None if getattr(batch, "fresh", True) else carried


def _each(values: Mapping[str, Any], change: Callable[[Tensor], Tensor]) -> dict[str, Any]:
    return {name: change(value) if isinstance(value, Tensor) else value for name, value in values.items()}

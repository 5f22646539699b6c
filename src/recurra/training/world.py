"""The processes that train one model together, on torch's own engine: `torchrun --nproc-per-node N -m recurra ...`.

Every process runs the same program on rows of its own. What they must agree on (how many items a step counts, whether
it is taken, when training ends) is summed over all of them; files and the screen are the first one's alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from recurra.errors import SettingError, TrainingError

__all__ = ["World"]

BatchT = TypeVar("BatchT")

PATIENCE = timedelta(hours=2)
"""How long a process waits for another, such as for the first while it writes a file."""


class World:
    """The processes of a training, seen from one of them.

    Attributes:
        rank: This one's number, from 0.
        size: How many there are.

    Example:
        >>> world = World()
        >>> world.rank, world.size, world.sum([1.0, 2.0])
        (0, 1, [1.0, 2.0])
    """

    def __init__(self) -> None:
        joined = dist.is_available() and dist.is_initialized()
        self.rank, self.size = (dist.get_rank(), dist.get_world_size()) if joined else (0, 1)

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files and the screen."""
        return self.rank == 0

    def sum(self, values: Sequence[float]) -> list[float]:
        """Sum each number over all processes, in float64."""
        if self.size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=self._device)
        with _peers():
            dist.all_reduce(tensor)
        return [float(value) for value in tensor.tolist()]

    def part(self, batch: BatchT) -> BatchT:
        """The rows of a batch that this process takes, by the batch's method `shard(rank, world)`.

        Raises:
            SettingError: There are several processes, and the batch has no such method.
        """
        if self.size == 1:
            return batch
        if not hasattr(batch, "shard"):
            raise SettingError(
                f"a {type(batch).__name__} has no method shard(rank, world): "
                "it cannot be shared out over processes; train in one"
            )
        return batch.shard(self.rank, self.size)  # type: ignore[no-any-return]

    def from_first(self, value: float) -> float:
        """The first process's number, everywhere."""
        return self.sum([value if self.is_first else 0.0])[0]

    def gather(self, data: bytes) -> list[bytes]:
        """The bytes of every process, by rank, everywhere."""
        if self.size == 1:
            return [data]
        sizes = [
            int(n) for n in self.sum([float(len(data)) if rank == self.rank else 0.0 for rank in range(self.size)])
        ]
        own = torch.zeros(max(sizes), dtype=torch.uint8)
        own[: len(data)] = torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else own[:0]
        own = own.to(self._device)
        gathered = [torch.empty_like(own) for _ in sizes]
        with _peers():
            dist.all_gather(gathered, own)
        return [bytes(part[:size].cpu().numpy()) for part, size in zip(gathered, sizes, strict=True)]

    def wait(self) -> None:
        """Go on when every process has come this far."""
        self.sum([0.0])

    @property
    def _device(self) -> torch.device:
        return (
            torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
        )

    @classmethod
    @contextmanager
    def joined(cls) -> Iterator[World]:
        """The processes that torchrun started, this one among them; this one alone where it did not.

        Raises:
            TrainingError: The others cannot be reached.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
            yield cls()
            return
        backend = "nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
        if backend == "nccl":
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        try:
            dist.init_process_group(backend, timeout=PATIENCE)
        except (RuntimeError, ValueError) as error:
            raise TrainingError(
                f"the other processes cannot be reached ({_line(error)}); start with torchrun, and on several machines "
                "give --rdzv-endpoint HOST:PORT of one that all can reach"
            ) from error
        try:
            yield cls()
        finally:
            dist.destroy_process_group()


@contextmanager
def _peers() -> Iterator[None]:
    """Say in one line that another process has ended."""
    try:
        yield
    except RuntimeError as error:
        raise TrainingError(lost_peer(error)) from error


def lost_peer(error: BaseException) -> str:
    """What to say when another process cannot be reached any more."""
    return (
        f"another process of this training has ended ({_line(error)}): what it wrote says why; "
        "start again from the last checkpoint with `recurra resume RUN` under torchrun, with as many processes"
    )


def is_lost_peer(error: BaseException) -> bool:
    """Whether an error says that another process has ended."""
    text = str(error)
    return isinstance(error, dist.DistBackendError) or any(
        sign in text
        for sign in ("Connection closed by peer", "Connection reset by peer", "Connection refused", "Broken pipe")
    )


def _line(error: BaseException) -> str:
    return str(error).splitlines()[0].strip()[-160:] if str(error).strip() else type(error).__name__


def full(tensor: Tensor) -> Tensor:
    """A tensor that may be sharded over the processes, whole; every process must ask at once."""
    whole = getattr(tensor, "full_tensor", None)
    return tensor if whole is None else whole()


def sharded_like(whole: Tensor, tensor: Tensor) -> Tensor:
    """A whole tensor in the way of another: sharded over the processes if that one is."""
    if not hasattr(tensor, "full_tensor"):
        return whole
    from torch.distributed.tensor import DTensor, distribute_tensor  # they take long to import, and few need them

    assert isinstance(tensor, DTensor)
    return distribute_tensor(whole.to(tensor.device), tensor.device_mesh, tensor.placements, src_data_rank=None)

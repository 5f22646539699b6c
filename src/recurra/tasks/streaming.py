"""Live input: what a use reads while it comes, and what it says of it as soon as it knows."""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import torch

from recurra.errors import SettingError
from recurra.nn.stream import Stream
from recurra.tasks.assets import Assets
from recurra.tasks.settings import TaskConfig

if TYPE_CHECKING:
    from recurra.data.raw_sound import SampleKind
    from recurra.tasks.trained import Trained

__all__ = [
    "LiveOptions",
    "LiveRecord",
    "LiveStream",
    "Replay",
    "Streaming",
    "held_bytes",
    "open_stream",
    "pieces_of",
    "streaming_of",
]

R = TypeVar("R")


@dataclass(frozen=True)
class LiveOptions:
    """How live input is written and cut; None for what is usual.

    Args:
        rate: Samples of sound a second.
        kind: How a sample of sound is written.
        channels: How many channels of sound come, a sample of each after another.
        endpoint: Seconds of silence that end a line.
        longest: Seconds after which a line ends with the next word.
    """

    rate: int | None = None
    kind: SampleKind | None = None
    channels: int | None = None
    endpoint: float | None = None
    longest: float | None = None

    @property
    def chosen(self) -> list[str]:
        """The names of those that are not as usual."""
        return [field.name for field in fields(self) if getattr(self, field.name) is not None]


@dataclass(frozen=True)
class LiveRecord:
    """What a stream says of a part of its input; it stands whatever comes after it.

    Args:
        text: A line for people.
        values: The same, as JSON can hold it.
    """

    text: str
    values: Mapping[str, Any]


class LiveStream(ABC):
    """Input that is read while it comes.

    Attributes:
        about: What is read, and when answers come, in a sentence.
        delay: Seconds from a part of the input until what is said of it is known, the time to compute it left out.
    """

    about: str
    delay: float

    @abstractmethod
    def push(self, piece: bytes) -> list[LiveRecord]:
        """What is known after the next bytes, of whatever number.

        Raises:
            DataError: They are not what the stream reads.
        """

    @abstractmethod
    def close(self) -> list[LiveRecord]:
        """What is held back at the end of the input.

        Raises:
            DataError: The input ends within what it says of itself.
        """

    @property
    def unfinished(self) -> str:
        """What is heard of the next record so far, and may still change."""
        return ""

    @property
    def problems(self) -> list[str]:
        """What of the input was left out, a sentence each."""
        return []


@dataclass(frozen=True)
class Replay:
    """An example that was read as a stream.

    Args:
        streamed: What the stream said, as a text.
        whole: What is said of the whole at once, as a text.
        seconds: How long the example lasts; 0 where it has no time.
        busy: Seconds of the processor that the stream took to compute.
        kept: Bytes that the stream kept of what it had read, at most.
    """

    streamed: str
    whole: str
    seconds: float
    busy: float
    kept: int


@dataclass(frozen=True)
class Streaming(Generic[R]):
    """How a use reads live input.

    Args:
        open: From a run and options, its stream; a SettingError says why the run has none.
        replay: From a run, an example and what draws the sizes of pieces, the example read as a stream.
        delay: From a run, the seconds of `LiveStream.delay`.
    """

    open: Callable[[Trained[Any, R, Any, Any, Any, Any], LiveOptions], LiveStream]
    replay: Callable[[Trained[Any, R, Any, Any, Any, Any], R, random.Random], Replay]
    delay: Callable[[Trained[Any, R, Any, Any, Any, Any]], float]


def streaming_of(run: Trained[Any, R, Any, Any, Any, Any]) -> Streaming[R]:
    """How the use of a run reads live input.

    Raises:
        SettingError: It does not.
    """
    if run.task.live is None:
        from recurra.tasks.table import TASKS

        raise SettingError(
            f"this is a run of {run.task.name}, which reads whole inputs; a stream takes a run of "
            f"{' or '.join(TASKS.able('streams'))}"
        )
    return run.task.live


def open_stream(
    run: Trained[Any, Any, Any, Any, Any, Any],
    options: LiveOptions = LiveOptions(),
) -> LiveStream:
    """The stream of a run.

    Args:
        run: A trained run of a use that reads live input.
        options: How the input is written and cut.

    Raises:
        SettingError: The use reads whole inputs, the network reads them from their end, too, or an option is not of
            this use.
    """
    return streaming_of(run).open(run, options)


def pieces_of(content: bytes, longest: int, draw: random.Random) -> Iterator[bytes]:
    """Bytes in pieces of random sizes, short ones as often as long ones."""
    at = 0
    while at < len(content):
        size = int(math.exp(draw.uniform(0, math.log(max(2, longest)))))
        yield content[at : at + size]
        at += size


def held_bytes(value: Any, seen: set[int] | None = None) -> int:  # noqa: ANN401  (whatever a stream keeps)
    """The bytes of all tensors, arrays and labels that are within a value; weights are left out."""
    seen = set() if seen is None else seen
    if id(value) in seen or isinstance(value, torch.nn.Module | Assets | TaskConfig | type):
        return 0
    seen.add(id(value))
    if isinstance(value, Stream):  # its weights are packed within
        value = value.state
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, float | int):
        return 8
    inside: list[Any] = list(value) if isinstance(value, list | tuple | set) else []
    inside += list(value.values() if isinstance(value, dict) else getattr(value, "__dict__", {}).values())
    return sum(held_bytes(each, seen) for each in inside)

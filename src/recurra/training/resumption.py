"""All that it takes to go on with a training: what a checkpoint holds, and how it is put back.

ranks         for each process its generators of random numbers and the state carried from its last batch
model, optimiser, average, best, schedule, budget, skips
place         steps, epochs, and when what was done last
fingerprint   of the data
threads, torch    what the last digits of a sum depend on
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from recurra.errors import RunError
from recurra.training import tree
from recurra.training.checkpoints import pack, unpack
from recurra.training.randomness import random_state, restore_random_state
from recurra.training.settings import CHANGEABLE

if TYPE_CHECKING:
    from recurra.training.loop import Training

__all__ = ["go_on", "state_of"]

PLACE = ("steps", "epochs_completed", "validated_at", "waited", "elapsed", "validation_elapsed")
"""The numbers of a training that are held as they are."""


def state_of(training: Training[Any]) -> dict[str, Any]:
    """All that it takes to go on from here; every process must ask at once."""
    own = pack({"random": random_state(), "carried": training.carried})
    return {
        "ranks": [unpack(data, f"rank {rank}") for rank, data in enumerate(training.world.gather(own))],
        "model": training.engine.weights(),
        "optimiser": training.engine.optimiser_state(),
        "average": training.average.state(),
        "best": training.best.state(),
        "schedule": training.learning_rate.state(),
        "budget": training.budget.state(),
        "skips": training.skips.state(),
        "place": {name: getattr(training, name) for name in PLACE},
        "fingerprint": training.fingerprint,
        "fixed": fixed_of(training),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def go_on(training: Training[Any]) -> list[str]:
    """Put a training where its newest checkpoint left it.

    Returns:
        What is worth telling: a newer checkpoint that is damaged, another number of threads, another torch.

    Raises:
        RunError: There is no checkpoint, or it is not of this training.
    """
    assert training.checkpoints is not None
    loaded = training.checkpoints.newest()
    if loaded is None:
        raise RunError(f"{training.checkpoints.folder}: there is no checkpoint to go on from; train again")
    state, name = loaded.state, loaded.path.name
    _check(training, name, state)
    training.engine.load_weights(state["model"])
    training.engine.load_optimiser(state["optimiser"])
    training.average.resume(state["average"])
    training.best.resume(state["best"])
    training.learning_rate.resume(state["schedule"])
    training.budget.resume(state["budget"])
    training.skips.resume(state["skips"])
    for key in PLACE:
        setattr(training, key, state["place"][key])
    training.before, training.checkpoint_at = training.elapsed, training.steps
    training.checkpoint_elapsed = training.elapsed
    rank = state["ranks"][training.world.rank]
    training.carried = tree.to_device(rank["carried"], training.device)
    restore_random_state(rank["random"])
    notices = [f"{problem}; going on from {name} instead" for problem in loaded.damaged]
    for what, now in (("threads", torch.get_num_threads()), ("torch", torch.__version__)):
        if state[what] != now:
            notices.append(
                f"{name} was written with {what} {state[what]}, and this is {now}: "
                "the weights may differ in their last digits from those of a run that was never stopped"
            )
    return notices


def fixed_of(training: Training[Any]) -> dict[str, Any]:
    """What must be the same when a training is resumed, by section and key."""
    settings = training.settings.model_dump(mode="json")
    return {f"[training] {key}": value for key, value in settings.items() if key not in CHANGEABLE} | training.fixed


def _check(training: Training[Any], name: str, state: dict[str, Any]) -> None:
    """Refuse a checkpoint that cannot be gone on from here."""
    if len(state["ranks"]) != training.world.size:
        raise RunError(
            f"{name}: {len(state['ranks'])} processes wrote it, and this is {training.world.size}: "
            "resume with as many, by torchrun --nproc-per-node"
        )
    _check_settings(name, state.get("fixed", {}), fixed_of(training))
    _check_optimiser(name, state["optimiser"]["param_groups"], training.engine.optimiser.state_dict()["param_groups"])
    if state["fingerprint"] != training.fingerprint:
        raise RunError(f"{name}: the data are not those it was trained on; put those back, or train again")
    sizes = {key: tuple(value.shape) for key, value in state["model"].items() if isinstance(value, torch.Tensor)}
    for key, value in training.engine.weights().items():
        if isinstance(value, torch.Tensor) and sizes.get(key) != tuple(value.shape):
            raise RunError(
                f"{name}: it holds another model: {key} is {sizes.get(key, 'missing')}, and here {tuple(value.shape)}"
            )


def _check_settings(name: str, written: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse settings that were others when the checkpoint was written, and name them."""
    changed = [key for key in written if key in now and written[key] != now[key]]
    if not changed:
        return
    words = ", ".join(f"{key} is {_shown(now[key])} and was {_shown(written[key])}" for key in changed)
    raise RunError(
        f"{name}: the settings are not those that it was written with: {words}; put that back, or train again: "
        "a resumed training can change only when it ends, its learning rate, schedule, clipping, validations, "
        "checkpoints and device"
    )


def _check_optimiser(name: str, written: list[dict[str, Any]], now: list[dict[str, Any]]) -> None:
    """Refuse the state of another rule than the one that goes on; by what a rule reads it is known."""

    def rule(groups: list[dict[str, Any]]) -> list[Any]:
        return [
            (len(group["params"]), sorted(set(group) - {"fused", "foreach"}), group.get("decoupled_weight_decay"))
            for group in groups
        ]

    if rule(written) != rule(now):
        raise RunError(
            f"{name}: another optimiser wrote it, or for other parameters; put the setting optimiser back, or train "
            "again"
        )


def _shown(value: object) -> str:
    text = "none" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

"""What a training run can be told: every field is a key of the config file and a flag of the command line."""

from typing import Literal, Self

from pydantic import Field, model_validator

from recurra.checks import LARGEST_SEED
from recurra.training.checked import CheckedSettings

OptimiserName = Literal["adam", "adamw", "sgd", "rmsprop", "asgd"]
ScheduleName = Literal["constant", "cosine", "step", "plateau", "one-cycle"]
DeviceName = Literal["auto", "cpu", "cuda"]
Precision = Literal["float32", "bfloat16"]
Parallel = Literal["replicated", "sharded"]

OPTIMISERS_WITH: dict[str, tuple[OptimiserName, ...]] = {
    "momentum": ("sgd", "rmsprop"),
    "beta2": ("adamw", "adam"),
    "weight_average": ("adam", "adamw", "sgd", "rmsprop"),
}
"""The settings that only some optimisers take, and which these are."""

CHANGEABLE = (
    "epochs",
    "max_steps",
    "max_minutes",
    "patience",
    "learning_rate",
    "clip_norm",
    "clip_value",
    "schedule",
    "warmup_steps",
    "decay_factor",
    "decay_after",
    "decay_floor",
    "validate_every",
    "validate_minutes",
    "skip_limit",
    "checkpoint_every",
    "checkpoint_minutes",
    "keep_checkpoints",
    "log_every",
    "device",
)
"""The settings that a training may be told anew when it is resumed; all others are part of what it has become."""


class TrainingSettings(CheckedSettings):
    """The settings of one training run, checked when made and never changed after.

    Training ends at whichever of `epochs`, `max_steps`, `max_minutes` and `patience` is reached first. A step is one
    update of the weights: by one chunk of truncated backpropagation through time, or by `accumulate` of them.

    Raises:
        SettingError: A field is unknown, out of its bounds, or has no effect beside the others.

    Example:
        >>> settings = TrainingSettings(epochs=3, optimiser="sgd", learning_rate=1.0, schedule="step", decay_after=2)
        >>> settings.clip_norm
        1.0
    """

    epochs: int = Field(10, ge=1, description="Passes over the training data.")
    max_steps: int | None = Field(None, ge=1, description="End after this many steps, even within an epoch.")
    max_minutes: float | None = Field(
        None, gt=0, description="End at the first step after this many minutes, validations included."
    )

    patience: int | None = Field(
        None, ge=1, description="End after this many validations in a row without a new best: early stopping."
    )

    optimiser: OptimiserName = Field(
        "adamw",
        description="The rule that turns gradients into steps. asgd is sgd whose weights are averaged from when "
        "validations stop improving (NT-ASGD).",
    )
    learning_rate: float = Field(
        2e-3, gt=0, description="The learning rate at its highest, before the schedule lowers it."
    )
    weight_decay: float = Field(
        0.0,
        ge=0,
        description="Pull of the matrices towards zero: decoupled for adamw, an L2 penalty in the gradient for adam "
        "and the others. Vectors (biases, gains) are left free.",
    )
    momentum: float = Field(
        0.0, ge=0, lt=1, description="sgd and rmsprop: share of the last step that is added to the next one."
    )
    beta2: float = Field(
        0.999,
        ge=0,
        lt=1,
        description="adam and adamw: how much of the running mean of squared gradients a step leaves. The lower it is, "
        "the less weights move that rarely have a gradient, such as the embeddings of rare words.",
    )
    average_after: int = Field(
        5,
        ge=1,
        description="asgd only: averaging begins when a validation is worse than the best of those at least this many "
        "validations before it.",
    )
    weight_average: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Decay of an exponential moving average of the weights, which is then what is validated and kept; "
        "0 keeps the weights themselves.",
    )
    accumulate: int = Field(1, ge=1, description="Batches whose gradients are added up for one step.")
    precision: Precision = Field(
        "float32", description="bfloat16 runs what torch.autocast deems safe in half the bits; weights stay float32."
    )

    freeze: tuple[str, ...] = Field(
        (),
        description="Parameters that are left as they are, by name or pattern, such as encoder.*, from the bottom of "
        "the network to its top.",
    )
    unfreeze_every: int | None = Field(
        None, ge=1, description="Epochs after which the last pattern of freeze learns, too, then the one before it."
    )
    rate_divisor: float | None = Field(
        None,
        ge=1,
        description="With unfreeze_every: how many times more slowly each pattern of freeze learns than the one after "
        "it, the last than the rest of the network; 2.6 in ULMFiT.",
    )
    rate_factors: tuple[str, ...] = Field(
        (), description="What the learning rate of parameters is multiplied by, such as encoder.*=0.1."
    )

    clip_norm: float | None = Field(
        1.0, gt=0, description="Scale the gradient of all parameters together down to at most this norm."
    )
    clip_value: float | None = Field(
        None, gt=0, description="Cut every element of the gradient to at most this magnitude, after clip_norm."
    )

    schedule: ScheduleName = Field(
        "constant",
        description="How the learning rate falls during training. cosine ends with the limit that is reached first; if "
        "that is max_minutes, it follows the clock and no two runs are quite the same. one-cycle first rises for 30 "
        "percent of the training, then falls as cosine does.",
    )
    warmup_steps: int = Field(
        0, ge=0, description="Steps over which the learning rate first rises in a line; works with any schedule."
    )
    decay_factor: float = Field(
        0.5, gt=0, lt=1, description="step and plateau: what each decay multiplies the learning rate by."
    )
    decay_after: int = Field(
        4,
        ge=1,
        description="step: epochs at the full rate, each later one decays; plateau: validations in a row without a "
        "new best before a decay.",
    )
    decay_floor: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the learning rate that decay ends at (cosine, one-cycle) or stays above (step, plateau).",
    )

    select_by: str | None = Field(
        None,
        description="Metric of validation by which the weights that are kept are the best; by default the first that "
        "the task is judged by.",
    )
    validate_every: int | None = Field(
        None, ge=1, description="Steps between validations; with neither steps nor minutes, one at each epoch's end."
    )
    validate_minutes: float | None = Field(
        None,
        gt=0,
        description="Minutes between validations, in place of steps; the best weights then follow the clock.",
    )
    skip_limit: int = Field(
        10,
        ge=0,
        description="Steps in a row that may be skipped because their loss or gradient is not finite; one more ends "
        "the training.",
    )
    checkpoint_every: int | None = Field(
        None, ge=1, description="Steps between checkpoints, beside those by the clock."
    )
    checkpoint_minutes: float | None = Field(
        10.0, gt=0, description="Minutes between checkpoints. One is also written at every new best and at the end."
    )
    keep_checkpoints: int = Field(3, ge=1, description="Checkpoints to keep, the newest; the best one is kept besides.")
    log_every: int = Field(20, ge=1, description="Steps that each training line of metrics.jsonl covers.")
    seed: int = Field(
        0,
        ge=0,
        le=LARGEST_SEED,
        description="Seed of all randomness: same seed, same machine, same weights bit for bit.",
    )
    device: DeviceName = Field("auto", description="Where to train; auto takes a CUDA device if there is one.")
    parallel: Parallel = Field(
        "replicated",
        description="Among several processes, whether each has a replica of the model (DistributedDataParallel) or a "
        "shard of it (FSDP2).",
    )

    @model_validator(mode="after")
    def _every_setting_has_an_effect(self) -> Self:
        if self.momentum and self.optimiser not in OPTIMISERS_WITH["momentum"]:
            raise ValueError(
                f"momentum {self.momentum:g} has no effect with optimiser {self.optimiser!r}: "
                "leave it out, or choose optimiser 'sgd' or 'rmsprop'"
            )
        if self.beta2 != 0.999 and self.optimiser not in OPTIMISERS_WITH["beta2"]:
            raise ValueError(
                f"beta2 {self.beta2:g} has no effect with optimiser {self.optimiser!r}: "
                "leave it out, or choose optimiser 'adamw' or 'adam'"
            )
        if self.unfreeze_every is not None and not self.freeze:
            raise ValueError(
                f"unfreeze_every {self.unfreeze_every} has no effect without freeze: leave it out, or name what is "
                "frozen at first"
            )
        if self.rate_divisor is not None and self.unfreeze_every is None:
            raise ValueError(
                f"rate_divisor {self.rate_divisor:g} has no effect without unfreeze_every, since what freeze names "
                "never learns: leave it out, or say when it is let go"
            )
        if self.weight_average and self.optimiser not in OPTIMISERS_WITH["weight_average"]:
            raise ValueError(
                f"weight_average {self.weight_average:g} and optimiser 'asgd' both average the weights: "
                "leave it out, or choose optimiser 'sgd'"
            )
        return self

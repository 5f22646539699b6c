"""What a training run can be told: every field is a key of the config file and a flag of the command line."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

OptimiserName = Literal["adam", "adamw", "sgd"]
ScheduleName = Literal["constant", "cosine", "step", "plateau"]
DeviceName = Literal["auto", "cpu", "cuda"]


class TrainingSettings(BaseModel):
    """The settings of one training run, checked when made and never changed after.

    Training ends at whichever of `epochs`, `max_steps` and `max_minutes` is reached first. A step is one chunk of
    truncated backpropagation through time: one loss, one gradient, one update of the weights.

    Raises:
        pydantic.ValidationError: A field is unknown, out of its bounds, or has no effect beside the others.

    Example:
        >>> settings = TrainingSettings(epochs=3, optimiser="sgd", learning_rate=1.0, schedule="step", decay_after=2)
        >>> settings.clip_norm
        1.0
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    epochs: int = Field(10, ge=1, description="Passes over the training data.")
    max_steps: int | None = Field(None, ge=1, description="End after this many steps, even within an epoch.")
    max_minutes: float | None = Field(
        None, gt=0, description="End at the first step after this many minutes, validations included."
    )

    optimiser: OptimiserName = Field("adamw", description="The rule that turns gradients into steps.")
    learning_rate: float = Field(
        2e-3, gt=0, description="The learning rate at its highest, before the schedule lowers it."
    )
    weight_decay: float = Field(
        0.0,
        ge=0,
        description="Pull of the matrices towards zero: decoupled for adamw, an L2 penalty in the gradient for adam "
        "and sgd. Vectors (biases, gains) are left free.",
    )
    momentum: float = Field(
        0.0, ge=0, lt=1, description="sgd only: share of the last step that is added to the next one."
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
        "that is max_minutes, it follows the clock and no two runs are quite the same.",
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
        description="Share of the learning rate that decay ends at (cosine) or never goes below (step, plateau).",
    )

    validate_every: int | None = Field(
        None, ge=1, description="Steps between validations; with neither steps nor minutes, one at each epoch's end."
    )
    validate_minutes: float | None = Field(
        None,
        gt=0,
        description="Minutes between validations, in place of steps; the best weights then follow the clock.",
    )
    log_every: int = Field(20, ge=1, description="Steps that each training line of metrics.jsonl covers.")
    seed: int = Field(
        0, ge=0, lt=2**32, description="Seed of all randomness: same seed, same machine, same weights bit for bit."
    )
    device: DeviceName = Field("auto", description="Where to train; auto takes a CUDA device if there is one.")

    @model_validator(mode="after")
    def _every_setting_has_an_effect(self) -> Self:
        if self.momentum and self.optimiser != "sgd":
            raise ValueError(
                f"momentum {self.momentum:g} has no effect with optimiser {self.optimiser!r}: "
                "leave it out, or choose optimiser 'sgd'"
            )
        return self

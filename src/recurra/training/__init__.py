"""Training: the loop, and all that it is made of. It takes any module, any batches and any loss, and knows no task.

settings       what a run can be told
loop           train: batches, loss, gradient, step, validation, end
loss           what a loss function gives
engine         the model, its loss and its optimiser, alone or as one of several processes
world          the processes that train together
truncation     detach: a carried state without its history
clipping       gradient clipping by norm and by value
optimisers     Adam, AdamW, SGD, RMSprop
averaging      averages of the weights: exponential, and NT-ASGD's
freezing       parts that rest while others learn
nonfinite      steps that are skipped because they are not finite, and why
checkpoints    all that a run needs to go on: atomic, checksummed, never pickled
resumption     what a checkpoint holds, and how it is put back
tree           nested state as tensors and JSON
schedules      the learning rate of every step
budget         how much is done, how much is left
best           the best weights, kept in memory
interruption   Ctrl-C between steps
randomness     seeds
devices        where to train
events         what observers are told
metrics        an observer that writes metrics.jsonl
curves         the curves of a run as a picture, and an observer that draws them
tensorboard    an observer that logs for TensorBoard
regularisation penalties on what a network computes
range_test     which learning rate to begin with
progress       an observer that shows the run on a terminal, or in plain lines
"""

from typing import TYPE_CHECKING

from recurra.lazy import import_on_demand

if TYPE_CHECKING:
    from recurra.training.checkpoints import Checkpoints
    from recurra.training.clipping import Clipping, clip_gradients
    from recurra.training.devices import choose_device
    from recurra.training.events import Ending, Observer, StepEvent, TrainingResult, TrainingStart, ValidationEvent
    from recurra.training.figures import LOSS, MetricView
    from recurra.training.loop import train
    from recurra.training.loss import Loss, StepLoss
    from recurra.training.metrics import MetricsWriter
    from recurra.training.optimisers import build_optimiser
    from recurra.training.progress import Progress
    from recurra.training.randomness import seed_everything, undisturbed
    from recurra.training.schedules import LearningRate, Place
    from recurra.training.settings import TrainingSettings
    from recurra.training.truncation import detach
    from recurra.training.world import World
else:
    import_on_demand(__name__)

__all__ = [
    "LOSS",
    "Checkpoints",
    "Clipping",
    "Ending",
    "LearningRate",
    "Loss",
    "MetricView",
    "MetricsWriter",
    "Observer",
    "Place",
    "Progress",
    "StepEvent",
    "StepLoss",
    "TrainingResult",
    "TrainingSettings",
    "TrainingStart",
    "ValidationEvent",
    "World",
    "build_optimiser",
    "choose_device",
    "clip_gradients",
    "detach",
    "seed_everything",
    "train",
    "undisturbed",
]

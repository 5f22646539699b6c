"""The laboratory: experiments that show what the theory of recurrent networks says, and whether it is so.

- `table`: every experiment by its name; one a file in `experiments`
- `problems`: problems with a known answer, drawn from a generator
- `experiment`: a claim, how it is measured, judged and drawn
- `bench`: random numbers, trials in turn, training
- `reader`: the model that most of them train
- `record`: what was found, as JSON and a picture
- `watch`: who is told how it goes on
"""

from typing import TYPE_CHECKING

from recurra.lazy import import_on_demand

if TYPE_CHECKING:
    from recurra.lab.bench import Bench, Course
    from recurra.lab.experiment import Experiment, Finding, Measured
    from recurra.lab.record import Record, run
    from recurra.lab.table import EXPERIMENTS, get
    from recurra.lab.watch import Watch
else:
    import_on_demand(__name__)

__all__ = ["EXPERIMENTS", "Bench", "Course", "Experiment", "Finding", "Measured", "Record", "Watch", "get", "run"]

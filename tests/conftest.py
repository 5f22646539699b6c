"""What every test stands on: the same random numbers on every run, one thread, and plots that open no window."""

import os
import signal
from pathlib import Path

import hypothesis
import pytest
import torch

os.environ.setdefault("MPLBACKEND", "Agg")
# Machine code is compiled once for all workers and the next run, and kept apart from the user's own.
os.environ.setdefault("RECURRA_CACHE", str(Path(__file__).parents[1] / ".pytest_cache" / "machine-code"))
torch.set_num_threads(1)
# A shell that runs the tests in the background has Ctrl-C ignored; the tests of what it does want it as it usually is.
signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    print_blob=True,
)
# To look further than the fixed examples: pytest --hypothesis-profile search
hypothesis.settings.register_profile(
    "search", parent=hypothesis.settings.get_profile("ci"), derandomize=False, max_examples=2000
)
hypothesis.settings.load_profile("ci")


class TorchRandom:
    """PyTorch's global generator, as Hypothesis wants it: seeded for each example, so that a failing one repeats."""

    seed = staticmethod(torch.manual_seed)
    getstate = staticmethod(torch.get_rng_state)
    setstate = staticmethod(torch.set_rng_state)


torch_random = TorchRandom()  # a name of its own: Hypothesis holds only a weak reference
hypothesis.register_random(torch_random)


@pytest.fixture(autouse=True)
def fixed_seed():
    """Seed PyTorch before each test, so that none depends on which ran before it."""
    torch.manual_seed(0)

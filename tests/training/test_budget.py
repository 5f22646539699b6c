import pytest

from recurra.training import TrainingSettings
from recurra.training.budget import Budget


def test_epochs_are_measured_in_batches_of_any_number():
    budget = Budget(TrainingSettings(epochs=2))
    fractions = []
    for batches in ([1, 2], [1, 2, 3, 4]):
        budget.begin_epoch(batches)
        for _ in batches:
            budget.take_batch()
            fractions.append(budget.fraction(0, 0.0))
    assert fractions == [0.25, 0.5, 0.625, 0.75, 0.875, 1.0]


def test_without_a_length_the_epoch_before_tells_it():
    budget = Budget(TrainingSettings(epochs=2))
    budget.begin_epoch(iter([1, 2]))
    assert not budget.has_known_end
    budget.take_batch()
    budget.take_batch()
    assert budget.fraction(2, 5.0) == 0.0
    assert budget.seconds_left(2, 5.0) is None
    budget.begin_epoch(iter([1, 2]))
    budget.take_batch()
    assert budget.has_known_end
    assert budget.fraction(3, 6.0) == 0.75
    assert budget.seconds_left(3, 6.0) == 2.0
    for _ in range(5):  # More batches than there were before do not go past the end.
        budget.take_batch()
    assert budget.fraction(8, 9.0) == 1.0


def test_the_nearest_limit_counts():
    budget = Budget(TrainingSettings(epochs=100, max_steps=10, max_minutes=1))
    budget.begin_epoch([0] * 50)
    budget.take_batch()
    assert budget.fraction(steps=1, elapsed=3.0) == pytest.approx(0.1)
    assert budget.fraction(steps=1, elapsed=30.0) == pytest.approx(0.5)
    assert budget.seconds_left(steps=1, elapsed=30.0) == pytest.approx(30.0)
    assert budget.ending(steps=9, elapsed=59.9) is None
    assert budget.ending(steps=10, elapsed=59.9) == "steps"
    assert budget.ending(steps=9, elapsed=60.0) == "minutes"

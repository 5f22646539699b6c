"""The bench: randomness by purpose, trials in turn, training and its course."""

import math

import pytest
import torch

from recurra.cells import CATALOGUE
from recurra.lab.bench import Bench, Course, accuracy, mean_squared_error
from recurra.lab.examples import IGNORED, Examples
from recurra.lab.problems.adding import adding
from recurra.lab.reader import Reader, width_for
from recurra.lab.watch import Watch


class Listener(Watch):
    """Writes down what it hears."""

    def __init__(self):
        self.begun, self.fractions = [], []

    def begin(self, name, number, total):
        self.begun.append((name, number, total))

    def step(self, fraction, loss):
        self.fractions.append(fraction)


def draw(random, step):
    return adding(4, 6, random)


def test_trials_come_in_turn_and_the_watch_hears_of_each():
    listener = Listener()
    bench = Bench(0, listener)
    assert list(bench.each([("a", 1), ("b", 2)])) == [("a", 1), ("b", 2)]
    assert listener.begun == [("a", 1, 2), ("b", 2, 2)]
    assert list(bench.seconds) == ["a", "b"]


def test_a_trial_begins_the_same_whatever_came_before():
    def drawn(names):
        return {name: float(torch.rand(())) for name, _ in Bench(0).each([(name, None) for name in names])}

    assert drawn("ab")["b"] == drawn("b")["b"]
    assert drawn("ab")["a"] != drawn("ab")["b"]


def test_seeds_and_purposes_give_other_numbers():
    seeds = {Bench(seed).seed_for(*purpose) for seed in (0, 1) for purpose in (("a",), ("b",), ("a", 1), ("a", 2))}
    assert len(seeds) == 8


def test_training_lowers_the_loss_and_says_how():
    torch.manual_seed(0)
    model, listener = Reader("rnn", 2, 6, 1, answers="last"), Listener()
    course = Bench(0, listener).train(model, draw, 40, "x", learning_rate=0.03)
    assert len(course.losses) == len(course.norms) == 40
    assert sum(course.losses[-10:]) < sum(course.losses[:10])
    assert listener.fractions[-1] == 1.0
    assert course.failure is None


def test_training_that_breaks_off_is_a_course_with_its_failure():
    model = Reader("irnn", 2, 8, 1, answers="last", initial={"W_recurrent": "identity(3)", "W_input": "normal(1)"})
    course = Bench(0).train(
        model, lambda random, step: adding(4, 90, random), 40, "x", optimiser="sgd", learning_rate=1.0, clip_norm=None
    )
    assert course.failure is not None
    assert all(math.isfinite(loss) for _, loss in course.smoothed())


def test_ctrl_c_comes_through(ctrl_c):
    def interrupted(random, step):
        if step == 2:
            ctrl_c()
        return draw(random, step)

    with pytest.raises(KeyboardInterrupt):
        Bench(0).train(Reader("rnn", 2, 3, 1, answers="last"), interrupted, 10, "x")


def test_a_course_is_smoothed_over_equal_spans():
    assert Course([1.0] * 100, []).smoothed(10) == [(10 * n, 1.0) for n in range(1, 11)]
    assert Course([3.0, math.inf], []).smoothed(2) == [(1, 3.0)]


def test_measures_are_over_all_answers_in_any_number_of_parts():
    model = Reader("rnn", 2, 3, 1, answers="last")
    examples = adding(700, 5, torch.Generator().manual_seed(0))
    expected = float(((model(examples.inputs)[0][:, 0] - examples.targets) ** 2).mean().detach())
    assert mean_squared_error(model, examples) == pytest.approx(expected, rel=1e-5)


def test_accuracy_counts_what_is_asked_alone():
    class Parrot(torch.nn.Module):
        def forward(self, inputs):
            return torch.nn.functional.one_hot(inputs, 3).float(), {}

    inputs = torch.tensor([[0, 1, 2], [2, 1, 0]])
    assert accuracy(Parrot(), Examples(inputs, torch.tensor([[0, IGNORED, 1], [IGNORED, IGNORED, 0]]))) == 2 / 3


@pytest.mark.parametrize("cell", CATALOGUE)
@pytest.mark.parametrize("layers", [1, 3])
def test_widths_have_about_the_parameters_asked_for(cell, layers):
    width = width_for(cell, 4000, 2, 1, layers)
    count = Reader(cell, 2, width, 1, num_layers=layers).parameter_count
    wider = Reader(cell, 2, width + 1, 1, num_layers=layers).parameter_count
    narrower = Reader(cell, 2, width - 1, 1, num_layers=layers).parameter_count
    assert abs(count - 4000) <= min(abs(wider - 4000), abs(narrower - 4000))

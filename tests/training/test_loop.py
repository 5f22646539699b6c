import json
import math
import signal
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from recurra.errors import DataError, SettingError, TrainingError
from recurra.training import MetricsWriter, Observer, StepLoss, TrainingSettings, seed_everything, train


@dataclass
class Chunk:
    inputs: torch.Tensor
    targets: torch.Tensor
    fresh: bool = True


def settings(**given):
    return TrainingSettings(**{"device": "cpu", "optimiser": "sgd", "learning_rate": 0.1, "clip_norm": None} | given)


class Reader(nn.Module):
    """A GRU and a readout; the state is the GRU's."""

    def __init__(self, inputs, outputs, hidden=16, dropout=0.0):
        super().__init__()
        self.gru, self.readout = nn.GRU(inputs, hidden, batch_first=True), nn.Linear(hidden, outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs, state):
        outputs, state = self.gru(inputs, state)
        return self.readout(self.dropout(outputs)), state


def cross_entropy(model, batch, carried):
    logits, state = model(batch.inputs, carried)
    total = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="sum", ignore_index=-100)
    return StepLoss(total, int((batch.targets != -100).sum()), state)


class Scalar(nn.Module):
    """One weight, for tests that care for the loop alone."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0]))


def pull(model, batch, carried):
    return StepLoss((model.weight * batch).sum(), 1)


class Epochs:
    """Batches by a function from the epoch's number; a decorator of such functions."""

    def __init__(self, batches_of):
        self.epoch = batches_of


@Epochs
def ten_batches(epoch):
    return [1.0] * 10


class Recorder(Observer):
    def __init__(self):
        self.starts, self.steps, self.validations, self.results, self.notices = [], [], [], [], []

    def on_start(self, start):
        self.starts.append(start)

    def on_step(self, event):
        self.steps.append(event)

    def on_validation(self, event):
        self.validations.append(event)

    def on_notice(self, notice):
        self.notices.append(notice)

    def on_end(self, result):
        self.results.append(result)


@pytest.fixture
def ctrl_c():
    """What Ctrl-C does to a plain Python program, whatever runs the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


# Truncated backpropagation through time


def test_the_gradient_of_a_chunk_is_that_of_its_own_steps_with_the_state_given():
    """h[t] = a h[t-1] + b x[t]: dh[t]/da = h[t-1] + a dh[t-1]/da, and 0 where the chunk begins."""
    x, y, length, rate = [0.3, -0.7, 1.1, 0.4, 0.9, -0.2], [0.5, 0.1, -0.4, 0.8, 0.2, 0.6], 3, 0.05
    model = nn.Module()
    model.a, model.b = (nn.Parameter(torch.tensor(value, dtype=torch.float64)) for value in (0.8, 1.2))

    def loss(model, batch, carried):
        h = torch.zeros((), dtype=torch.float64) if carried is None else carried["h"]
        total = torch.zeros((), dtype=torch.float64)
        for value, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
            h = model.a * h + model.b * value
            total = total + (h - target) ** 2
        return StepLoss(total, len(batch.inputs), {"h": h})

    @Epochs
    def chunks(epoch):
        for start in (0, length):
            part = slice(start, start + length)
            yield Chunk(torch.tensor(x[part]).double(), torch.tensor(y[part]).double(), fresh=start == 0)

    x, y = torch.tensor(x).double().tolist(), torch.tensor(y).double().tolist()
    train(model, chunks, loss, settings(epochs=1, learning_rate=rate))

    a, b, h = 0.8, 1.2, 0.0
    for start in (0, length):
        da = db = gradient_a = gradient_b = 0.0
        for t in range(start, start + length):
            da, db = h + a * da, x[t] + a * db
            h = a * h + b * x[t]
            gradient_a += 2 * (h - y[t]) * da / length
            gradient_b += 2 * (h - y[t]) * db / length
        a, b = a - rate * gradient_a, b - rate * gradient_b
    # 32-bit tensors of the data were widened on both sides; what is left is rounding in 64 bits.
    assert model.a.item() == pytest.approx(a, rel=1e-7)
    assert model.b.item() == pytest.approx(b, rel=1e-7)


def test_the_state_goes_on_without_its_graph_until_a_batch_is_fresh():
    seen = []

    def loss(model, batch, carried):
        if torch.is_grad_enabled():  # else it is looked at once more, to see where it goes wrong
            seen.append(carried)
        state = (model.weight * 1, {"step": len(seen)})
        return StepLoss(model.weight.sum(), 1, state)

    @Epochs
    def batches(epoch):
        return [Chunk(None, None, fresh) for fresh in (True, False, False, True, False)]

    train(Scalar(), batches, loss, settings(epochs=2))
    steps = [None if carried is None else carried[1]["step"] for carried in seen]
    assert steps == [None, 1, 2, None, 4, None, 6, 7, None, 9]
    assert not any(carried[0].requires_grad for carried in seen if carried is not None)


def test_batches_that_do_not_speak_of_it_are_fresh():
    seen = []

    def loss(model, batch, carried):
        if torch.is_grad_enabled():  # else it is looked at once more, to see where it goes wrong
            seen.append(carried)
        return StepLoss(model.weight.sum(), 1, carried=model.weight)

    train(Scalar(), ten_batches, loss, settings(epochs=1))
    assert seen == [None] * 10


def memory_task(carry):
    """The first chunk shows a bit, the second, which shows nothing, is asked for it."""

    @Epochs
    def batches(epoch):
        generator = torch.Generator().manual_seed(epoch)
        for _ in range(10):
            bits = torch.randint(2, (32, 1), generator=generator)
            shown = F.one_hot(bits, 3).float()
            blank = F.one_hot(torch.full((32, 2), 2), 3).float()
            yield Chunk(shown, torch.full((32, 1), -100))
            yield Chunk(blank, bits.expand(32, 2), fresh=not carry)

    seed_everything(0)
    recorder = Recorder()
    model = Reader(3, 2)
    train(
        model, batches, cross_entropy, settings(epochs=15, optimiser="adam", learning_rate=0.02), observers=[recorder]
    )
    return recorder.steps[-1].loss


def test_what_only_the_carried_state_knows_is_learned():
    assert memory_task(carry=True) < 0.01


def test_without_the_carried_state_it_stays_a_coin_toss():
    assert memory_task(carry=False) == pytest.approx(math.log(2), abs=0.05)


def test_a_gru_learns_to_echo():
    """The answer at every step is the symbol two steps before."""

    @Epochs
    def batches(epoch):
        generator = torch.Generator().manual_seed(epoch)
        for _ in range(20):
            symbols = torch.randint(4, (16, 10), generator=generator)
            targets = torch.cat([torch.full((16, 2), -100), symbols[:, :-2]], dim=1)
            yield Chunk(F.one_hot(symbols, 4).float(), targets)

    seed_everything(0)
    recorder = Recorder()
    given = settings(epochs=15, optimiser="adam", learning_rate=0.03, clip_norm=1.0, schedule="cosine", max_steps=200)
    train(Reader(4, 4, hidden=24), batches, cross_entropy, given, observers=[recorder])
    assert recorder.steps[0].loss == pytest.approx(math.log(4), abs=0.2)
    assert recorder.steps[-1].loss < 0.05


# Steps


def test_the_loss_is_averaged_over_what_is_counted():
    recorder, model = Recorder(), Scalar()
    train(
        model,
        Epochs(lambda epoch: [torch.tensor([3.0])]),
        lambda model, batch, carried: StepLoss((model.weight * batch).sum(), 6),
        settings(epochs=1),
        observers=[recorder],
    )
    assert (recorder.steps[0].loss, recorder.steps[0].count) == (0.5, 6)
    assert recorder.steps[0].gradient_norm == 0.5
    assert model.weight.item() == pytest.approx(1 - 0.1 * 0.5)


def test_gradients_are_clipped_and_the_norm_before_is_told():
    recorder, model = Recorder(), Scalar()
    train(model, Epochs(lambda epoch: [4.0]), pull, settings(epochs=1, clip_norm=2.0), observers=[recorder])
    assert (recorder.steps[0].gradient_norm, recorder.steps[0].clipped) == (4.0, 1)
    assert model.weight.item() == pytest.approx(1 - 0.1 * 2)


def test_the_schedule_sets_the_rate_of_each_step():
    recorder, model = Recorder(), Scalar()
    train(
        model,
        Epochs(lambda epoch: [1.0] * 2),
        pull,
        settings(epochs=2, schedule="cosine", warmup_steps=2),
        observers=[recorder],
    )
    rates = [event.learning_rate for event in recorder.steps]
    assert rates == pytest.approx(
        [0.05, 0.1 * (1 + math.cos(math.pi / 4)) / 2, 0.05, 0.1 * (1 - math.cos(math.pi / 4)) / 2]
    )
    assert model.weight.item() == pytest.approx(1 - sum(rates), rel=1e-6)


def test_a_plateau_lowers_the_rate_of_the_next_epoch():
    recorder, losses = Recorder(), iter([2.0, 2.5, 1.0])
    train(
        Scalar(),
        Epochs(lambda epoch: [1.0]),
        pull,
        settings(epochs=3, schedule="plateau", decay_after=1),
        evaluate=lambda: {"loss": next(losses)},
        observers=[recorder],
    )
    assert [event.learning_rate for event in recorder.steps] == [0.1, 0.1, 0.05]


def test_a_batch_that_counts_nothing_makes_no_step():
    model, recorder = Scalar(), Recorder()

    def loss(model, batch, carried):
        return StepLoss(model.weight.sum() * batch, int(batch))

    result = train(model, Epochs(lambda epoch: [1.0, 0.0, 1.0]), loss, settings(epochs=1), observers=[recorder])
    assert result.steps == len(recorder.steps) == 2
    assert model.weight.item() == pytest.approx(0.8)


def test_a_batch_is_moved_to_the_device():
    moved = []

    class Batch:
        fresh = False

        def to(self, device):
            moved.append(str(device))
            return 1.0

    train(Scalar(), Epochs(lambda epoch: [Batch()]), pull, settings(epochs=1))
    assert moved == ["cpu"]


def test_events_tell_place_and_time():
    clock, recorder = Clock(), Recorder()

    def loss(model, batch, carried):
        clock.now += 2
        return pull(model, batch, carried)

    def evaluate():
        clock.now += 100
        return {"loss": 1.0}

    result = train(
        Scalar(),
        Epochs(lambda epoch: [1.0] * 2),
        loss,
        settings(epochs=2),
        evaluate=evaluate,
        observers=[recorder],
        clock=clock,
    )
    assert recorder.starts[0].parameters == 1
    assert recorder.starts[0].device == "cpu"
    steps = recorder.steps
    assert [(event.step, event.epoch) for event in steps] == [(1, 1), (2, 1), (3, 2), (4, 2)]
    assert [event.seconds for event in steps] == [2, 2, 2, 2]
    assert [event.elapsed for event in steps] == [2, 4, 106, 108]
    assert [event.fraction for event in steps] == [0.25, 0.5, 0.75, 1.0]
    assert [event.seconds_left for event in steps] == pytest.approx([6, 4, 106 / 3, 0])
    assert [event.items_per_second for event in steps] == [0.5] * 4
    assert [(event.step, event.epoch, event.elapsed) for event in recorder.validations] == [(2, 1, 104), (4, 2, 208)]
    assert recorder.results == [result]
    assert (result.ended, result.steps, result.epochs, result.seconds) == ("epochs", 4, 2, 208)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


# Validation and the best model


def scripted(model, losses):
    """An evaluation that gives these losses in turn, and the weights it saw."""
    losses, seen = iter(losses), []

    def evaluate():
        assert not model.training
        assert not torch.is_grad_enabled()
        seen.append(model.weight.item())
        return {"loss": next(losses), "accuracy": 0.5}

    return evaluate, seen


def test_the_best_weights_are_put_back():
    model, recorder, saved = Scalar(), Recorder(), []
    evaluate, seen = scripted(model, [3.0, 1.0, 2.0, math.nan])
    result = train(
        model,
        ten_batches,
        pull,
        settings(epochs=4),
        evaluate=evaluate,
        observers=[recorder],
        save_best=lambda weights: saved.append(model.weight.item()),
    )
    assert model.weight.item() == seen[1] != seen[3]
    assert saved == seen[:2]
    assert [event.is_best for event in recorder.validations] == [True, True, False, False]
    assert (result.best_step, result.best_metrics) == (20, {"loss": 1.0, "accuracy": 0.5})
    assert not model.training
    assert model.weight.grad is None


def test_the_metric_to_go_by_can_be_chosen():
    model = Scalar()
    metrics = iter([{"loss": 1.0, "error": 0.2}, {"loss": 2.0, "error": 0.1}])
    result = train(model, ten_batches, pull, settings(epochs=2), evaluate=lambda: next(metrics), best_by="error")
    assert result.best_step == 20
    metrics = iter({"loss": loss, "right": right} for right, loss in [(0.2, 1.0), (0.9, 3.0), (0.9, 2.0), (0.8, 1.0)])
    evaluate = lambda: next(metrics)  # noqa: E731
    result = train(model, ten_batches, pull, settings(epochs=4), evaluate=evaluate, best_by="right", highest=True)
    assert (result.best_step, result.best_metrics) == (30, {"loss": 2.0, "right": 0.9})
    with pytest.raises(SettingError, match="best_by 'wer' is not among the metrics of the validation: loss"):
        train(model, ten_batches, pull, settings(), evaluate=lambda: {"loss": 1.0}, best_by="wer")


def test_validations_come_every_so_many_steps_and_at_the_end():
    model, recorder = Scalar(), Recorder()
    evaluate, _ = scripted(model, [5.0] * 9)
    train(model, ten_batches, pull, settings(epochs=2, validate_every=8), evaluate=evaluate, observers=[recorder])
    assert [event.step for event in recorder.validations] == [8, 16, 20]


def test_validations_come_every_so_many_minutes_and_at_the_end():
    """Steps of 11 seconds, validations of 100, one due half a minute after the last has ended."""
    clock, recorder = Clock(), Recorder()

    def loss(model, batch, carried):
        clock.now += 11
        return pull(model, batch, carried)

    def evaluate():
        clock.now += 100
        return {"loss": 1.0}

    given = settings(epochs=1, validate_minutes=0.5)
    train(Scalar(), ten_batches, loss, given, evaluate=evaluate, observers=[recorder], clock=clock)
    assert [event.step for event in recorder.validations] == [3, 6, 9, 10]


def test_without_an_evaluation_the_latest_weights_are_kept():
    model, saved = Scalar(), []
    result = train(
        model, ten_batches, pull, settings(epochs=2), save_best=lambda weights: saved.append(model.weight.item())
    )
    assert saved == pytest.approx([0.0, -1.0], abs=1e-6)
    assert model.weight.item() == saved[-1]
    assert (result.best_step, result.best_metrics) == (20, {})


# Ends


def test_max_steps_ends_within_an_epoch_with_a_validation():
    model, recorder = Scalar(), Recorder()
    evaluate, _ = scripted(model, [3.0, 2.0])
    result = train(model, ten_batches, pull, settings(epochs=5, max_steps=13), evaluate=evaluate, observers=[recorder])
    assert (result.ended, result.steps, result.epochs) == ("steps", 13, 1)
    assert [event.step for event in recorder.validations] == [10, 13]
    assert recorder.steps[-1].fraction == 1.0


def test_max_minutes_ends_at_the_next_step():
    clock = Clock()

    def loss(model, batch, carried):
        clock.now += 11
        return pull(model, batch, carried)

    model = Scalar()
    evaluate, _ = scripted(model, [3.0])
    result = train(model, ten_batches, loss, settings(max_minutes=1), evaluate=evaluate, clock=clock)
    assert (result.ended, result.steps, result.best_step) == ("minutes", 6, 6)


def stop_at(step, stop):
    """A loss that calls `stop` while it computes this step."""
    taken = []

    def loss(model, batch, carried):
        taken.append(batch)
        if len(taken) == step:
            stop()
        return pull(model, batch, carried)

    return loss


def test_ctrl_c_waits_for_the_step_and_keeps_the_best(ctrl_c, tmp_path):
    model, recorder = Scalar(), Recorder()
    evaluate, seen = scripted(model, [3.0, 2.0])
    path = tmp_path / "metrics.jsonl"
    result = train(
        model,
        ten_batches,
        stop_at(15, ctrl_c),
        settings(epochs=3, log_every=4),
        evaluate=evaluate,
        observers=[MetricsWriter(path), recorder],
    )
    assert result.interrupted
    assert (result.steps, result.epochs, result.best_step) == (15, 1, 10)
    assert recorder.steps[-1].step == 15
    assert model.weight.item() == seen[0]
    assert recorder.results == [result]
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(record["kind"], record["step"]) for record in records] == [
        ("train", 4),
        ("train", 8),
        ("train", 10),
        ("validation", 10),
        ("train", 14),
        ("train", 15),
    ]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_that_does_not_wait_ends_cleanly_too():
    def stop():
        raise KeyboardInterrupt

    model, recorder = Scalar(), Recorder()
    evaluate, seen = scripted(model, [3.0])
    result = train(model, ten_batches, stop_at(15, stop), settings(), evaluate=evaluate, observers=[recorder])
    assert (result.interrupted, result.steps, result.best_step) == (True, 14, 10)
    assert model.weight.item() == seen[0]
    assert recorder.results == [result]


def test_ctrl_c_breaks_off_a_validation(ctrl_c):
    model = Scalar()

    def evaluate():
        ctrl_c()
        raise AssertionError("went on")

    result = train(model, ten_batches, pull, settings(), evaluate=evaluate)
    assert (result.interrupted, result.steps, result.best_step) == (True, 10, 10)


def test_what_was_learned_before_the_first_validation_is_kept(ctrl_c):
    model, saved = Scalar(), []
    result = train(
        model,
        ten_batches,
        stop_at(3, ctrl_c),
        settings(),
        evaluate=lambda: {"loss": 1.0},
        save_best=lambda weights: saved.append(model.weight.item()),
    )
    assert (result.interrupted, result.best_step, result.best_metrics) == (True, 3, {})
    assert saved == [model.weight.item()] == pytest.approx([0.7])


# Errors


def test_a_loss_that_is_not_finite_names_the_step_and_the_mends():
    model, recorder = Scalar(), Recorder()
    evaluate, seen = scripted(model, [3.0, 2.0])
    batches = [1.0] * 10

    @Epochs
    def source(epoch):
        return batches if epoch == 0 else [1.0, math.inf]

    with pytest.raises(
        TrainingError,
        match=r"step 12 \(epoch 2\): the loss is -?inf; the gradient norms before: 1, 1, 1, 1, 1; "
        r"try a lower learning_rate \(now 0\.1\).*clip_norm",
    ):
        train(model, source, pull, settings(skip_limit=0), evaluate=evaluate, observers=[recorder])
    assert model.weight.item() == seen[0]
    assert [result.ended for result in recorder.results] == ["error"]
    assert recorder.results[0].steps == 11


def test_a_gradient_that_is_not_finite_names_the_parameter():
    def loss(model, batch, carried):
        return StepLoss((model.weight - 1).abs().sqrt().sum(), 1)

    with pytest.raises(TrainingError, match=r"step 1 \(epoch 1\): the gradient of 'weight' is not finite.*try a lower"):
        train(Scalar(), ten_batches, loss, settings(skip_limit=0))


def test_a_step_that_is_not_finite_is_skipped_counted_and_told_once():
    model, recorder = Scalar(), Recorder()
    batches = [1.0, math.nan, math.inf, 1.0, math.nan, 1.0]
    result = train(model, Epochs(lambda epoch: batches), pull, settings(epochs=1), observers=[recorder])
    assert model.weight.item() == pytest.approx(1 - 3 * 0.1)
    assert (result.steps, result.skipped) == (3, 3)
    assert [event.skipped for event in recorder.steps] == [0, 2, 1]
    assert recorder.notices == [
        "step 2 (epoch 1): the loss is nan; the step is skipped",
        "step 3 (epoch 1): the loss is nan; the step is skipped",
    ]


def test_too_many_skips_in_a_row_end_it_and_name_the_first_step_and_the_layer():
    class Overflow(nn.Module):
        def forward(self, x):
            return (x * 1e4).exp()

    model = nn.Sequential(nn.Linear(1, 1), Overflow(), nn.Linear(1, 1))
    batches = [torch.full((1, 1), value) for value in (0.0, 0.0, 9.0, 9.0, 9.0, 9.0)]
    nn.init.ones_(model[0].weight)
    nn.init.zeros_(model[0].bias)

    def loss(model, batch, carried):
        return StepLoss(model(batch).sum(), 1)

    with pytest.raises(
        TrainingError,
        match=r"^3 steps in a row could not be taken, the first at step 3 \(epoch 1\): the loss is -?inf; "
        r"it begins in layer '1' \(Overflow\); the gradient norms before: [0-9.e+]+, [0-9.e+]+; try a lower",
    ):
        train(model, Epochs(lambda epoch: batches), loss, settings(skip_limit=2, learning_rate=1e-9))


def test_a_carried_state_that_is_not_finite_is_begun_anew():
    seen = []

    def loss(model, batch, carried):
        if torch.is_grad_enabled():  # else it is looked at once more, to see where it goes wrong
            seen.append(carried)
        return StepLoss(model.weight.sum() * batch.inputs, 1, torch.tensor(batch.inputs))

    batches = [Chunk(value, 0, fresh=False) for value in (1.0, math.inf, 2.0, 3.0)]
    train(Scalar(), Epochs(lambda epoch: batches), loss, settings(epochs=1))
    assert seen == [None, 1.0, None, 2.0]


def test_batches_are_accumulated_into_one_step():
    recorder, model = Recorder(), Scalar()

    def loss(model, batch, carried):
        return StepLoss((model.weight * batch).sum(), len(batch), carried=0)

    batches = [torch.tensor([1.0]), torch.tensor([2.0, 3.0, 6.0]), torch.tensor([5.0])]
    train(model, Epochs(lambda epoch: batches), loss, settings(epochs=1, accumulate=2), observers=[recorder])
    assert [event.gradient_norm for event in recorder.steps] == [3.0, 5.0]  # the mean over four items, and over one
    assert [event.count for event in recorder.steps] == [4, 1]
    assert model.weight.item() == pytest.approx(1 - 0.1 * 3 - 0.1 * 5)


def test_a_penalty_is_in_the_gradient_and_not_in_the_loss():
    recorder, model = Recorder(), Scalar()

    def loss(model, batch, carried):
        return StepLoss((model.weight * batch).sum() * 4, 4, penalty=model.weight.sum() * 10)

    for accumulate in (1, 2):
        train(
            model,
            Epochs(lambda epoch: [1.0] * 2),
            loss,
            settings(epochs=1, accumulate=accumulate),
            observers=[recorder],
        )
    assert [event.gradient_norm for event in recorder.steps] == [11.0] * 3
    assert recorder.steps[0].loss == 1.0


def test_a_batch_may_change_the_rate_of_its_step():
    class Half(float):
        rate = 0.5

    recorder = Recorder()
    train(Scalar(), Epochs(lambda epoch: [1.0, Half(1.0)]), pull, settings(epochs=1), observers=[recorder])
    assert [event.learning_rate for event in recorder.steps] == [0.1, 0.05]


def test_patience_ends_it():
    losses = iter([3.0, 2.0, 2.5, 2.2, 1.0])
    result = train(Scalar(), ten_batches, pull, settings(epochs=9, patience=2), evaluate=lambda: {"loss": next(losses)})
    assert (result.ended, result.epochs, result.best_step) == ("patience", 4, 20)
    with pytest.raises(SettingError, match="patience waits for validations"):
        train(Scalar(), ten_batches, pull, settings(patience=2))


def test_an_average_of_the_weights_is_what_is_validated_and_kept():
    model, seen, trained = Scalar(), [], []

    class Watch(Observer):
        def on_step(self, event):
            trained.append(model.weight.item())

    def evaluate():
        seen.append(model.weight.item())
        return {"loss": 1.0}

    given = settings(epochs=1, weight_average=0.5, validate_every=3)
    train(model, ten_batches, pull, given, evaluate=evaluate, observers=[Watch()])
    average, expected = trained[0], []
    for step, weight in enumerate(trained[1:], 2):
        decay = min(0.5, step / (step + 9))
        average = decay * average + (1 - decay) * weight
        expected += [average] * (step % 3 == 0 or step == 10)
    assert seen == pytest.approx(expected)
    assert trained == pytest.approx([1 - 0.1 * step for step in range(1, 11)], abs=1e-6)
    assert model.weight.item() == pytest.approx(seen[0])


def test_bfloat16_is_asked_of_torch():
    dtypes = []

    def loss(model, batch, carried):
        answer = model(torch.ones(1, 4))
        dtypes.append(answer.dtype)
        return StepLoss(answer.float().sum(), 1)

    model = nn.Linear(4, 4)
    for precision in ("float32", "bfloat16"):
        train(model, Epochs(lambda epoch: [1.0]), loss, settings(epochs=1, precision=precision))
    assert dtypes == [torch.float32, torch.bfloat16]
    assert model.weight.dtype == torch.float32


def test_a_loss_without_a_graph_is_an_error():
    def loss(model, batch, carried):
        return StepLoss(model.weight.detach().sum(), 1)

    with pytest.raises(TrainingError, match="the loss depends on no parameter of the model"):
        train(Scalar(), ten_batches, loss, settings())


def test_an_epoch_of_nothing_is_an_error():
    with pytest.raises(DataError, match="epoch 1 has nothing to train on"):
        train(Scalar(), Epochs(lambda epoch: []), pull, settings())
    with pytest.raises(DataError, match="epoch 2 has nothing to train on"):
        train(Scalar(), Epochs(lambda epoch: [1.0][epoch:]), pull, settings())


def test_a_cosine_must_know_its_end():
    with pytest.raises(SettingError, match="schedule 'cosine' must know when training ends"):
        train(Scalar(), Epochs(lambda epoch: iter([1.0])), pull, settings(schedule="cosine"))

    class Source:
        def __len__(self):
            return 2

        def epoch(self, number):
            return iter([1.0, 1.0])

    recorder = Recorder()
    train(Scalar(), Source(), pull, settings(epochs=1, schedule="cosine"), observers=[recorder])
    assert [event.learning_rate for event in recorder.steps] == pytest.approx([0.1, 0.05])


def test_a_plateau_must_have_validations():
    with pytest.raises(SettingError, match="schedule 'plateau' waits for validations"):
        train(Scalar(), ten_batches, pull, settings(schedule="plateau"))


def test_every_observer_hears_of_the_end():
    heard = []

    class Listener(Observer):
        def __init__(self, name):
            self.name = name

        def on_end(self, result):
            heard.append(self.name)
            if self.name == "first":
                raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        train(Scalar(), ten_batches, pull, settings(epochs=1), observers=[Listener("first"), Listener("second")])
    assert heard == ["first", "second"]


# Seeds


class Failing(Observer):
    def __init__(self, error, only_shows=True):
        self.error, self.only_shows, self.notices = error, only_shows, []

    def on_step(self, event):
        raise self.error

    on_validation = on_end = on_step

    def on_notice(self, notice):
        self.notices.append(notice)


@pytest.mark.parametrize(
    ("error", "notice"),
    [
        (
            SettingError("the logits are not numbers"),
            "the logits are not numbers; this is only shown: training goes on",
        ),
        (ZeroDivisionError("by zero\nand more"), "ZeroDivisionError: by zero; this is only shown: training goes on"),
        (OSError(), "OSError; this is only shown: training goes on"),
    ],
)
def test_what_is_only_shown_ends_no_training_and_is_told_once(error, notice):
    told = Failing(error)
    result = train(Scalar(), ten_batches, pull, settings(epochs=2), evaluate=lambda: {"loss": 1.0}, observers=[told])
    assert (result.ended, result.steps) == ("epochs", 20)
    assert told.notices[0] == notice
    assert len(told.notices) == 2  # and once more at the end, of which it is told by itself


def test_an_error_in_what_is_kept_ends_the_training():
    with pytest.raises(ZeroDivisionError):
        train(Scalar(), ten_batches, pull, settings(), observers=[Failing(ZeroDivisionError(), only_shows=False)])


def test_what_was_not_told_of_the_start_is_not_told_of_the_end():
    class Refuses(Observer):
        def on_start(self, start):
            raise SettingError("no")

    with pytest.raises(SettingError, match="no"):
        train(Scalar(), ten_batches, pull, settings(), observers=[Refuses(), Failing(ZeroDivisionError(), False)])


def test_what_is_no_source_of_batches_or_no_loss_is_told():
    loader = torch.utils.data.DataLoader(torch.zeros(4, 3), batch_size=2)
    with pytest.raises(SettingError, match=r"batches is a DataLoader, which has no method epoch\(number, start=0\)"):
        train(Scalar(), loader, pull, settings())
    with pytest.raises(SettingError, match="loss is a Tensor; give a function"):
        train(Scalar(), ten_batches, torch.zeros(()), settings())
    with pytest.raises(TrainingError, match="the loss function returned a Tensor; it must return a StepLoss"):
        train(Scalar(), ten_batches, lambda model, batch, carried: model.weight.sum(), settings())
    with pytest.raises(TrainingError, match="the count of a StepLoss is -8"):
        StepLoss(torch.zeros(()), -8)


@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_a_sparse_gradient_is_named(clip_norm):
    model = nn.Embedding(10, 4, sparse=True)

    def square(model, batch, carried):
        return StepLoss(model(batch).square().sum(), len(batch))

    chosen = settings(optimiser="sgd", clip_norm=clip_norm)
    with pytest.raises(SettingError, match="the gradient of 'weight' is sparse, and must be dense: leave sparse=True"):
        train(model, Epochs(lambda epoch: [torch.arange(3)]), square, chosen)


def weights_after(seed, *, observers=(), evaluate=None, drawn_before=0):
    """The weights of a GRU with dropout, trained on a stream for a few steps."""
    seed_everything(seed)
    model = Reader(4, 4, dropout=0.5)
    torch.rand(drawn_before)
    stream = torch.randint(4, (8, 31), generator=torch.Generator().manual_seed(1))

    @Epochs
    def batches(epoch):
        for start in range(0, 30, 5):
            inputs, targets = stream[:, start : start + 5], stream[:, start + 1 : start + 6]
            yield Chunk(F.one_hot(inputs, 4).float(), targets, fresh=start == 0)

    given = settings(epochs=3, optimiser="adamw", clip_norm=1.0, seed=seed)
    train(model, batches, cross_entropy, given, observers=observers, evaluate=evaluate)
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def test_the_same_seed_gives_the_same_weights_bit_for_bit():
    first = weights_after(1)
    assert torch.equal(weights_after(1), first)
    assert torch.equal(weights_after(1, drawn_before=5), first)
    assert not torch.equal(weights_after(2), first)


def test_watching_changes_nothing():
    class Sampler(Observer):
        def on_validation(self, event):
            torch.rand(100)

    losses = iter([3.0, 2.0, 1.0])

    def evaluate():
        torch.rand(7)
        return {"loss": next(losses)}

    assert torch.equal(weights_after(1, observers=[Sampler()], evaluate=evaluate), weights_after(1))


def test_what_the_model_says_before_the_first_step_is_told_once():
    class Talking(Scalar):
        def training_notices(self):
            return ["weight begins at 1"]

    model, recorder = nn.ModuleList([Talking(), Talking()]), Recorder()
    train(
        model,
        ten_batches,
        lambda model, batch, carried: pull(model[0], batch, carried),
        settings(epochs=1),
        observers=[recorder],
    )
    assert recorder.notices == ["weight begins at 1"]

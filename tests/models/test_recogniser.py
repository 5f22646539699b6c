"""The recogniser: subsampling by its equation, the loss against enumeration, streams against the whole."""

import itertools
import math

import pytest
import torch
from torch import nn

from recurra.errors import SettingError
from recurra.models.encoder import Encoder
from recurra.models.long_recording import read_in_pieces
from recurra.models.recogniser import BLANK, Recogniser, RecogniserScores
from recurra.models.subsampling import Subsampling
from recurra.nn import Recurrent


def recogniser(factor=4, kernel_size=5, lookahead=0, bidirectional=False, cell="gru", seed=0):
    torch.manual_seed(seed)
    recurrent = Recurrent(cell, 6, 7, num_layers=2, bidirectional=bidirectional, dropout=0.5)
    model = Recogniser(
        Subsampling(3, 6, factor, kernel_size, 0.5), Encoder(nn.Identity(), recurrent, 0.5, lookahead), 4
    )
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    return model.eval()


# Subsampling


@pytest.mark.parametrize(("factor", "kernel_size"), [(1, 3), (2, 5), (4, 5), (8, 3)])
def test_subsampling_is_its_equation_and_rows_do_not_meet(factor, kernel_size):
    torch.manual_seed(0)
    model = Subsampling(3, 4, factor, kernel_size).double()
    lengths = [1, 2, 5, 8, 9, 21]
    frames = torch.randn(len(lengths), 21, 3, dtype=torch.float64)
    for row, length in enumerate(lengths):
        frames[row, length:] = math.nan  # what stands past the end of a row is nobody's
    vectors, ends = model(frames, torch.tensor(lengths))
    assert ends.tolist() == [model.frames_of(length) for length in lengths]
    for row, length in enumerate(lengths):
        values = frames[row, :length]
        for convolution, norm in zip(model.convolutions, model.norms, strict=True):
            values = torch.stack(
                [_frame(values, model.stride * t, convolution, norm) for t in range(-(-len(values) // model.stride))]
            )
        torch.testing.assert_close(vectors[row, : len(values)], values)
        assert not vectors[row, len(values) :].any()


def _frame(values, middle, convolution, norm):
    """One frame by the equation: a sum over a window around it, beyond the ends of which nothing stands."""
    total = convolution.bias.clone()
    for number in range(convolution.kernel_size[0]):
        t = middle + number - convolution.kernel_size[0] // 2
        if 0 <= t < len(values):
            total = total + convolution.weight[:, :, number] @ values[t]
    return torch.relu(norm(total))


@pytest.mark.parametrize(("factor", "kernel_size"), [(1, 5), (2, 3), (4, 5), (8, 3)])
def test_a_frame_sees_so_many_frames_ahead_and_no_more(factor, kernel_size):
    torch.manual_seed(0)
    model = Subsampling(3, 6, factor, kernel_size).double()
    frames = torch.randn(1, 64, 3, dtype=torch.float64, requires_grad=True)
    step = 3
    model(frames)[0][0, step].sum().backward()
    assert frames.grad[0].any(1).nonzero().max() == step * factor + model.ahead


@pytest.mark.parametrize(
    "values", [{"factor": 3}, {"kernel_size": 4}, {"kernel_size": 1}, {"size": 0}, {"dropout": 1.5}]
)
def test_what_cannot_be_is_refused(values):
    with pytest.raises(SettingError):
        Subsampling(**{"inputs": 3, "size": 4, **values})


# The loss


def test_the_loss_is_that_of_all_ways_that_spell_the_labels():
    torch.manual_seed(0)
    log_probabilities = torch.randn(2, 4, 3, dtype=torch.float64).log_softmax(2)
    scores = RecogniserScores(log_probabilities, torch.tensor([4, 3]))
    targets = torch.tensor([[1, 1], [2, -100]])
    losses = Recogniser.loss(scores, targets, torch.tensor([2, 1]))
    for row, (labels, frames) in enumerate([((1, 1), 4), ((2,), 3)]):
        ways = [way for way in itertools.product(range(3), repeat=frames) if _spelled(way) == labels]
        total = sum(math.exp(sum(log_probabilities[row, t, label] for t, label in enumerate(way))) for way in ways)
        assert losses[row].item() == pytest.approx(-math.log(total), rel=1e-6)


def _spelled(way):
    return tuple(label for label, _ in itertools.groupby(way) if label != BLANK)


def test_labels_that_no_way_spells_cost_infinitely_much():
    scores = RecogniserScores(torch.zeros(1, 2, 3).log_softmax(2), torch.tensor([2]))
    assert Recogniser.loss(scores, torch.tensor([[1, 1]]), torch.tensor([2])).tolist() == [math.inf]


def test_batch_mates_never_change_an_answer():
    model = recogniser(bidirectional=True, cell="lstm")
    frames, lengths = torch.randn(5, 40, 3), [40, 1, 4, 17, 39]
    scores, state = model(frames, lengths=lengths)
    for row, length in enumerate(lengths):
        alone, state_alone = model(frames[row : row + 1, :length])
        torch.testing.assert_close(scores.log_probabilities[row, : scores.lengths[row]], alone.log_probabilities[0])
        torch.testing.assert_close(state["h"][:, row : row + 1], state_alone["h"])


# Streams


@pytest.mark.parametrize("lookahead", [0, 3])
@pytest.mark.parametrize(
    ("factor", "kernel_size", "cell"), [(1, 3, "gru"), (2, 5, "lstm"), (4, 5, "gru"), (8, 3, "rnn")]
)
def test_a_stream_gives_what_the_whole_gives_as_soon_as_it_can(factor, kernel_size, cell, lookahead):
    model = recogniser(factor, kernel_size, lookahead, cell=cell)
    stream = model.stream()
    model.train()  # it hears as the model does in use, whatever that does meanwhile
    for length in (1, 2, factor + 1, 37):
        frames = torch.randn(length, 3)
        pieces = [stream.push(frame[None]) for frame in frames]
        for step, t in enumerate(range(stream.delay, length, factor)):
            assert sum(map(len, pieces[: t + 1])) == step + 1  # neither earlier nor later
        model.eval()
        whole = model(frames[None])[0].log_probabilities[0]
        model.train()
        torch.testing.assert_close(torch.cat([*pieces, stream.finish()]), whole, atol=1e-5, rtol=1e-4)


def test_in_whatever_pieces_sound_comes_the_numbers_are_the_same():
    model = recogniser(lookahead=1)
    frames = torch.randn(50, 3)
    stream = model.stream()
    for cuts in ([50], [0, 1, 49, 0], [7] * 7 + [1], [24, 26]):
        pieces = [stream.push(piece) for piece in frames.split(cuts)]
        torch.testing.assert_close(
            torch.cat([*pieces, stream.finish()]), model(frames[None])[0].log_probabilities[0], atol=1e-5, rtol=1e-4
        )
    assert stream.finish().shape == (0, 5)  # nothing was heard


def test_a_network_of_both_directions_refuses_to_stream():
    with pytest.raises(SettingError, match="--no-bidirectional"):
        recogniser(bidirectional=True).stream()


@pytest.mark.parametrize("lookahead", [0, 2])
@pytest.mark.parametrize("length", [1, 39, 40, 41, 44, 123])
def test_a_network_of_one_direction_reads_long_recordings_exactly(length, lookahead):
    model, frames = recogniser(lookahead=lookahead), torch.randn(length, 3)
    whole = model(frames[None])[0].log_probabilities[0]
    torch.testing.assert_close(read_in_pieces(model, frames, piece=40), whole, atol=1e-5, rtol=1e-4)


def test_a_network_of_both_directions_reads_each_piece_with_what_is_around_it():
    model, frames = recogniser(bidirectional=True), torch.randn(123, 3)
    whole = model(frames[None])[0].log_probabilities[0]
    torch.testing.assert_close(read_in_pieces(model, frames, piece=40, around=200), whole)
    near = read_in_pieces(model, frames, piece=40, around=40)
    assert near.shape == whole.shape
    torch.testing.assert_close(near, whole, atol=0.05, rtol=0.05)

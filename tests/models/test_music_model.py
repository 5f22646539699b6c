"""Distributions of frames are normalised, and music in pieces is music as a whole."""

import itertools

import pytest
import torch

from recurra.errors import SettingError, ShapeError
from recurra.models.chord_head import ChordHead
from recurra.models.key_head import KeyHead
from recurra.models.music_model import MusicModel
from recurra.nn import Recurrent

KEYS, HIDDEN = 6, 5


def heads(history):
    torch.manual_seed(history)
    width = HIDDEN + KEYS
    yield KeyHead(width, KEYS, history, window=4, channels=3)
    if history:
        yield ChordHead(width, KEYS, 7, history, window=3)


def model_with(head, scale=3.0):
    model = MusicModel(Recurrent("gru", KEYS, HIDDEN), head).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale)
    return model


def random_frames(rows, steps):
    return (torch.rand(rows, steps, KEYS) < 0.4).float()


ALL_CHORDS = torch.tensor(list(itertools.product([0.0, 1.0], repeat=KEYS)))


@pytest.mark.parametrize("head", [*heads(0), *heads(1), *heads(3)], ids=lambda head: f"{head.name} {head.history}")
def test_the_probabilities_of_all_chords_sum_to_one(head):
    model = model_with(head)
    known, _ = model(random_frames(2, 4))
    for row, step in itertools.product(range(2), range(4)):
        context = known.context[row, step].expand(len(ALL_CHORDS), -1)
        history = model.history_of(known.history)[row, step].expand(len(ALL_CHORDS), -1, -1)
        total = head.log_probability(context, history, ALL_CHORDS).double().exp().sum()
        assert total.item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("head", [*heads(0), *heads(1), *heads(3)], ids=lambda head: f"{head.name} {head.history}")
def test_a_piece_in_parts_is_the_whole_piece(head):
    """What the head sees of earlier frames is carried from part to part, whatever their lengths."""
    model, frames = model_with(head), random_frames(2, 9)
    whole = model.log_probability(model(frames)[0], frames)
    state, parts = None, []
    for begin, end in itertools.pairwise((0, 1, 2, 6, 9)):
        known, state = model(frames[:, begin:end], state)
        parts.append(model.log_probability(known, frames[:, begin:end]))
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-5)


@pytest.mark.parametrize("head", [*heads(0), *heads(2)], ids=lambda head: f"{head.name} {head.history}")
def test_a_frame_never_depends_on_itself_or_on_what_follows_or_stands_beside(head):
    model, frames = model_with(head), random_frames(2, 8)
    changed = frames.clone()
    changed[0, 4:] = 1 - changed[0, 4:]
    before, after = model(frames)[0], model(changed)[0]
    assert torch.equal(before.context[0, :5], after.context[0, :5])
    assert torch.equal(before.history[0, :5], after.history[0, :5])
    assert not torch.equal(before.context[0, 5], after.context[0, 5])
    alone = model(frames[:1, :5], lengths=[5])
    assert torch.allclose(alone[0].context[0], before.context[0, :5], atol=1e-6)


def test_the_state_of_a_row_is_that_at_its_length():
    head = next(heads(3))
    model, frames = model_with(head), random_frames(2, 8)
    _, state = model(frames, lengths=[8, 3])
    _, short = model(frames[1:, :3])
    for name, value in short.items():
        assert torch.allclose(state[name][:, 1:], value, atol=1e-6), name


def test_chords_are_scored_as_they_are_built():
    """The note-by-note probabilities of a chord are those that choosing its notes one by one meets."""
    head = ChordHead(3, KEYS, 7, 2, window=3).eval()
    context, history = torch.randn(4, 3), random_frames(4, 2)
    chords = (torch.rand(4, KEYS) < 0.5).float()
    chords[0] = 0
    expected = torch.zeros(4)
    for row in range(4):
        partial = head.start(context)
        for key in [*chords[row].nonzero()[:, 0].tolist(), KEYS]:
            logits = head.next_logits(context, history, partial)[row]
            expected[row] += logits.log_softmax(0)[key]
            if key < KEYS:
                notes, last = partial.notes.clone(), partial.last.clone()
                notes[row, key], last[row] = 1, key
                partial = partial._replace(notes=notes, last=last)
                assert (head.next_logits(context, history, partial)[row, : key + 1] == -torch.inf).all()
    assert torch.allclose(head.log_probability(context, history, chords), expected, atol=1e-5)


def test_what_it_begins_with_is_how_often_keys_sound():
    head = KeyHead(4, 3, history=0)
    head.begin_at_(torch.tensor([0.5, 0.1, 0.02]))
    logits = head.logits(torch.zeros(1, 4), torch.zeros(1, 0, 3))
    assert torch.allclose(logits.sigmoid(), torch.tensor([[0.5, 0.1, 0.02]]))


def test_what_cannot_be_is_refused():
    with pytest.raises(SettingError, match="bidirectional"):
        MusicModel(Recurrent("gru", KEYS, HIDDEN, bidirectional=True), KeyHead(2 * HIDDEN + KEYS, KEYS))
    with pytest.raises(ShapeError, match="a frame has 7 keys, and the model 6"):
        model_with(next(heads(1)))(torch.zeros(1, 2, 7))
    with pytest.raises(SettingError, match="history"):
        ChordHead(3, KEYS, history=0)

"""What a model of music remembers is what brute force finds in the piece, and the same piece by piece."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import SettingError
from recurra.models.chord_head import ChordHead
from recurra.models.key_head import KeyHead
from recurra.models.music_memory import LONGEST, MusicMemory, recalled
from recurra.models.music_model import MusicModel
from recurra.nn import Recurrent

KEYS, HIDDEN = 6, 5


def brute_force(symbols):
    """Before each symbol the place after the longest earlier passage that ends alike, the latest of several."""
    for now in range(len(symbols)):
        best = (0, 0)
        for place in range(1, now):
            length = 0
            while length < min(place, LONGEST) and symbols[place - 1 - length] == symbols[now - 1 - length]:
                length += 1
            if length and length >= best[1]:
                best = (place, length)
        yield best


@given(st.lists(st.integers(0, 2), max_size=60), st.integers(0, 60))
def test_what_is_recalled_is_what_brute_force_finds(symbols, first):
    first = min(first, len(symbols))
    places, lengths = recalled(np.array([symbols], np.int64), first)
    assert list(zip(places[0].tolist(), lengths[0].tolist(), strict=True)) == list(brute_force(symbols))[first:]


def test_long_passages_count_as_of_the_longest_length_at_a_step_as_in_a_row():
    symbols = [0, 1] * 40
    places, lengths = recalled(np.array([symbols]))
    assert lengths.max() == LONGEST
    for first in range(len(symbols)):
        place, length = recalled(np.array([symbols[: first + 1]]), first)
        assert (place[0, 0], length[0, 0]) == (places[0, first], lengths[0, first])


def test_ages_count_the_frames_that_a_key_has_sounded():
    frames = torch.tensor([[[1, 0], [1, 0], [0, 1], [1, 1], [0, 1]]]).float()
    planes = MusicMemory().remember(frames.new_zeros(0, 1, 2), frames).planes[0, :, 0]
    ages = (2 ** (planes * np.log2(1 + LONGEST)) - 1).round().int().tolist()
    assert ages == [[0, 0], [1, 0], [2, 0], [0, 1], [1, 2]]


def test_the_clock_tells_the_place_in_a_bar():
    frames = torch.zeros(1, 7, 2)
    scalars = MusicMemory((3,)).remember(torch.full((4, 1, 2), -1.0), frames).scalars[0, :, 2:]
    angles = torch.arange(7) % 3 * 2 * torch.pi / 3
    assert torch.allclose(scalars, torch.stack([angles.sin(), angles.cos()], 1), atol=1e-6)


def test_frames_that_are_not_there_are_never_recalled():
    frames = torch.tensor([[[1, 0], [0, 0], [1, 0]]]).float()
    alone, after_nothing = (
        MusicMemory().remember(torch.full((count, 1, 2), -1.0), frames).scalars[0] for count in (0, 5)
    )
    assert torch.equal(alone, after_nothing)
    assert after_nothing[:3].tolist() == [[0, 1]] * 3


def models():
    torch.manual_seed(3)
    memory = MusicMemory((2, 3))
    width = MusicModel.context_width(HIDDEN, KEYS, memory)
    for history, kind in ((0, KeyHead), (2, KeyHead), (1, ChordHead), (2, ChordHead)):
        recurrent = Recurrent("gru", MusicModel.input_width(KEYS, memory), HIDDEN)
        model = MusicModel(recurrent, kind(width, KEYS, history=history + memory.planes, window=3), memory=memory)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))  # those that begin at 0, too
        yield model.eval()


@pytest.fixture(params=list(models()), ids=lambda model: f"{model.head.name} {model.head.history}")
def model(request):
    return request.param


def random_frames(rows, steps):
    return (torch.rand(rows, steps, KEYS) < 0.15).float()  # sparse, so that chords come again


def test_a_piece_in_parts_is_the_whole_piece(model):
    frames = random_frames(2, 19)
    whole = model.log_probability(model(frames)[0], frames)
    state, parts = None, []
    for begin, end in itertools.pairwise((0, 1, 2, 9, 10, 19)):
        known, state = model(frames[:, begin:end], state)
        parts.append(model.log_probability(known, frames[:, begin:end]))
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-4)


def test_rows_of_other_lengths_go_on_as_if_alone(model):
    frames, more = random_frames(2, 12), random_frames(2, 6)
    _, state = model(frames, lengths=[12, 7])
    together = model(more, state)[0]
    _, alone = model(frames[1:, :7])
    by_itself = model(more[1:], alone)[0]
    assert torch.allclose(together.history[1], by_itself.history[0], atol=1e-6)
    assert torch.allclose(together.context[1], by_itself.context[0], atol=1e-5)


def test_a_piece_that_is_written_is_known_as_it_is_when_read(model):
    frames = random_frames(3, 15)
    whole, _ = model(frames)
    state = model.begin(3)
    for step in range(15):
        context, history, state = model.step(state)
        assert torch.allclose(context, whole.context[:, step], atol=1e-5)
        assert torch.allclose(history, model.history_of(whole.history)[:, step], atol=1e-6)
        state = model.written(state, frames[:, step])


def test_a_frame_never_depends_on_itself_or_on_what_follows(model):
    frames = random_frames(2, 12)
    changed = frames.clone()
    changed[0, 6:] = 1 - changed[0, 6:]
    before, after = model(frames)[0], model(changed)[0]
    assert torch.equal(before.context[0, :7], after.context[0, :7])
    assert torch.equal(before.history[0, :7], after.history[0, :7])
    assert torch.equal(before.context[1], after.context[1])


def test_a_bar_of_a_single_frame_is_refused():
    with pytest.raises(SettingError, match="periods"):
        MusicMemory((1,))

"""Tagging word by word: the tags of the whole sentence, whatever the lookahead."""

import pytest
import torch
from torch import nn

from recurra.decoding.constraints import iobes_constraints
from recurra.errors import SettingError
from recurra.models.encoder import Encoder
from recurra.models.tagger import Tagger
from recurra.nn import Recurrent
from recurra.nn.crf import CRF

TAGS = ["O", "B-X", "I-X", "E-X", "S-X"]


def tagger(lookahead=None, cell="gru", joined=True, bidirectional=False, seed=0, representatives=None):
    torch.manual_seed(seed)
    recurrent = Recurrent(cell, 8, 12, num_layers=2, bidirectional=bidirectional, dropout=0.5)
    model = Tagger(
        Encoder(nn.Embedding(6, 8), recurrent, 0.5, lookahead or 0),
        CRF(len(TAGS), *iobes_constraints(TAGS)),
        joined=joined,
        online=lookahead is not None,
        representatives=representatives,
    )
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.7)
    return model.eval()


def streamed(stream, words):
    pieces = [stream.push(word.reshape(1, 1)) for word in words]
    return pieces, [tag for piece in pieces for tag in piece] + stream.close()


@pytest.mark.parametrize("lookahead", [None, 0, 1, 3])
@pytest.mark.parametrize(("cell", "joined", "representatives"), [("gru", True, None), ("lstm", False, [0, 1, 2, 2, 1])])
def test_the_stream_gives_the_tags_of_the_whole(lookahead, cell, joined, representatives):
    model = tagger(lookahead, cell, joined, representatives=representatives)
    stream = model.stream()
    draw = torch.Generator().manual_seed(1)
    words = torch.randint(6, (30, 25), generator=draw)
    lengths = torch.randint(0, 26, (30,), generator=draw)
    scores, _ = model(words, lengths=lengths.clamp(min=1))
    whole = model.decode(scores.tags, lengths.clamp(min=1))
    for row, length in enumerate(lengths.tolist()):
        pieces, tags = streamed(stream, words[row, :length])
        assert tags == [tag if representatives is None else representatives[tag] for tag in whole[row][:length]]
        if lookahead is not None:  # each tag when it must come, neither earlier nor later
            assert [len(piece) for piece in pieces] == [int(step >= lookahead) for step in range(length)]


def test_a_stream_drops_nothing_and_leaves_the_model_as_it_was():
    model = tagger(1)
    words = torch.randint(6, (1, 12))
    expected = model.decode(model(words)[0].tags)[0]
    model.train()
    assert streamed(model.stream(), words[0])[1] == expected
    assert all(module.training for module in model.modules())


def test_a_network_that_reads_from_the_end_is_refused_with_what_to_do():
    with pytest.raises(SettingError, match="before the last has come; train one with --no-bidirectional"):
        tagger(bidirectional=True).stream()


@pytest.mark.parametrize("lookahead", [0, 2])
def test_a_word_further_ahead_changes_nothing_and_one_nearer_does(lookahead):
    encoder = tagger(lookahead).encoder
    words = torch.randint(6, (1, 9))
    before = encoder(words).outputs
    for changed in range(9):
        other = words.clone()
        other[0, changed] = (words[0, changed] + 1) % 6
        same = (encoder(other).outputs == before).all(2)[0].tolist()
        assert same == [step + lookahead < changed for step in range(9)]


def test_padding_changes_nothing_where_the_encoder_looks_ahead():
    encoder = tagger(3).encoder
    words, lengths = torch.randint(6, (3, 7)), [7, 1, 4]
    together = encoder(words, lengths=lengths)
    for row, length in enumerate(lengths):
        alone = encoder(words[row : row + 1, :length])
        assert torch.allclose(together.outputs[row, :length], alone.outputs[0], atol=1e-6)
        assert not together.outputs[row, length:].any()
        assert torch.allclose(together.state["h"][:, row], alone.state["h"][:, 0], atol=1e-6)


def test_a_lookahead_learns_a_rule_about_the_next_word_and_none_does_not():
    def accuracy(lookahead):
        torch.manual_seed(0)
        model = Tagger(Encoder(nn.Embedding(6, 8), Recurrent("gru", 8, 12), lookahead=lookahead), CRF(2), online=True)
        optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(80):
            words = torch.randint(6, (16, 8))
            tags = (nn.functional.pad(words, (0, 1), value=1)[:, 1:] < 3).long()
            optimiser.zero_grad()
            (-model.crf.log_probability(model(words)[0].tags, tags).mean()).backward()
            optimiser.step()
        words = torch.randint(6, (40, 8))
        tags = (nn.functional.pad(words, (0, 1), value=1)[:, 1:] < 3).long()
        decoded = torch.tensor(model.decode(model(words)[0].tags))
        return (decoded == tags).float().mean()

    assert accuracy(1) > 0.99
    assert accuracy(0) < 0.75


def test_a_lookahead_of_a_bidirectional_network_is_refused():
    with pytest.raises(SettingError, match="make it with bidirectional=False, or leave lookahead at 0"):
        Encoder(nn.Embedding(6, 8), Recurrent("gru", 8, 12, bidirectional=True), lookahead=1)

"""The tagger: it learns a rule about neighbours, and a sentence's answer does not depend on its batch."""

import pytest
import torch
from torch import nn

from recurra.models.encoder import Encoder
from recurra.models.tagger import Tagger
from recurra.nn import Recurrent
from recurra.nn.crf import CRF


def tagger(labels=0, joined=True):
    torch.manual_seed(0)
    return Tagger(
        Encoder(nn.Embedding(6, 8), Recurrent("gru", 8, 12, bidirectional=True)), CRF(2), labels, "max", joined
    )


def test_a_sentence_is_tagged_as_if_alone():
    model = tagger(labels=3).eval()
    words = torch.randint(6, (3, 5))
    lengths = [5, 2, 1]
    scores, _ = model(words, lengths=lengths)
    assert scores.labels.shape == (3, 3)
    for row, length in enumerate(lengths):
        alone, _ = model(words[row : row + 1, :length])
        assert torch.allclose(scores.tags[row, :length], alone.tags[0], atol=1e-6)
        assert torch.allclose(scores.labels[row], alone.labels[0], atol=1e-6)


@pytest.mark.parametrize("joined", [True, False])
def test_a_rule_about_neighbours_is_learned(joined):
    # A word is tagged 1 if the one after it is 0: it takes the reverse direction.
    model = tagger(joined=joined)
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.02)
    for _ in range(60):
        words = torch.randint(6, (16, 8))
        tags = (nn.functional.pad(words, (0, 1), value=1)[:, 1:] == 0).long()
        scores, _ = model(words)
        if joined:
            loss = -model.crf.log_probability(scores.tags, tags).mean()
        else:
            loss = nn.functional.cross_entropy(scores.tags.flatten(0, 1), tags.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    words = torch.tensor([[3, 0, 2, 1, 0, 0]])
    with torch.no_grad():
        assert model.crf.decode(model(words)[0].tags) == [[1, 0, 0, 1, 1, 0]]

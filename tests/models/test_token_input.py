"""Words as vectors: a spelling is read once, and neither neighbours nor padding change what is read of it."""

import pytest
import torch

from recurra.data.spellings import Spellings, is_headline, normalised, shape_of
from recurra.errors import SettingError
from recurra.models.token_input import CharacterReader, TokenInput, Tokens

SENTENCES = [["Ann", "left", "Rome"], ["Ann"], ["a", "Constantinople", "."]]


def tokens_of(sentences, **options):
    spellings = Spellings(
        lambda word: 1 + len(word) % 7, lambda word: len(word) % 4, lambda c: 1 + ord(c) % 50, 30, **options
    )
    spelled = spellings(sentences)
    features = spelled.shapes[..., None]
    return Tokens(spelled.words, spelled.forms, spelled.characters, spelled.ngrams, spelled.vectors, features)


@pytest.mark.parametrize("network", ["cnn", "lstm", "none"])
def test_a_sentence_is_read_as_if_alone(network):
    torch.manual_seed(0)
    inputs = TokenInput(
        9, 4, vectors=torch.randn(5, 3), characters=50, character_network=network, ngrams=30, features=[8]
    ).eval()
    together = inputs(tokens_of(SENTENCES))
    assert together.shape == (3, 3, inputs.width)
    for row, words in enumerate(SENTENCES):
        alone = inputs(tokens_of([words]))
        assert torch.allclose(together[row, : len(words)], alone[0], atol=1e-6)
    assert torch.equal(together[0, 0], together[1, 0])


@pytest.mark.parametrize("network", ["cnn", "lstm"])
def test_padding_after_a_word_changes_nothing(network):
    reader = CharacterReader(9, 4, 6, network).eval()
    word = torch.tensor([[3, 1, 2]])
    padded = torch.nn.functional.pad(word, (0, 4))
    assert torch.allclose(reader(word), reader(padded), atol=1e-6)
    assert bool(reader(torch.zeros(1, 3, dtype=torch.int64)).isfinite().all())


def test_the_convolution_is_torchs():
    reader = CharacterReader(9, 4, 6, "cnn")
    words = torch.tensor([[3, 1, 2, 8, 5], [7, 7, 0, 0, 0], [4, 0, 0, 0, 0]])
    features = reader.convolution(reader.embedding(words).transpose(1, 2))
    expected = torch.stack([row[:, :length].amax(1) for row, length in zip(features, [5, 2, 1], strict=True)])
    torch.testing.assert_close(reader(words), expected)
    above = torch.randn(3, 6)
    taken = [torch.autograd.grad((v * above).sum(), list(reader.parameters())) for v in (reader(words), expected)]
    for ours, torchs in zip(*taken, strict=True):
        torch.testing.assert_close(ours, torchs)


def test_every_part_is_learned():
    inputs = TokenInput(9, 4, vectors=torch.randn(5, 3), tune_vectors=True, characters=50, ngrams=30, features=[8])
    inputs(tokens_of(SENTENCES)).sum().backward()
    for name, parameter in inputs.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name


def test_a_word_without_a_vector_has_one_of_zeros():
    inputs = TokenInput(9, 0, vectors=torch.ones(2, 3))
    tokens = tokens_of([["left"], ["Ann"]])  # rows 0 and 3 by the length of the word
    assert inputs(tokens._replace(vectors=torch.tensor([[0], [2]])))[:, 0].tolist() == [[0.0] * 3, [1.0] * 3]


def test_a_vector_that_is_tuned_begins_as_it_was_and_changes_with_its_word():
    inputs = TokenInput(9, 0, vectors=torch.ones(2, 3), tune_vectors=True)
    tokens = tokens_of([["Ann"]])._replace(vectors=torch.tensor([[2]]))
    assert inputs(tokens).flatten().tolist() == [1.0] * 3
    with torch.no_grad():
        inputs.changes.weight[tokens.words[0, 0]] = 2
    assert inputs(tokens).flatten().tolist() == [3.0] * 3


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(SettingError, match="nothing is read of a word"):
        TokenInput(9, 0)
    with pytest.raises(SettingError, match="there is no character network 'gru'"):
        TokenInput(9, 4, characters=3, character_network="gru")
    with pytest.raises(SettingError, match="make an even one"):
        CharacterReader(9, 4, 5, "lstm")


def test_spellings_are_read_again_once_too_many_are_kept(monkeypatch):
    spellings = Spellings(len, len, ord, 10)
    before = spellings([["Ann", "left"]])
    monkeypatch.setattr("recurra.data.spellings.MAX_SPELLINGS", 1)
    after = spellings([["left", "Ann"]])
    assert torch.equal(before.characters.flip(1), after.characters)
    assert torch.equal(before.ngrams.flip(1)[..., :3], after.ngrams[..., :3])


def test_many_spellings_of_all_lengths_are_each_as_if_alone():
    together = Spellings(len, len, ord, 50)
    words = ["".join(chr(97 + (number * k) % 26) for k in range(number % 23)) + str(number) for number in range(3000)]
    together([words])
    for word in words[::97]:
        alone, among = Spellings(len, len, ord, 50)([[word]]), together([[word]])
        assert torch.equal(alone.characters, among.characters)
        assert torch.equal(alone.ngrams, among.ngrams)


def test_shapes_and_headlines():
    assert normalised("Route-66") == "route-00"
    assert [shape_of(word) for word in ("a", "A", "Ab", "AB", "aB", "1", "?")] == [1, 4, 3, 2, 5, 6, 7]
    assert is_headline(["SOCCER", "RESULTS", "FROM", "Japan"])
    assert not is_headline(["IBM", "AND", "we"])
    assert not is_headline([])

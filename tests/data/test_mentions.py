"""Names in place of others: of the same type, from the sentences themselves, and nothing else changes."""

from pathlib import Path

import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.lines import Source
from recurra.data.mentions import Mentions
from recurra.data.tagged_sentence import TaggedSentence

PIECES = st.lists(st.tuples(st.integers(1, 3), st.sampled_from([None, "PER", "LOC"])), min_size=1, max_size=5)
"""How many words each piece of a sentence has, and of what type it is."""


def sentence_of(pieces, name):
    words, spans = [], []
    for number, (length, type_) in enumerate(pieces):
        if type_ is not None:
            spans.append((len(words), len(words) + length, type_))
        words += [f"{name}{number}.{k}{type_ or ''}" for k in range(length)]
    columns = (tuple(f"1{word}" for word in words), tuple(f"2{word}" for word in words))
    return TaggedSentence(tuple(words), Source(Path("x"), 1), tuple(spans), columns, "label", 7)


def parts(sentence):
    """The words between names, and the names, each as a tuple."""
    between, names, last = [], [], 0
    for start, end, type_ in sentence.spans:
        between.append(sentence.words[last:start])
        names.append((type_, sentence.words[start:end]))
        last = end
    return [*between, sentence.words[last:]], names


@given(st.lists(PIECES, min_size=1, max_size=4), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 100))
def test_only_names_change_and_each_to_one_of_its_type(all_pieces, rate, seed):
    sentences = [sentence_of(pieces, "abcd"[number]) for number, pieces in enumerate(all_pieces)]
    mentions = Mentions.of(sentences)
    known = {name for sentence in sentences for name in parts(sentence)[1]}
    draw = torch.Generator().manual_seed(seed)
    for sentence in sentences:
        swapped = mentions.swapped(sentence, rate, draw)
        between, names = parts(sentence)
        assert parts(swapped)[0] == between
        assert [type_ for type_, _ in parts(swapped)[1]] == [type_ for type_, _ in names]
        assert set(parts(swapped)[1]) <= known
        assert swapped.features == tuple(tuple(f"{k}{word}" for word in swapped.words) for k in (1, 2))
        assert (swapped.label, swapped.document) == ("label", 7)
        if rate == 0:
            assert swapped == sentence


def test_about_so_many_names_change():
    sentences = [sentence_of([(1, "PER")], f"n{number}") for number in range(1000)]
    mentions, draw = Mentions.of(sentences), torch.Generator().manual_seed(0)
    changed = sum(mentions.swapped(sentence, 0.3, draw) != sentence for sentence in sentences)
    assert 250 < changed < 350


def test_headlines_stay_and_give_no_names():
    headline = TaggedSentence(("SOCCER", "IN", "JAPAN"), Source(Path("x"), 1), ((2, 3, "LOC"),))
    place = TaggedSentence(("Oslo",), Source(Path("x"), 2), ((0, 1, "LOC"),))
    mentions = Mentions.of([headline, place])
    assert mentions.by_type == {"LOC": ((("Oslo",), ()),)}
    assert mentions.swapped(headline, 1.0, torch.Generator()) is headline

"""Other occurrences of a word: those of its document alone, in other sentences, and as many as are asked for."""

import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.lines import Source
from recurra.data.occurrences import FIRST, IN_HEADLINE, WINDOW, OtherOccurrences, with_documents
from recurra.data.spellings import is_headline, shape_of
from recurra.data.tagged_sentence import TaggedSentence

WORDS = st.lists(st.sampled_from(["Ann", "ANN", "ann", "Rome", "left", "a", "7", ".", "ROME"]), min_size=1, max_size=6)
SENTENCES = st.lists(st.tuples(WORDS, st.integers(0, 1)), min_size=1, max_size=8)


def vector_row(word):
    return 1 + sum(map(ord, word)) % 97


def sentences_of(pairs):
    """Sentences in the order of their documents, of which number 0 stands for none."""
    pairs = sorted(pairs, key=lambda pair: pair[1])
    return [
        TaggedSentence(tuple(words), Source("x", 3 * line), document=document or None)
        for line, (words, document) in enumerate(pairs)
    ]


def occurrences_one_by_one(sentences, sentence, word, most):
    """Every occurrence, read off the sentences themselves, those of the nearest sentences first to be kept."""
    places = [
        (abs(other.source.line - sentence.source.line), other.source.line, step, other.words)
        for other in sentences
        if other.document == sentence.document and other.source != sentence.source
        for step, form in enumerate(other.words)
        if form.lower() == word.lower()
    ]
    if sentence.document is None or not word[0].isupper():
        return set()
    if len(places) > most:
        places = sorted(places)[:most]
    result = set()
    for _, line, step, words in places:
        padded = [None, None, *words, None, None]
        around = [padded[step + 2 + k] for k in WINDOW]
        shape = IN_HEADLINE if is_headline(words) else FIRST if step == 0 else shape_of(words[step])
        vectors = tuple(0 if w is None else vector_row(w) for w in around)
        result.add((line, step, vectors, (shape, *(0 if w is None else shape_of(w) for w in around[1:3]))))
    return result


@given(SENTENCES, st.integers(1, 4))
def test_they_are_those_that_the_document_has(pairs, most):
    sentences = sentences_of(pairs)
    others = OtherOccurrences(vector_row, most)
    for sentence in with_documents(sentences):
        for word in sentence.words:
            expected = sorted(o[2:] for o in occurrences_one_by_one(sentences, sentence, word, most))
            assert sorted(map(tuple, others.of(sentence, word))) == expected


@given(SENTENCES)
def test_a_batch_has_them_side_by_side(pairs):
    sentences = list(with_documents(sentences_of(pairs)))
    others = OtherOccurrences(vector_row, 3)
    vectors, shapes = others(sentences)
    assert vectors.shape[:3] == shapes.shape[:3] == (len(sentences), max(map(len, sentences)), 3)
    for row, sentence in enumerate(sentences):
        for step in range(vectors.shape[1]):
            of_word = others.of(sentence, sentence.words[step]) if step < len(sentence) else []
            empty = 3 - len(of_word)
            assert vectors[row, step].tolist() == [list(o.vectors) for o in of_word] + [[0] * 4] * empty
            assert shapes[row, step].tolist() == [list(o.shapes) for o in of_word] + [[0] * 3] * empty


def test_sentences_come_as_soon_as_their_document_has_ended():
    read = []

    def reading():
        for line, document in enumerate([None, None, 0, 0, 1]):
            read.append(line)
            yield TaggedSentence((f"w{line}",), Source("x", line), document=document)

    lines = [(sentence.source.line, max(read)) for sentence in with_documents(reading())]
    assert lines == [(0, 0), (1, 1), (2, 4), (3, 4), (4, 4)]


def test_a_sentence_is_the_same_with_its_document_and_without():
    sentence = TaggedSentence(("Ann",), Source("x", 1), document=0)
    (read,) = with_documents([sentence])
    assert read == sentence
    assert hash(read) == hash(sentence)
    assert pickle.loads(pickle.dumps(read)).context.sentences == (("Ann",),)


@pytest.mark.parametrize("sentences", [[], [TaggedSentence((), Source("x", 1), document=0)]])
def test_where_there_is_no_word_there_is_none(sentences):
    vectors, shapes = OtherOccurrences(vector_row, 2)(list(with_documents(sentences)))
    assert vectors.shape == (len(sentences), 1, 2, 4)
    assert not torch.any(vectors)
    assert not torch.any(shapes)

import json
import random

import pytest
import tokenizers
from hypothesis import example, given
from hypothesis import strategies as st

from recurra.data.units import END, LONGEST_LEARNED, UNKNOWN, BytePairs, Bytes, Characters, Words

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))  # every code point that UTF-8 can write


def test_a_line_of_words_ends_in_eos_as_in_the_penn_treebank():
    text = " the <unk> fell N points \n\n it rose\n"
    assert Words().split(text) == ["the", UNKNOWN, "fell", "N", "points", END, END, "it", "rose", END]
    assert Words().join(Words().split(text)) == "the <UNK> fell N points\n\nit rose\n"


def test_the_special_spellings_of_a_text_are_the_special_tokens():
    assert Words().split("<unk> <UNK> <eos> <EOS> <Eos>") == [UNKNOWN, UNKNOWN, END, END, "<Eos>"]


def test_without_ends_of_lines_a_line_end_only_separates_words():
    assert Words(lines=False).split("a b\nc <eos> d\n") == ["a", "b", "c", "d"]


@given(TEXTS)
def test_words_joined_and_cut_again_are_the_same_words(text):
    words = Words().split(text)
    assert Words().split(Words().join(words)) == words


@given(TEXTS)
def test_characters_and_bytes_join_to_the_text_they_were_cut_from(text):
    assert Characters().join(Characters().split(text)) == text
    assert Bytes().join(Bytes().split(text)) == text


def test_an_unknown_character_is_shown_and_an_end_is_a_new_line():
    assert Characters().join(["a", UNKNOWN, END, "b"]) == "a�\nb"
    assert Bytes().join(["a", END, "b"]) == "a\nb"


def test_the_256_bytes_have_256_spellings_in_their_order():
    known = Bytes().known()
    assert len(set(known)) == 256
    assert known[ord("A")] == "A"
    assert known[10] == "<0x0A>"
    assert [Bytes().join([spelling]) for spelling in known[:128]] == [chr(byte) for byte in range(128)]


def test_bytes_that_are_no_utf8_are_shown_as_replaced():
    assert Bytes().join(["<0xF0>", "<0x9F>", "!"]) == "�!"


@given(TEXTS)
def test_byte_pairs_join_to_any_text_also_one_of_signs_never_seen(text):
    pieces = PAIRS.split(text)
    assert PAIRS.join(pieces) == text


PAIRS = BytePairs.learn(["the cat sat on the mat\nthat the other cat had\n"], 300, 1)


def test_byte_pairs_merge_what_is_frequent():
    assert PAIRS.split("the cat") == ["the", "Ġcat"]
    assert PAIRS.join(["the", END, "Ġcat"]) == "the\n cat"


def learned_without_a_bound(texts, size):
    """What the tokenizers library learns by its own pattern of a word, in which no word has a longest length."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size, min_frequency=1, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return json.loads(tokenizer.to_str())


@given(st.lists(TEXTS, min_size=1, max_size=3))
@example(["it's 1,000 -----  \n\t\n they'll\u3000中文 e\u0301\r\n"])
@example(["a" * LONGEST_LEARNED + " " * LONGEST_LEARNED + "b 中" + "文" * (LONGEST_LEARNED - 1)])
def test_byte_pairs_of_ordinary_text_are_those_learned_without_a_bound(texts):
    assert BytePairs.learn(texts, 300, 1).description() == learned_without_a_bound(texts, 300)


@pytest.mark.parametrize("signs", ["ACGT", "天地玄黃宇宙洪荒", " \t", "-=", "12"])
def test_a_word_longer_than_the_bound_is_learned_from_as_several(signs):
    draw = random.Random(0)
    run = "".join(draw.choice(signs) for _ in range(3 * LONGEST_LEARNED + 7))
    words = [run[start : start + LONGEST_LEARNED] for start in range(0, len(run), LONGEST_LEARNED)]
    units = BytePairs.learn([run], 320, 1)
    assert units.description() == learned_without_a_bound(words, 320)
    assert units.join(units.split(run)) == run


def test_the_text_of_a_piece_is_what_people_read():
    assert [PAIRS.text_of(unit) for unit in ["the", "Ġcat", "Ġ", "Ċ", END]] == ["the", " cat", " ", "\n", END]
    assert PAIRS.text_of("Ã©") == "é"
    assert [PAIRS.text_of(unit) for unit in PAIRS.split("é")] == [r"\xc3", r"\xa9"]


def test_the_text_of_a_byte_is_its_character_or_its_value():
    assert [Bytes().text_of(unit) for unit in ["a", " ", "<0x0A>", "<0xC3>", END]] == ["a", " ", "\n", r"\xc3", END]


@given(TEXTS)
def test_the_texts_of_all_pieces_are_the_text_where_each_is_whole_characters(text):
    pieces = PAIRS.split(text)
    texts = [PAIRS.text_of(piece) for piece in pieces]
    whole = [PAIRS.join([piece]) for piece in pieces]
    for piece_text, decoded in zip(texts, whole, strict=True):
        assert piece_text == decoded or "\N{REPLACEMENT CHARACTER}" in decoded

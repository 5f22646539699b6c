import json
import sys
from collections import Counter

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from recurra.data import END, LEVELS, UNKNOWN, Vocabulary
from recurra.errors import DataError, RunError, SettingError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
PENN = " the <unk> fell N points\n it rose N points\n"


@given(TEXTS)
@example("\r\n\t \r\x00\x85\u2028\U0001f600e\u0301")
def test_characters_and_bytes_round_trip_exactly(text):
    vocabularies = [Vocabulary("byte")]
    if text:
        vocabularies.append(Vocabulary.build([text], "character"))
    for vocabulary in vocabularies:
        assert vocabulary.decode(vocabulary.encode(text)) == text
        assert vocabulary.unknown not in vocabulary.encode(text)


@given(st.lists(st.text("ab \n", max_size=12), min_size=1), st.sampled_from(["word", "character"]), st.integers(1, 3))
def test_units_come_by_count_then_by_first_appearance(texts, level, min_count):
    units = [unit for text in texts for unit in (text.split() if level == "word" else text)]
    counts = Counter(units)
    expected = sorted(
        (unit for unit in counts if counts[unit] >= min_count), key=lambda unit: (-counts[unit], units.index(unit))
    )
    if not expected:
        with pytest.raises(DataError):
            Vocabulary.build(texts, level, min_count=min_count)
        return
    vocabulary = Vocabulary.build(texts, level, min_count=min_count, end_of_sentence=False)
    assert vocabulary.tokens == (*expected, UNKNOWN)
    for size in range(2, len(expected) + 2):
        smaller = Vocabulary.build(texts, level, max_size=size, min_count=min_count, end_of_sentence=False)
        assert smaller.tokens == (*expected[: size - 1], UNKNOWN)


def test_the_penn_treebanks_unk_and_line_ends_are_the_special_tokens():
    vocabulary = Vocabulary.build([PENN], "word")
    assert vocabulary.tokens == ("N", "points", "the", "fell", "it", "rose", UNKNOWN, END)
    assert vocabulary.encode(PENN) == [2, 6, 3, 0, 1, 7, 4, 5, 0, 1, 7]
    assert vocabulary.decode(vocabulary.encode(PENN)) == "the <UNK> fell N points\nit rose N points\n"
    assert (vocabulary.unknown, vocabulary.end, len(vocabulary)) == (6, 7, 8)


def test_a_word_outside_the_vocabulary_is_unk_and_split_still_shows_it():
    vocabulary = Vocabulary("word", ["the", "sleeps"])
    assert vocabulary.encode("the emu sleeps") == [0, vocabulary.unknown, 1]
    assert vocabulary.split("the emu sleeps") == ["the", "emu", "sleeps"]
    assert "emu" not in vocabulary
    assert "the" in vocabulary
    assert UNKNOWN in vocabulary


def test_the_end_is_a_token_by_default_for_words_only():
    for level in LEVELS:
        for end_of_sentence in (None, False, True):
            vocabulary = Vocabulary.build("ab ab\n", level, end_of_sentence=end_of_sentence)
            expected = level == "word" if end_of_sentence is None else end_of_sentence
            assert (END in vocabulary) == expected == (vocabulary.end == len(vocabulary) - 1)


def test_only_a_closed_level_has_no_unk():
    has = {level: Vocabulary.build("ab", level).unknown is not None for level in LEVELS}
    assert has == {"word": True, "character": True, "byte": False, "bpe": False}


def test_the_newline_is_an_ordinary_character_beside_the_end():
    vocabulary = Vocabulary.build("a\nb", "character", end_of_sentence=True)
    assert vocabulary.end not in vocabulary.encode("a\nb\n<EOS>")
    assert vocabulary.decode([vocabulary.encode("a")[0], vocabulary.end]) == "a\n"


def test_the_id_of_a_byte_is_its_value():
    vocabulary = Vocabulary("byte", end_of_sentence=True)
    assert vocabulary.encode("né") == list("né".encode())
    assert (len(vocabulary), vocabulary.end) == (257, 256)
    assert vocabulary.decode([0xC3, 0x28]) == "�("


@given(TEXTS)
def test_byte_pairs_round_trip_any_text(text):
    assert BYTE_PAIRS.decode(BYTE_PAIRS.encode(text)) == text
    assert [BYTE_PAIRS.tokens[number] for number in BYTE_PAIRS.encode(text)] == BYTE_PAIRS.split(text)


BYTE_PAIRS = Vocabulary.build("the cat sat on the mat <EOS>\n" * 20, "bpe", max_size=266, end_of_sentence=True)


def test_byte_pairs_are_no_more_than_asked_and_shorten_a_text():
    assert len(BYTE_PAIRS) == 266
    assert len(BYTE_PAIRS.encode("the cat sat")) < len("the cat sat") / 2
    assert BYTE_PAIRS.end not in BYTE_PAIRS.encode("the <EOS>")


@pytest.mark.parametrize("level", LEVELS)
def test_building_again_gives_the_same_ids_also_where_all_counts_are_equal(level):
    # The library that learns byte pairs seeds each of its hash tables anew, so that ties would be broken by chance.
    text = " ".join(f"{first}{second}{first}" for first in "abcdefgh" for second in "ijklmnop")
    tokens = {Vocabulary.build(text, level).tokens for _ in range(5)}
    assert len(tokens) == 1


def test_one_hot_rows_are_zero_but_for_a_one():
    vocabulary = Vocabulary.build("abca", "character")
    ids = vocabulary.encode("cab?")
    rows = vocabulary.one_hot(ids)
    assert rows.shape == (4, len(vocabulary))
    assert rows.dtype == torch.get_default_dtype()
    assert torch.equal(rows, torch.eye(len(vocabulary))[ids])
    assert torch.equal(vocabulary.one_hot(torch.tensor(ids)), rows)
    assert vocabulary.one_hot([]).shape == (0, len(vocabulary))


def test_decode_takes_a_tensor():
    vocabulary = Vocabulary.build("abc", "character")
    assert vocabulary.decode(torch.tensor([2, 0, 1])) == "cab"


@pytest.mark.parametrize("number", [-1, 4, 99])
def test_an_id_of_another_vocabulary_is_refused(number):
    vocabulary = Vocabulary.build("abc", "character")
    for use in (vocabulary.decode, vocabulary.one_hot):
        with pytest.raises(DataError, match=f"id {number} is not in this vocabulary of 4 tokens"):
            use([0, number])


@pytest.mark.parametrize("level", LEVELS)
def test_a_lone_surrogate_is_refused_by_its_place(level):
    vocabulary = Vocabulary.build("ab", level)
    with pytest.raises(DataError, match=r"character 3 of the text is the lone surrogate U\+DC80"):
        vocabulary.encode("ab\udc80")
    if level != "byte":
        with pytest.raises(DataError, match="lone surrogate"):
            Vocabulary.build(["ab\udc80"], level)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"level": "sentence"}, "'sentence' is unknown; the levels are word, character, byte, bpe"),
        ({"level": "char"}, r"'char' is unknown; did you mean character\? The levels are word, character, byte, bpe"),
        ({"level": "word", "min_count": 0}, "min_count is 0"),
        ({"level": "word", "max_size": 2}, "max_size is 2; a vocabulary at level 'word' needs 3"),
        ({"level": "bpe", "max_size": 255}, "max_size is 255; a vocabulary at level 'bpe' needs 256"),
        ({"level": "byte", "max_size": 300}, "always has its 256 units"),
        ({"level": "byte", "min_count": 2}, "always has its 256 units"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        Vocabulary.build(["text"], **settings)


def test_a_text_that_gives_no_vocabulary_is_refused():
    with pytest.raises(DataError, match="no word"):
        Vocabulary.build(["\n \n"], "word")
    with pytest.raises(DataError, match="min_count=3 leaves no word: the most frequent, 'b', occurs 2 times"):
        Vocabulary.build("a b b", "word", min_count=3)


@pytest.mark.parametrize(
    ("level", "units", "message"),
    [
        ("word", ["a", "a"], "'a' comes twice"),
        ("word", ["a b"], "holds no white space"),
        ("word", ["<eos>"], "special token"),
        ("word", ["\ud800"], "surrogate"),
        ("character", ["ab"], "one code point"),
        ("character", ["\ud800"], "surrogate"),
        ("character", [], "has no units of its own"),
        ("byte", ["a"], "has units of its own"),
        ("bpe", [], "a tokenizer goes with level 'bpe'"),
    ],
)
def test_impossible_units_are_refused(level, units, message):
    with pytest.raises(SettingError, match=message):
        Vocabulary(level, units)


def test_without_the_tokenizers_library_the_error_says_how_to_get_it(monkeypatch, tmp_path):
    BYTE_PAIRS.save(tmp_path / "vocabulary.json")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    for use in (
        lambda: Vocabulary.build("ab", "bpe"),
        lambda: Vocabulary.load(tmp_path / "vocabulary.json"),
    ):
        with pytest.raises(SettingError, match=r"pip install tokenizers$"):
            use()


@given(
    st.sampled_from(["word", "character"]),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1),
    st.booleans(),
)
def test_what_is_saved_is_loaded(tmp_path_factory, level, texts, end_of_sentence):
    try:
        vocabulary = Vocabulary.build(texts, level, end_of_sentence=end_of_sentence)
    except DataError:
        return
    path = tmp_path_factory.mktemp("run") / "vocabulary.json"
    vocabulary.save(path)
    loaded = Vocabulary.load(path)
    assert loaded == vocabulary
    assert (loaded.tokens, loaded.level, loaded.end) == (vocabulary.tokens, vocabulary.level, vocabulary.end)
    assert loaded.encode("".join(texts)) == vocabulary.encode("".join(texts))


@pytest.mark.parametrize("vocabulary", [Vocabulary("byte"), Vocabulary("byte", end_of_sentence=True), BYTE_PAIRS])
def test_closed_levels_are_saved_and_loaded(vocabulary, tmp_path):
    vocabulary.save(tmp_path / "vocabulary.json")
    loaded = Vocabulary.load(tmp_path / "vocabulary.json")
    assert loaded == vocabulary
    assert loaded.tokens == vocabulary.tokens
    assert loaded.encode("the cät") == vocabulary.encode("the cät")


def test_vocabularies_that_differ_are_not_equal():
    one = Vocabulary("word", ["a", "b"])
    assert one == Vocabulary("word", ["a", "b"])
    assert one != Vocabulary("word", ["b", "a"])
    assert one != Vocabulary("character", ["a", "b"])
    assert one != Vocabulary("word", ["a", "b"], end_of_sentence=False)
    assert one != ("a", "b")


def test_the_file_can_be_read_by_people(tmp_path):
    Vocabulary.build("né né où", "word").save(tmp_path / "vocabulary.json")
    text = (tmp_path / "vocabulary.json").read_text(encoding="utf-8")
    assert text.splitlines()[1:4] == [' "version": 1,', ' "level": "word",', ' "end_of_sentence": true,']
    assert '\n  "né",\n  "où"\n' in text


GOOD = {"version": 1, "level": "word", "end_of_sentence": True, "units": ["a"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("é".encode("latin-1"), "it is not JSON"),
        ("[1]", "a vocabulary of version None, and this Recurra reads version 1"),
        ("{}", "a vocabulary of version None"),
        (json.dumps({**GOOD, "version": 2}), "a vocabulary of version 2"),
        (
            json.dumps({**GOOD, "level": "words"}),
            "damaged, level: Input should be 'word', 'character', 'byte' or 'bpe'",
        ),
        (json.dumps({**GOOD, "end_of_sentence": "yes"}), "damaged, end_of_sentence: "),
        (json.dumps({**GOOD, "units": ["a", 1]}), "damaged, units.1: "),
        (json.dumps({**GOOD, "units": ["a", "a"]}), "damaged, the unit 'a' comes twice"),
        (json.dumps({**GOOD, "units": ["\ud800"]}), "damaged, .*surrogate"),
        (json.dumps({**GOOD, "units": None}), "damaged, level 'word' has no units of its own"),
        (json.dumps({**GOOD, "surplus": 1}), "damaged, surplus: "),
        (json.dumps({**GOOD, "tokenizer": {}}), "damaged, a tokenizer goes with level 'bpe'"),
        (json.dumps({**GOOD, "level": "byte"}), "damaged, level 'byte' has units of its own"),
        (json.dumps({"version": 1, "level": "bpe", "end_of_sentence": False}), "damaged, a tokenizer goes"),
        (
            json.dumps({"version": 1, "level": "bpe", "end_of_sentence": False, "tokenizer": {"version": "1.0"}}),
            "damaged, the tokenizer is not one",
        ),
    ],
)
def test_a_damaged_or_foreign_file_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "vocabulary.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RunError, match=message) as caught:
        Vocabulary.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_damaged_tokenizer_is_refused(tmp_path):
    path = tmp_path / "vocabulary.json"
    BYTE_PAIRS.save(path)
    file = json.loads(path.read_text())
    for damage, message in [
        (lambda tokenizer: tokenizer["model"]["vocab"].update({"gap": 999}), "not numbered"),
        (lambda tokenizer: tokenizer["model"].update({"vocab": {"a": 0}, "merges": []}), "lacks 255 of the 256 bytes"),
        (lambda tokenizer: tokenizer.update({"decoder": None}), "no decoder"),
    ]:
        damaged = json.loads(json.dumps(file))
        damage(damaged["tokenizer"])
        path.write_text(json.dumps(damaged))
        with pytest.raises(RunError, match=message):
            Vocabulary.load(path)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(RunError, match=r"vocabulary\.json: cannot be read \(No such file"):
        Vocabulary.load(tmp_path / "vocabulary.json")

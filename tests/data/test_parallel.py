"""Texts and translations: the same from every way to write them, one line in and one out, and every bad line named."""

import gzip
import io
import json
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data import misalignment, parallel
from recurra.data.dataset import Problems
from recurra.data.lines import STANDARD_INPUT
from recurra.data.parallel import EMPTY, EQUAL, UNLIKELY, ParallelFormat, read_pairs, sources_to_translate
from recurra.errors import DataError, SettingError


@pytest.fixture
def file(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def how_of(format=None, languages=("de", "en")):
    return ParallelFormat(format, *languages)


def read(path, role="train", target=None, **how):
    return read_pairs(path, how_of(**how), role, target)


def texts(pairs):
    return [(pair.source_text, pair.target_text) for pair in pairs]


def sources(path, **how):
    return [pair.source_text for pair in sources_to_translate(path, how_of(**how))]


# Formats

PAIRS = [("Ein Mann.", "A man."), ('Er sagt "ja".', 'He says "yes".'), ("a\u2028b\x85c\x0b\x0c", "x\u2028y")]
WRITTEN = {
    "a.tsv": "".join(f"{de}\t{en}\n" for de, en in PAIRS),
    "heading.tsv": "en\tid\tDE\n" + "".join(f"{en}\t7\t{de}\n" for de, en in PAIRS),
    "tabs.txt": "Source\ttarget\n" + "".join(f"{de}\t{en}\n" for de, en in PAIRS),
    "a.csv": "de,en\n" + "".join('"{}","{}"\n'.format(*(t.replace('"', '""') for t in pair)) for pair in PAIRS),
    "a.jsonl": "".join(json.dumps({"id": 7, "de": de, "en": en}, ensure_ascii=False) + "\n" for de, en in PAIRS),
    "b.jsonl": "".join(json.dumps({"source": de, "target": en}) + "\n" for de, en in PAIRS),
    "c.txt": "".join(json.dumps({"translation": {"en": en, "de": de}}) + "\n\n" for de, en in PAIRS),
}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("name", WRITTEN)
def test_every_format_is_told_and_has_the_same_pairs(file, name, start, end):
    content = (start + WRITTEN[name].replace("\n", end)).encode()
    assert texts(read(file(name, content))) == PAIRS
    assert texts(read(file(f"{name}.gz", gzip.compress(content)))) == PAIRS


@pytest.mark.parametrize("zipped", [(), ("de",), ("en",), ("de", "en")])
def test_two_aligned_texts_are_found_by_the_languages(file, tmp_path, zipped):
    for place, language in enumerate(["de", "en"]):
        content = "".join(pair[place] + "\n" for pair in PAIRS).encode()
        if language in zipped:
            file(f"corpus.de-en.{language}.gz", gzip.compress(content))
        else:
            file(f"corpus.de-en.{language}", content)
    source = tmp_path / ("corpus.de-en.de.gz" if "de" in zipped else "corpus.de-en.de")
    target = tmp_path / ("corpus.de-en.en.gz" if "en" in zipped else "corpus.de-en.en")
    assert texts(read(source)) == texts(read(tmp_path / "corpus.de-en")) == PAIRS
    assert texts(read(target, languages=("en", "de"))) == [(en, de) for de, en in PAIRS]
    assert texts(read_pairs(source, ParallelFormat(), "train", target)) == PAIRS
    assert [str(pair.source) for pair in read(source)] == [f"{source}:{line}" for line in (1, 2, 3)]
    assert sources(source) == sources(tmp_path / "corpus.de-en") == [de for de, _ in PAIRS]


def test_the_fingerprint_is_that_of_both_texts(file):
    path = file("a.de", "eins\n")
    file("a.en", "one\n")
    before = read(path).fingerprint()
    assert read(path).fingerprint() == before
    file("a.en", "two\n")
    assert read(path).fingerprint() != before


def test_columns_are_kept(file):
    [pair] = read(file("a.tsv", "id\tde\ten\tid\n7\tJa\tYes\t8\n"))
    assert dict(pair.columns) == {"id": "7", "de": "Ja", "en": "Yes", "id (2)": "8"}
    [pair] = sources_to_translate(file("b.tsv", "id\tde\n7\tJa\n"), how_of())
    assert (dict(pair.columns), pair.source_text, pair.target_text) == ({"id": "7", "de": "Ja"}, "Ja", None)
    [pair] = sources_to_translate(file("a.jsonl", '{"id": 7, "de": "Ja", "x": null}\n'), how_of())
    assert dict(pair.columns) == {"id": "7", "de": "Ja", "x": "null"}
    assert sources_to_translate(file("c.tsv", "Ja\tYes\n"), how_of()).__next__().columns is None


def test_a_heading_is_told_where_no_language_was_named(file):
    how = ParallelFormat()
    for heading in ("de\ten", "de-DE\ten_GB", "German\tEnglish"):
        examples = read_pairs(file("a.tsv", f"{heading}\nJa\tYes\n"), how, "train")
        assert [(pair.source_text, pair.target_text) for pair in examples] == [("Ja", "Yes")]
        [line] = examples.problems.lines()
        names = heading.replace("\t", " and ")
        assert line == (
            "the first line is read as a heading, not as a pair, since it names two languages: 1 "
            f"({file('a.tsv', '')}:1 {names})"
        )
    for pair in ("Ja\tYes", "de\tde", "no\tnone", "English\tde"):
        assert len(read_pairs(file("a.tsv", f"{pair}\nJa\tYes\n"), how, "train")) == 2
    problems = Problems()
    [pair] = sources_to_translate(file("a.tsv", "de\ten\nJa\tYes\n"), how, problems)
    assert (pair.source_text, sum(problems.counts.values())) == ("Ja", 1)


def test_the_length_is_of_both_texts(file):
    path = file("a.tsv", "Ja\tYes\n")
    assert list(read(path).lengths) == [5]
    assert len(next(sources_to_translate(file("a.txt", "Ja\n"), how_of()))) == 2


# One line in, one line out

ENDLESS = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=20)
ODD = st.sampled_from(
    ["", " ", "\t", "a\tb", "\u2028", "\x85", "\x0b", "\x0c", "\x1c", "\ufeff", "{", '"', "{}", "[1]"]
)
TEXT = ENDLESS | ODD


@given(st.lists(TEXT, max_size=8), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_a_line_of_a_text_is_a_text(tmp_path_factory, drawn, end, zipped):
    path = tmp_path_factory.mktemp("in") / "a.txt"
    content = "".join(text + end for text in drawn).encode()
    path.write_bytes(gzip.compress(content) if zipped else content)
    expected = [text.removeprefix("\ufeff") if line == 0 else text for line, text in enumerate(drawn)]
    pairs = list(sources_to_translate(path, how_of(format="text")))
    assert [pair.source_text for pair in pairs] == expected
    assert [pair.source.line for pair in pairs] == list(range(1, len(drawn) + 1))
    if not (expected and parallel._is_object(expected[0])):
        assert sources(path) == expected


@given(st.lists(st.tuples(TEXT, TEXT), max_size=8), st.sampled_from(["\n", "\r\n", "\r"]))
def test_aligned_lines_stay_together(tmp_path_factory, drawn, end):
    folder = tmp_path_factory.mktemp("in")
    for place, language in enumerate(["de", "en"]):
        # A mark first, so that none is taken for a byte-order mark.
        (folder / f"a.{language}").write_bytes("".join(f"-{pair[place]}{end}" for pair in drawn).encode())
    if drawn:
        assert texts(read(folder / "a", "evaluate")) == [(f"-{de}", f"-{en}") for de, en in drawn]


TABLED = st.text(st.characters(exclude_characters="\r\n\0\t", exclude_categories=["Cs"]), max_size=20)


@given(st.lists(st.tuples(TABLED, TABLED), max_size=8))
def test_a_row_is_a_pair(tmp_path_factory, drawn):
    folder = tmp_path_factory.mktemp("in")
    (folder / "a.tsv").write_text("de\ten\n" + "".join(f"{de}\t{en}\n" for de, en in drawn), "utf-8", newline="")
    (folder / "a.jsonl").write_text("".join(json.dumps({"de": d, "en": e}) + "\n" for d, e in drawn), "utf-8")
    assert sources(folder / "a.tsv") == sources(folder / "a.jsonl") == [de for de, _ in drawn]
    if drawn:
        assert texts(read(folder / "a.tsv", "evaluate")) == texts(read(folder / "a.jsonl", "evaluate")) == drawn


def test_nothing_is_left_out_where_it_is_to_be_translated(file):
    assert sources(file("a.txt", "eins\n\n \nvier")) == ["eins", "", " ", "vier"]
    assert sources(file("a.tsv", "de\ten\neins\tone\n\n\ttwo\n")) == ["eins", "", ""]
    assert sources(file("b.tsv", "eins\n\nzwei\ttwo\n")) == ["eins", "", "zwei"]
    assert sources(file("a.jsonl", '{"de": "eins"}\n\n{"de": "", "en": null}\n')) == ["eins", "", ""]
    assert sources(file("c.txt", "")) == []
    assert texts(read_pairs(file("d.txt", "eins\n\n"), how_of(), "predict")) == [("eins", None), ("", None)]


def test_a_line_of_10_000_words_is_read_whole(file):
    line = "Wort " * 10_000
    file("a.en", f"word\n{line}\n")
    assert texts(read(file("a.de", f"{line}\n{line}\n"))) == [(line, "word"), (line, line)]


def test_a_long_file_is_read_in_constant_memory(file):
    path = file("a.txt", "Ein Mann schläft.\n" * 200_000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in sources_to_translate(path, how_of())) == 200_000
        assert tracemalloc.get_traced_memory()[1] < 8_000_000  # a chunk and its lines; the file has 3.8 MB
    finally:
        tracemalloc.stop()


def test_standard_input_is_answered_line_by_line(monkeypatch):
    asked = []

    class Typed(io.RawIOBase):
        lines = iter([b"eins\n", b"{zwei\n"] * 300)

        def read1(self, size):
            asked.append(1)
            return next(self.lines, b"")

    monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": Typed()}))
    stream = sources_to_translate(STANDARD_INPUT, how_of())
    assert next(stream).source_text == "eins"
    assert len(asked) == 1
    assert len(list(stream)) == 599


# What is odd is counted


def test_empty_sides_are_left_out_and_counted_but_not_of_what_is_measured(file):
    path = file("a.de", "eins\n\ndrei\n \nfünf\n")
    target = file("a.en", "one\ntwo\n\n\t\nfive\n")
    for role in ("train", "validate"):
        examples = read(path, role)
        assert texts(examples) == [("eins", "one"), ("fünf", "five")]
        assert examples.problems.lines() == [f"{EMPTY}: 3 ({path}:2; {target}:3; {path}:4)"]
    assert len(read(path, "evaluate")) == 5
    lines = '{"de": "a", "en": null}\n\n{"de": "b", "en": "c"}\n'
    assert read(file("a.jsonl", lines)).problems.counts == {EMPTY: 2}


def test_equal_texts_and_unlikely_lengths_are_counted_and_kept(file):
    path = file("a.tsv", f"Ja\tJa \n{'a' * 9}\tb\n{'a' * 10}\tb\nb\t{'a' * 10}\n")
    examples = read(path)
    assert len(examples) == 4
    assert examples.problems.counts == {EQUAL: 1, UNLIKELY: 2}
    assert f"{UNLIKELY}: 2 ({path}:3 10 and 1; {path}:4 1 and 10)" in examples.problems.lines()


# What is wrong is named


@pytest.mark.parametrize(
    ("name", "content", "how", "message"),
    [
        ("a.tsv", "Ja\tYes\nNein\n", {}, r"a.tsv:2: this row has 1 column; give two"),
        ("a.tsv", "Ja\tYes\tCC-BY\n", {}, r"a.tsv:1: this row has 3 columns; give two.* or a heading"),
        ("a.tsv", "de\ten\nNein\n", {}, r"a.tsv:2: this row has 1 column, and the heading has 2"),
        ("a.tsv", "de\tfr\nJa\tOui\n", {}, r"a.tsv:1: there is no en or target; the names are: de, fr"),
        ("a.csv", 'de,en\n"Ja,Yes\n', {}, r"a.csv:2: a quotation mark opens a cell here and is never closed"),
        ("a.jsonl", '{"de": "Ja", "en": "Yes"}\n{"de"\n', {}, r"a.jsonl:2: this is not JSON .*such as {\"source\""),
        ("a.jsonl", '["Ja"]\n', {}, r"a.jsonl:1: this is JSON, but no object"),
        ("a.jsonl", '{"de": "Ja"}\n', {}, r"a.jsonl:1: there is no en or target; the names are: de"),
        ("a.jsonl", '{"de": 7, "en": "seven"}\n', {}, r"a.jsonl:1: 'de' is 7; give a text"),
        ("a.jsonl", '{"de": null, "en": "x"}\n', {}, r"a.jsonl:1: 'de' is null; give a text"),
        ("a.jsonl", '{"de": "\\ud83d", "en": "x"}\n', {}, r"a.jsonl:1: this has half of a character"),
        ("a.tsv", "", {}, r"a.tsv: 0 pairs of a text and its translation"),
        ("a.tsv", "Ja\t\n", {}, r"a.tsv: 0 pairs .* \(and 1 with an empty side\)"),
        ("a.tsv", b"Ja\tYes\nZo\xeb\ta\n", {}, r"a.tsv:2: byte 3 of the line is 0xeb"),
        ("a.de", "Ja\n", {}, r"a.de: its translations are missing: beside it is neither a.en nor a.en.gz"),
        ("a.en", "Yes\n", {}, r"a.en: this is the text of the translations, by its name; give a.de"),
        ("a.de", "Ja\n", {"languages": ()}, r"a.de: this seems to be one of two .*; name both languages"),
        ("a.txt", "Ja\n", {}, r"a.txt: this seems to be a text without translations; give a file .* in .de with one"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(file, name, content, how, message):
    with pytest.raises(DataError, match=message) as caught:
        read(file(name, content), **how)
    assert "\n" not in str(caught.value)


def test_a_file_a_format_or_a_language_that_is_not_there(file, tmp_path):
    for name in ("none", "none.de", "none.tsv", "none.txt"):
        with pytest.raises(DataError, match=f"{name}: there is no such file"):
            read(tmp_path / name)
    with pytest.raises(DataError, match=r"b.en: there is no such file"):
        read(file("a.de", "Ja\n"), target=tmp_path / "b.en")
    with pytest.raises(DataError, match="this is tsv, which has the translations in it"):
        read(file("a.tsv", "Ja\tYes\n"), target=tmp_path / "b.en")
    with pytest.raises(SettingError, match="there is no format 'xml'; the formats are: text, tsv"):
        ParallelFormat("xml")
    with pytest.raises(SettingError, match="both 'de'"):
        ParallelFormat(None, "de", "de")


LENGTHS = [5 + 37 * line % 101 for line in range(300)]


def aligned(file, lost, count=1):
    """Two texts, the second of which has lost lines."""
    target = [f"{'y' * (length + line % 5)}" for line, length in enumerate(LENGTHS)]
    del target[lost : lost + count]
    file("a.en", "".join(f"{line}\n" for line in target))
    return file("a.de", "".join(f"{'x' * length}\n" for length in LENGTHS))


@pytest.mark.parametrize("count", [1, 3])
def test_where_lines_got_lost_is_told(file, count):
    with pytest.raises(DataError) as caught:
        read(aligned(file, 120, count))
    message = str(caught.value)
    assert re.search(rf"a.de has 300 lines and .*a.en has {300 - count}:", message)
    assert re.search(rf"{'1 line' if count == 1 else '3 lines'} of .*a.en got lost at about line", message)
    assert abs(int(re.search(r"about line (\d+)", message)[1]) - 121) <= 2


def test_a_text_that_ends_early_is_told(file):
    with pytest.raises(DataError, match=r"up to the end of .*a.en; give the rest of it, or cut .*a.de after line 290$"):
        read(aligned(file, 290, 10))


def test_where_lines_got_lost_is_not_guessed(file, monkeypatch):
    lost_twice = LENGTHS[:50] + LENGTHS[51:250] + LENGTHS[251:]
    assert misalignment.first_misaligned(LENGTHS, lost_twice) is None
    assert misalignment.first_misaligned(LENGTHS, LENGTHS[:0:-1]) is None
    assert misalignment.first_misaligned(LENGTHS, LENGTHS) is None
    assert misalignment.first_misaligned([], [3]) is None
    file("a.en", "one\n")
    with pytest.raises(DataError, match=r"a.de has 2 lines and .*a.en has 1; give both equally many"):
        read(file("a.de", "eins\nzwei\n"))

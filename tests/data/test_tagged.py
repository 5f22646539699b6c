"""Tagged text: the same sentences from every format and scheme, and every bad line named with what would be right."""

import io
import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from recurra.data.lines import STANDARD_INPUT
from recurra.data.tagged import TaggedFormat, read_tagged, sentences_to_predict
from recurra.data.tags import OUTSIDE, Scheme, write_tags
from recurra.errors import DataError


@pytest.fixture
def file(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def read(path, role="train", **how):
    return read_tagged(path, TaggedFormat(**how), role)


def to_predict(path, **how):
    return list(sentences_to_predict(path, TaggedFormat(**how)))


def known(examples):
    """What is known of the sentences, whatever file they came from."""
    return [(sentence.words, sentence.spans, sentence.label) for sentence in examples]


# Round trips: sentences are written in a format and a scheme, and read again.

tokens_of_words = st.text(st.sampled_from("aZé0#-'.中\u0301\u00a0"), min_size=1, max_size=4).filter(str.strip)


@st.composite
def corpora(draw):
    """Sentences as (words, spans, label), at least one of them with a span."""
    corpus = []
    for _ in range(draw(st.integers(1, 5))):
        words = draw(st.lists(tokens_of_words, min_size=1, max_size=6))
        spans, step = [], 0
        while step < len(words):
            width = draw(st.integers(0, min(3, len(words) - step)))
            if width:
                spans.append((step, step + width, draw(st.sampled_from(["PER", "LOC", "x-y"]))))
            step += max(width, 1)
        corpus.append((tuple(words), tuple(spans), draw(st.sampled_from([None, "request", "play music"]))))
    assume(any(spans for _, spans, _ in corpus))
    return corpus


def joined(spans):
    """Spans as IO can tell them: adjacent ones of a type are one."""
    merged = []
    for start, end, type_ in spans:
        if merged and merged[-1][1:] == (start, type_):
            merged[-1] = (merged[-1][0], end, type_)
        else:
            merged.append((start, end, type_))
    return tuple(merged)


def as_columns(corpus, scheme, separator, end):
    lines = []
    for words, spans, label in corpus:
        lines += [f"# label: {label}"] if label else []
        tags = write_tags(spans, len(words), scheme)
        lines += [separator.join([word, "x", tag]) for word, tag in zip(words, tags, strict=True)] + [""]
    return end.join(lines)


def as_conllu(corpus, scheme):
    lines = []
    for words, spans, label in corpus:
        lines += ["# sent_id = 1"] + ([f"# label = {label}"] if label else [])
        for number, (word, tag) in enumerate(zip(words, write_tags(spans, len(words), scheme), strict=True), 1):
            misc = f"SpaceAfter=No|NER={tag}" if tag != OUTSIDE else "_"
            lines.append("\t".join([str(number), word, *"______", "_", misc]))
        lines.append("")
    return "\n".join(lines)


def as_json_tags(corpus, scheme):
    return "\n".join(
        json.dumps({"tokens": words, "tags": write_tags(spans, len(words), scheme), "label": label})
        for words, spans, label in corpus
    )


schemes = st.sampled_from(list(Scheme))


@given(corpora(), schemes, st.sampled_from(["\t", " ", "  "]), st.sampled_from(["\n", "\r\n", "\n\n"]), st.booleans())
def test_columns_of_every_scheme_are_read_back(tmp_path_factory, corpus, scheme, separator, end, named):
    assume(end != "\n\n")
    path = tmp_path_factory.mktemp("columns") / "train.conll"
    path.write_text(as_columns(corpus, scheme, separator, end), newline="")
    expected = [(words, joined(spans) if scheme is Scheme.IO else spans, label) for words, spans, label in corpus]
    # Where a file is too small to tell its scheme, every scheme that fits says the same spans.
    assert known(read(path, scheme=scheme if named else None)) == expected
    assert [sentence.words for sentence in to_predict(path)] == [words for words, _, _ in corpus]


@given(corpora(), schemes)
def test_conllu_json_tags_and_parallel_files_of_every_scheme_are_read_back(tmp_path_factory, corpus, scheme):
    folder = tmp_path_factory.mktemp("formats")
    expected = [(words, joined(spans) if scheme is Scheme.IO else spans, label) for words, spans, label in corpus]
    (folder / "train.conllu").write_text(as_conllu(corpus, scheme), newline="")
    (folder / "train.jsonl").write_text(as_json_tags(corpus, scheme))
    for name, lines in {
        "train.seq.in": [" ".join(words) for words, _, _ in corpus],
        "train.seq.out": [" ".join(write_tags(spans, len(words), scheme)) for words, spans, _ in corpus],
        "train.label": [label or "" for _, _, label in corpus],
    }.items():
        (folder / name).write_text("".join(line + "\n" for line in lines), newline="")
    for name in ("train.conllu", "train.jsonl", "train.seq.in"):
        assert known(read(folder / name)) == expected
        assert [sentence.words for sentence in to_predict(folder / name)] == [words for words, _, _ in corpus]


@given(corpora(), st.booleans())
def test_spans_in_json_are_read_back_by_characters_and_by_tokens(tmp_path_factory, corpus, by_characters):
    lines = []
    for words, spans, label in corpus:
        record = {"tokens": words, "label": label, "entities": [list(span) for span in spans]}
        if by_characters:
            starts, text = [], "😀 "  # which is one character, two code units and four bytes
            for word in words:
                starts.append(len(text))
                text += word + " "
            record |= {
                "tokens": ["😀", *words],
                "text": text,
                "entities": [[starts[a], starts[b - 1] + len(words[b - 1]), type_] for a, b, type_ in reversed(spans)],
            }
        lines.append(json.dumps(record, ensure_ascii=False))
    path = tmp_path_factory.mktemp("spans") / "train.jsonl"
    path.write_text("\n".join(lines), newline="")
    examples, shift = read(path), int(by_characters)
    assert examples.scheme is None
    assert [sentence.label for sentence in examples] == [label for _, _, label in corpus]
    for sentence, (words, spans, _) in zip(examples, corpus, strict=True):
        assert sentence.words[shift:] == words
        assert sentence.spans == tuple((a + shift, b + shift, type_) for a, b, type_ in spans)


# Columns.


def test_columns_are_chosen_and_documents_counted(file):
    path = file(
        "eng.train",
        "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nsaid VBD I-VP O  \n\n\nIt PRP I-NP O\n"
        "-DOCSTART- -X- O O\n\nAnn NNP I-NP I-PER",
    )
    examples = read(path, feature_columns=(2, -2))
    assert [sentence.words for sentence in examples] == [("EU", "said"), ("It",), ("Ann",)]
    assert [sentence.document for sentence in examples] == [0, 0, 1]
    assert [sentence.source.line for sentence in examples] == [3, 7, 10]
    assert examples[0].features == (("NNP", "VBD"), ("I-NP", "I-VP"))
    assert (examples.format, examples.scheme, examples.lengths) == ("columns", Scheme.IO, [2, 1, 1])
    assert read(path, tag_column=3)[0].spans == ((0, 1, "NP"), (1, 2, "VP"))
    assert read(path, word_column=2)[0].words == ("NNP", "VBD")


def test_sentences_before_the_first_document_belong_to_none(file):
    path = file("a.conll", "a B-X\n\n-DOCSTART- O\n\n-DOCSTART- O\n\nb B-X\n\n# newdoc id = 3\nc B-X\n")
    assert [sentence.document for sentence in read(path)] == [None, 0, 1]


@pytest.mark.parametrize(
    ("name", "separator", "text"),
    [
        ("a.csv", None, 'Ann,B-PER\n"O, no",O\n'),
        ("a.txt", ";", 'Ann;B-PER\n"O, no";O\n'),
        ("a.txt", "|", "Ann|B-PER\nO, no|O\n"),
        ("a.tsv", None, "Ann\tB-PER\nO, no\tO\n"),
        ("a.txt", "\t", "Ann\tB-PER\t \nO, no \tO\n"),
    ],
)
def test_separators_may_be_any_and_cells_hold_others(file, name, separator, text):
    assert known(read(file(name, text), separator=separator)) == [(("Ann", "O, no"), ((0, 1, "PER"),), None)]


def test_white_space_that_separates_nothing_is_part_of_a_word(file):
    assert read(file("a.conll", "10\u00a0000 B-N\na\u2028b O\nc\x85 O\n\x0c O\n"))[0].words == (
        "10\u00a0000",
        "a\u2028b",
        "c\x85",
        "\x0c",
    )


def test_comments_are_no_words_and_words_that_begin_with_a_hash_no_comments(file):
    text = (
        "# label: book flight\n# text = #go Ann\n#go O\nAnn B-PER\n\n#tag B-X\n# O\n\n# a comment of many words\n# O\n"
    )
    assert known(read(file("a.conll", text))) == [
        (("#go", "Ann"), ((1, 2, "PER"),), "book flight"),
        (("#tag", "#"), ((0, 1, "X"),), None),
        (("#",), (), None),
    ]
    assert read(file("c.conll", "# a comment\n# B-X\n#a O\n"))[0].words == ("#", "#a")
    of_three = "# label: request\n# sent_id = 1\nAnn x B-PER\n"  # as many columns as the comments have
    assert known(read(file("b.conll", of_three))) == [(("Ann",), ((0, 1, "PER"),), "request")]


def test_a_label_without_a_prefix_is_io_and_said_so(file):
    examples = read(file("a.txt", "It O\nis O\n\nJoanne NAME\nRowling NAME\nwrote O\n"))
    assert examples.scheme is Scheme.IO
    assert examples[1].spans == ((0, 2, "NAME"),)


def test_a_sentence_may_have_100_000_words(file):
    path = file("a.conll", "Ann B-PER\n" + "word O\n" * 99_999)
    assert read(path).lengths == [100_000]
    assert len(to_predict(path)[0]) == 100_000


def test_words_of_conllu_are_those_that_are_there(file):
    text = (
        "# newdoc\n1-2\tdon't\t_\t_\t_\t_\t_\t_\t_\t_\n1\tdo\t_\t_\t_\t_\t_\t_\t_\tNER=B-X\n"
        "2\tn't\t_\tPART\t_\t_\t_\t_\t_\tSpaceAfter=No\n2.1\tgo\t_\t_\t_\t_\t_\t_\t_\t_\n"
        "3\tNew York\t_\tPROPN\t_\t_\t_\t_\t_\tB-LOC\n"
    )
    examples = read(file("a.txt", text), feature_columns=(4,))
    assert examples.format == "conllu"
    assert known(examples) == [(("do", "n't", "New York"), ((0, 1, "X"), (2, 3, "LOC")), None)]
    assert examples[0].features == (("_", "PART", "PROPN"),)


# JSON lines.


def test_json_of_annotators_is_read(file):
    records = [
        {"text": "Ann left.", "label": [[0, 3, "PER"]], "doc_id": "a"},
        {"text": "Ann left.", "spans": [{"start": 0, "end": 3, "label": "PER"}], "intent": "tell", "doc_id": "b"},
        {"text": "Ann", "entities": [{"start": 0, "end": 3, "entity_group": "PER"}], "doc_id": "a"},
        {"text": "AnnLee", "tokens": [{"text": "Ann"}, {"text": "Lee"}], "labels": [[0, 3, "PER"]], "doc_id": "b"},
    ]
    examples = read(file("a.jsonl", "\n".join(map(json.dumps, records))))
    assert [sentence.spans for sentence in examples] == [((0, 1, "PER"),)] * 4
    assert [sentence.document for sentence in examples] == [0, 1, 0, 1]
    assert [sentence.label for sentence in examples] == [None, "tell", None, None]
    assert examples[3].offsets == ((0, 3), (3, 6))


def test_the_scheme_of_json_is_that_of_the_file(file):
    # Alone, the first line is IO, and its two words one entity.
    lines = [
        {"tokens": ["Ann", "Bob"], "tags": ["I-PER", "I-PER"]},
        {"tokens": ["Ann", "Bob"], "tags": ["I-PER", "B-PER"]},
    ]
    examples = read(file("a.jsonl", "\n".join(map(json.dumps, lines))))
    assert examples.scheme is Scheme.IOB1
    assert [len(sentence.spans) for sentence in examples] == [1, 2]
    mixed = [*lines, {"tokens": ["a"], "tags": ["S-PER"]}]
    with pytest.raises(DataError, match=r"a.jsonl:\d: the tags are of no scheme"):
        read(file("a.jsonl", "\n".join(map(json.dumps, mixed))))


def characters(*spans, text="Ann left Paris for Rome.", times=1):
    return "\n".join([json.dumps({"text": text, "entities": spans})] * times)


def test_spans_that_fit_no_token_are_counted_and_listed(file):
    text = characters([0, 3, "PER"], times=30) + "\n" + characters([0, 3, "PER"], [10, 14, "LOC"])
    examples = read(file("a.jsonl", text))
    assert examples[30].spans == ((0, 1, "PER"),)
    [line] = examples.problems.lines()
    assert line.startswith("a span fits no token boundary and is left out: 1 (")
    assert line.endswith("a.jsonl:31 'aris' from 10 to 14, LOC)")


@pytest.mark.parametrize(
    ("spans", "text", "hint"),
    [
        ([[0, 2, "PER"], [9, 13, "LOC"]], "Ann left Paris for Rome.", "their ends seem to be the last characters"),
        ([[1, 4, "PER"], [10, 15, "LOC"]], "Ann left Paris for Rome.", "they seem to count from 1: take 1 off"),
        ([[1, 3, "PER"], [10, 14, "LOC"]], "Ann left Paris for Rome.", "take 1 off the starts"),
        ([[8, 11, "PER"]], "Zoë é Ann.", "they seem to count bytes of UTF-8"),
        ([[8, 11, "PER"], [17, 22, "LOC"]], "Zoë é Ann left Paris.", "they seem to count bytes of UTF-8"),
        ([[6, 9, "PER"], [15, 20, "LOC"]], "😀😀😀Ann left Paris.", "they seem to count code units of UTF-16"),
        ([[1, 2, "PER"]], "Ann left Paris.", "they must count characters of the text"),
    ],
)
def test_offsets_that_count_something_else_are_refused_and_explained(file, spans, text, hint):
    with pytest.raises(DataError, match=rf"a.jsonl: of \d spans, \d fit no token boundary, more than 5%: .*({hint})"):
        read(file("a.jsonl", characters(*spans, text=text)))


def test_a_span_given_twice_counts_once(file):
    examples = read(file("a.jsonl", characters([0, 3, "PER"], [0, 3, "PER"])))
    assert examples[0].spans == ((0, 1, "PER"),)
    assert examples.problems.lines()[0].startswith("a span is given twice and counts once: 1 (")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "this is not JSON"),
        ("[" * 100_000, "this is not JSON"),
        ("[1]", "this is JSON, but no object"),
        ('{"words": "Ann"}', r'"tokens" is "Ann"; give a list of words'),
        ('{"tokens": ["Ann", " "]}', '"tokens" has one that is no word'),
        ('{"tokens": ["Ann", 3]}', '"tokens" has one that is no word'),
        ('{"text": 3}', r'"text" is 3; give a text'),
        ('{"entities": []}', 'neither "text" nor "tokens"'),
        ('{"text": "a \\ud800", "entities": []}', "half of a character"),
        ('{"text": "Ann"}', 'neither "entities" nor "tags"'),
        ('{"text": "Ann", "entities": [[0, 3]]}', r"a span is \[0, 3\]; give \[start, end, type\]"),
        ('{"text": "Ann", "entities": [[3, 3, "PER"]]}', r'a span is \[3, 3, "PER"\]'),
        ('{"text": "Ann", "entities": [[-1, 3, "PER"]]}', "a span is"),
        ('{"text": "Ann", "entities": [[0, true, "PER"]]}', "a span is"),
        ('{"text": "Ann", "entities": [[0.0, 3.0, "PER"]]}', "a span is"),
        ('{"text": "Ann", "entities": [{"start": 0, "end": 3}]}', "a span is"),
        ('{"text": "Ann", "entities": [[0, 3, "A B"]]}', "the type of a span is 'A B'"),
        ('{"text": "Ann Lee", "entities": [[0, 7, "PER"], [4, 7, "X"]]}', r"from 0 to 7 \(PER\) and from 4 .* overlap"),
        ('{"text": "Ann Lee", "entities": [[0, 7, "PER"], [0, 7, "X"]]}', "overlap"),
        ('{"tokens": ["Ann"], "entities": [[0, 2, "PER"]]}', "ends after the last of 1 tokens"),
        ('{"tokens": ["Ann"], "tags": ["B-PER", "O"]}', "there are 2 tags for 1 words"),
        ('{"tokens": ["Ann"], "ner_tags": [3]}', r'"tags" is \[3\]; give the name of a tag'),
        ('{"tokens": ["Ann"], "tags": ["B-PER"], "label": 7}', '"label" is 7; give a text'),
        ('{"text": "Ann left", "tokens": ["Ann", "went"], "entities": []}', "'went' does not come next"),
    ],
)  # fmt: skip
def test_json_that_is_no_sentence_is_refused_with_its_line(file, line, message):
    with pytest.raises(DataError, match=rf"a.jsonl:2: .*{message}") as caught:
        read(file("a.jsonl", characters([0, 3, "PER"]) + "\n" + line))
    assert "\n" not in str(caught.value)


def test_sentences_without_words_are_left_out_of_training_and_counted(file):
    text = characters([0, 3, "PER"]) + '\n\n{"text": " ", "entities": []}\n'
    examples = read(file("a.jsonl", text))
    assert len(examples) == 1
    assert examples.problems.counts == {"an empty line is left out": 1, "a sentence without a word is left out": 1}
    assert [sentence.words for sentence in to_predict(file("a.jsonl", text))][1:] == [(), ()]


# Parallel files.


def parallel(file, words, tags, labels=None):
    file("train.seq.out", tags)
    if labels is not None:
        file("train.label", labels)
    return file("train.seq.in", words)


def test_parallel_files_need_no_labels_and_leave_out_empty_lines(file):
    examples = read(parallel(file, "play  Abba \n\nstop\n", "O B-artist\n\nO\n\n"))
    assert known(examples) == [(("play", "Abba"), ((1, 2, "artist"),), None), (("stop",), (), None)]
    assert [sentence.source.line for sentence in examples] == [1, 3]
    assert examples.problems.lines()[0].startswith("a sentence without a word is left out: 1 (")


@pytest.mark.parametrize(
    ("words", "tags", "labels", "message"),
    [
        ("a b\nc\n", "O B-X\n", None, r"train.seq.out:2: this line is missing, and .*train.seq.in has it"),
        ("a b\n", "O B-X\nO\n", None, r"train.seq.in:2: this line is missing, and .*train.seq.out has it"),
        ("a b\nc\n", "O B-X\nO\n", "x\n", r"train.label:2: this line is missing"),
        ("a b\nc\n", "O B-X\nO\n", "x\ny\n\nz\n", r"train.seq.in:4: this line is missing, and .*train.label has it"),
        ("a b\nc d\n", "O B-X\nO\n", None, r"train.seq.in:2: this line has 2 words, and in .*seq.out it has 1 tag;"),
        ("a b\nc\n", "O B-X\nI-Y\n", None, r"train.seq.in:2: the tags are of no scheme"),
    ],
)  # fmt: skip
def test_parallel_files_that_do_not_match_are_refused(file, words, tags, labels, message):
    with pytest.raises(DataError, match=message):
        read(parallel(file, words, tags, labels))


def test_parallel_files_that_are_missing_or_misnamed_are_refused(file):
    with pytest.raises(DataError, match=r"train.seq.out: there is no such file"):
        read(file("train.seq.in", "a b\n"))
    with pytest.raises(DataError, match=r"of parallel files, give the one of words, whose name ends in seq.in"):
        read(file("words.txt", "a b\n"), format="parallel")


def test_the_fingerprint_follows_all_parallel_files(file):
    def fingerprint(**how):
        return read(parallel(file, "a b\n", "O B-X\n", "x\n"), **how).fingerprint()

    before = fingerprint()
    assert before == fingerprint()
    assert before != fingerprint(scheme=Scheme.IOB2)
    examples = read(parallel(file, "a b\n", "O B-X\n", "x\n"))
    file("train.label", "y\n")
    assert examples.fingerprint() != before


# Text to predict.


def test_every_line_of_plain_text_is_a_sentence(file):
    lines = [
        "Ann left.",
        "",
        "  ",
        "a\u2028b\x85c\x0bd",
        "\ttab",
        "word " * 100_000,
        "# not a comment",
        "-DOCSTARTED-",
        "",
    ]
    sentences = to_predict(file("a.txt", "\n".join(lines) + "\n"))
    assert [sentence.text for sentence in sentences] == lines
    assert [len(sentence) for sentence in sentences] == [3, 0, 0, 4, 1, 100_000, 4, 3, 0]
    assert sentences[0].offsets == ((0, 3), (4, 8), (8, 9))
    assert all(sentence.spans is None for sentence in sentences)


@given(st.lists(st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"])), min_size=1))
def test_the_number_of_answers_never_changes(tmp_path_factory, lines):
    assume(not any(line.lstrip(" \t\ufeff").startswith(("{", "-DOCSTART-")) for line in lines))
    path = tmp_path_factory.mktemp("predict") / "a.txt"
    path.write_text("\n".join(lines) + "\n", newline="")
    sentences = to_predict(path)
    assert [sentence.text for sentence in sentences] == [lines[0].removeprefix("\ufeff"), *lines[1:]]
    assert [sentence.source.line for sentence in sentences] == list(range(1, len(lines) + 1))


@pytest.mark.parametrize(
    ("text", "format_"),
    [
        ("Harry Potter\nRon Weasley\n", "text"),
        ("a\tb\tc\n", "text"),
        ("Juliet and Romeo O\nbut then more\n", "text"),
        ("Ann B-PER\nleft O\n\nBob B-PER\n", "columns"),
        ("-DOCSTART- -X- O O\n\nAnn x y z\n", "columns"),
        ("# newdoc\n# sent_id = 1\n1\tAnn\t_\t_\t_\t_\t_\t_\t_\t_\n", "conllu"),
        ("\n\n" + '{"text": "Ann"}\n', "jsonl"),
        ("", "text"),
    ],
)
def test_the_format_of_what_is_to_predict_is_told_by_its_lines(file, text, format_):
    assert read(file("a", text), "predict").format == format_


def test_what_is_read_from_standard_input_is_told_by_its_first_line(monkeypatch):
    def answers(data):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data.encode())))
        return [sentence.words for sentence in to_predict(STANDARD_INPUT)]

    assert answers('{"text": "Ann left"}\n\n{"tokens": ["A b"]}\n') == [("Ann", "left"), (), ("A b",)]
    assert answers("Ann left\n\n") == [("Ann", "left"), ()]
    assert answers("Ann B-PER\nleft O\n\nBob B-PER\n") == [("Ann", "left"), ("Bob",)]


def test_tags_and_spans_to_predict_are_not_read(file):
    assert to_predict(file("a.conll", "Ann nonsense\nleft B-\n"))[0].words == ("Ann", "left")
    assert to_predict(file("b.conll", "Ann\nleft\n\nBob\n"))[0].words == ("Ann", "left")
    assert to_predict(file("a.jsonl", '{"text": "Ann", "label": 7, "entities": 3}\n'))[0].words == ("Ann",)


def test_an_empty_file_to_predict_has_no_sentence(file):
    for name in ("a.txt", "a.jsonl", "a.conll"):
        assert to_predict(file(name, "")) == []
        assert len(read(file(name, ""), "predict")) == 0


# What is refused.


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.conll", "", r"a.conll: there is no sentence in it"),
        ("a.conll", "\n \n\t\n", r"a.conll: there is no sentence in it"),
        ("a.jsonl", "\n", r"a.jsonl: there is no sentence in it"),
        ("a.txt", "", r"a.txt: this seems to be plain text"),
        ("a.conll", "Ann O\n\nBob O\n", r"a.conll: none of its 2 sentences has an entity; .* column -1: is it"),
        ("a.jsonl", '{"text": "Ann", "entities": []}', r"a.jsonl: none of its 1 sentences has an entity"),
        ("a.txt", "Ann left Paris.\nShe is in Rome now.\n", r"a.txt: this seems to be plain text, which has no tags"),
        ("a.conll", "Ann B-PER\nleft\n", r"a.conll:2: this line has 1 column, and line 1 has 2; give every word"),
        ("a.txt", "Ann B-PER\nleft O O\n", r"a.txt:2: this line has 3 columns, and line 1 has 2"),
        ("a.conll", "Ann\tB-PER\n\tO\n", r"a.conll:2: the word in column 1 is empty"),
        ("a.conll", "Ann\tx\tB-PER\nleft\t\tO\na\tb\n", r"a.conll:3: this line has 2 columns"),
        ("a.csv", "Ann,B-PER\nleft,\n", r"a.csv:2: the tag in column -1 is empty; give one, O for"),
        ("a.csv", 'Ann,B-PER\n",O\n', r"a.csv:2: this line has 1 column"),
        ("a.conll", "Ann\nleft\n", r"a.conll:1: words and tags are both column 1 of 1"),
        ("a.conll", "x O\nAnn B-PER\n\nBob S-PER\n", r"a.conll:2: the tags are of no scheme: by IOBES"),
        ("a.conll", "Ann B-PER\nLee I-PER\n\nBob I-LOC\nx O\ny B-PER\n", r"a.conll:4: the tags are of no scheme"),
        ("a.conll", "Ann NAME\nLee B-NAME\n", r"a.conll:2: the tags are of no scheme: by IO, .*B-NAME"),
        ("a.conll", "Ann B_PER\nLee I_PER\n", r"a.conll:1: B_PER is no tag of a scheme; write .*such as B-PER"),
        ("a.conll", "x O\nAnn b-per\nLee i-per\n", r"a.conll:2: b-per is no tag of a scheme"),
        ("a.conll", "x O\nAnn PER-B\nLee PER-I\n", r"a.conll:2: PER-B is no tag of a scheme"),
        ("a.conll", "Ann PER\nleft 0\n", r"a.conll:2: 0 seems to be meant for a word of no entity; write O"),
        ("a.conllu", "1\tAnn\tB-PER\n", r"a.conllu:1: this line has 3 columns, and CoNLL-U has 10"),
        ("a.conllu", "Ann" + "\tx" * 8 + "\tB-PER\n", r"a.conllu:1: the first column of CoNLL-U is the number"),
        ("a.conll", b"Ann B-PER\nZo\xeb B-PER\n", r"a.conll:2: byte 3 of the line is 0xeb"),
        ("a.conll", b"Ann B-PER\n\0 O\n", r"a.conll:2: byte 1 of the line is zero"),
        ("a.json", '[{"text": "Ann"}]', r"a.json:1: this is JSON, but no object; give an object a line"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_from_is_refused_in_one_line(file, name, text, message):
    with pytest.raises(DataError, match=message) as caught:
        read(file(name, text))
    assert "\n" not in str(caught.value)


def test_a_tag_that_the_named_scheme_does_not_allow_is_refused(file):
    path = file("a.conll", "x O\nAnn I-PER\n")
    with pytest.raises(DataError, match=r"a.conll:2: I-PER does not begin a span.*; the scheme is IOB2"):
        read(path, scheme=Scheme.IOB2)
    path = file("b.conll", "Ann B-PER\n\n")
    with pytest.raises(
        DataError, match=r"b.conll:1: the sentence ends where a span of PER is open; the scheme is IOBES"
    ):
        read(path, scheme=Scheme.IOBES)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"tag_column": 3}, r"a.conll:2: there is no column 3 for tags; the line has 2, counted from 1"),
        ({"word_column": 0}, "there is no column 0 for words"),
        ({"feature_columns": (-3,)}, "there is no column -3 for a feature"),
        ({"tag_column": 1}, "words and tags are both column 1"),
    ],
)
def test_a_column_that_is_not_there_is_refused(file, how, message):
    with pytest.raises(DataError, match=message):
        read(file("a.conll", "# comment\nAnn B-PER\n"), **how)


def test_features_are_asked_of_columns_only(file):
    with pytest.raises(DataError, match=r"a.txt: features are columns, and this is text"):
        to_predict(file("a.txt", "Ann left."), feature_columns=(2,))


def test_byte_order_mark_and_line_ends_change_nothing(file):
    plain = known(read(file("a.conll", "Ann B-PER\nleft O\n\nBob B-PER")))
    for text in ("\ufeffAnn B-PER\r\nleft O\r\n\r\nBob B-PER\r\n", "Ann B-PER\rleft O\r\rBob B-PER\r\r"):
        assert known(read(file("a.conll", text))) == plain


def test_a_stray_b_of_iob1_is_counted(file):
    path = file("a.conll", "Ann I-PER\n\n" * 150 + "x O\nBob B-PER\n")
    examples = read(path)
    assert examples.scheme is Scheme.IOB1
    assert examples[150].spans == ((1, 2, "PER"),)
    assert examples.problems.lines()[0].startswith("B begins a span of IOB1 where I would do: 1 (")

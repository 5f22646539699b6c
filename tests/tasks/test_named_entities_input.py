"""What is given to a tagger: every sentence has an answer, or an error names the file and the line; nothing between."""

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rich.text import Text

from recurra.data.dataset import Problems
from recurra.data.lines import Source
from recurra.data.tagged_sentence import TaggedSentence
from recurra.errors import DataError
from recurra.tasks.entity_output import ENTITY_FORMATS
from recurra.tasks.named_entities import NAMED_ENTITIES as TASK
from recurra.tasks.settings_file import make_config
from support.untrained import untrained

ODD = [
    "Ann left.",
    "",
    "   ",
    "a\u2028b\x85c\x0bd\x0c",
    "\ttab\tted",
    "# not a comment",
    "-DOCSTARTED-",
    "\u202eright to left\u202c \u200d\u0301 \ufeff",
    "🧙🏽‍♀️ 👩‍👩‍👧 𝕎",
    "i" * 5000,
    "O O O B-PER",
]


def begun(folder, text, **settings):
    """A tagger of random weights that are large enough for every kind of answer."""
    config = make_config(TASK.config, {}, {**TASK.example(folder), **settings})
    config.sentences.data.write_text(text, encoding="utf-8")
    return untrained(TASK, config, TASK.read(config, config.sentences.data, "train"), scale=4)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return begun(folder, "Ann B-PER\nleft O\nNew B-LOC\nYork I-LOC\n\nBob B-PER\n" * 3)


def written(run, path, name):
    """What a file is answered with in a format."""
    sentences = list(TASK.stream(run.config, path, Problems()))
    pairs = zip(sentences, run.answers(sentences), strict=True)
    if name == "jsonl":
        return "".join(f"{json.dumps(TASK.show(*pair), ensure_ascii=False)}\n" for pair in pairs)
    pieces = ENTITY_FORMATS[name](run, pairs)
    return "".join(piece.plain if isinstance(piece, Text) else piece for piece in pieces)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_every_line_of_text_has_one_line_of_answer(run, tmp_path, start, end):
    path = tmp_path / "a.txt"
    path.write_bytes((start + end.join(ODD) + end).encode())
    shown = [json.loads(line) for line in written(run, path, "jsonl").removesuffix("\n").split("\n")]
    assert [answer["text"] for answer in shown] == ODD
    assert written(run, path, "text").count("\n") == len(ODD)
    assert written(run, path, "html").count("<p ") == len(ODD)
    assert sum(len(answer["entities"]) for answer in shown) > 0
    for answer in shown:
        for entity in answer["entities"]:
            assert answer["text"][entity["start"] : entity["end"]] == entity["text"] != ""


@given(
    st.lists(st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), max_size=12), max_size=6)
)
def test_the_number_of_answers_is_that_of_the_lines_whatever_they_hold(run, tmp_path_factory, lines):
    lines = ["Ann left", *lines]  # by its first line it is text
    assume(not any(line.lstrip(" \t").startswith(("{", "-DOCSTART-")) for line in lines))
    path = tmp_path_factory.mktemp("predict") / "a.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    assert [json.loads(line)["text"] for line in written(run, path, "jsonl")[:-1].split("\n")] == lines


blocks = st.tuples(
    st.lists(st.sampled_from(["", "# id = 1", "-DOCSTART- O"]), max_size=2),
    st.lists(st.text("aZé0'-\u00a0\u2028#", min_size=1, max_size=4).map(lambda word: f"{word} O"), max_size=3),
).map(lambda parts: [*parts[0], *parts[1], ""])


@given(st.lists(blocks, max_size=5))
def test_columns_come_back_line_by_line_whatever_they_hold(run, tmp_path_factory, drawn):
    path = tmp_path_factory.mktemp("columns") / "a.conll"
    lines = ["Ann O", "", *(line for block in drawn for line in block)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    answered = written(run, path, "conll").removesuffix("\n").split("\n")
    assert len(answered) == len(lines)
    for before, after in zip(lines, answered, strict=True):
        assert after == before or after.rpartition(" ")[0] == before


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.conll", b"Ann O\n\nBob\n", r"a.conll:3: this line has 1 column, and line 1 has 2"),
        ("a.conll", b"Ann\tO\n\n\tO\n", r"a.conll:3: the word in column 1 is empty"),
        ("a.txt", b"Ann left\nZo\xeb left\n", r"a.txt:2: byte 3 of the line is 0xeb, which is no UTF-8 there"),
        ("a.txt", b"Ann left\n\0\n", r"a.txt:2: byte 1 of the line is zero"),
        ("a.txt", "Ann left".encode("utf-16"), r"a.txt: this is UTF-16 text"),
        ("a.jsonl", b'{"text": "Ann"}\n{"text": 3}\n', r'a.jsonl:2: "text" is 3; give a text'),
        ("a.jsonl", b'{"text": "Ann"}\n{"txt": "Bob"}\n', r'a.jsonl:2: there is neither "text" nor "tokens"'),
        ("a.jsonl", b'{"tokens": ["Ann", ""]}\n', r'a.jsonl:1: "tokens" has one that is no word'),
    ],
)  # fmt: skip
def test_what_has_no_answer_is_refused_with_its_line(run, tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        written(run, path, "jsonl")
    assert "\n" not in str(caught.value)


def test_an_empty_file_has_no_answer(run, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"")
    assert written(run, path, "jsonl") == written(run, path, "conll") == ""
    assert "0 sentences, 0 entities" in written(run, path, "html")


def test_types_that_only_the_part_measured_has_are_missed_and_change_no_loss(run, tmp_path):
    path = tmp_path / "test.conll"
    path.write_text("Ann B-PER\nsued O\nAcme B-ORG\n", encoding="utf-8")
    sentences = TASK.read(run.config, path, "evaluate")
    report = run.evaluate(sentences)
    rows = {row.name: row.figures for row in report.tables["f1"]}
    assert rows["ORG"]["spans"] == 1
    assert rows["ORG"]["predicted"] == rows["ORG"]["recall"] == 0
    assert report.loss < float("inf")


def test_labels_that_only_the_part_measured_has_are_wrong_and_change_no_loss(tmp_path):
    text = "# label = ask\nAnn B-PER\n\n# label = tell\nBob B-PER\n\n"
    run = begun(tmp_path, text, sentence_label=True)
    path = tmp_path / "test.conll"
    path.write_text("# label = sing\nAnn B-PER\n\nBob B-PER\n", encoding="utf-8")
    report = run.evaluate(TASK.read(run.config, path, "evaluate"))
    assert report.figures["label_accuracy"] == 0
    assert report.loss < float("inf")


def test_a_batch_whose_sentences_have_no_word_is_answered(run):
    empty = TaggedSentence((), Source("typed", 1))
    assert [answer.spans for answer in run.answers([empty, empty])] == [(), ()]

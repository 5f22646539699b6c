"""The formats of tagged sentences: what is written is what was answered, nothing of the input is lost or obeyed."""

import html.parser
import io
import json
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from recurra.data.labels import Labels
from recurra.data.lines import Source
from recurra.data.tagged import TaggedFormat, plain_sentence, read_tagged, sentences_to_predict
from recurra.data.tagged_sentence import TaggedSentence
from recurra.data.tags import Scheme, tags_of
from recurra.tasks.entity_output import ENTITY_FORMATS
from recurra.tasks.entity_page import html_page
from recurra.tasks.tagging import Tagging, show

TYPES = ("LOC", "PER")
CONLL = """\
-DOCSTART- -X- O O

# comment = kept as it is
Ann NNP I-NP I-PER
left VBD I-VP O
New NNP I-NP I-LOC
York NNP I-NP I-LOC


-DOCSTART- -X- O O

Bob NNP I-NP I-PER
Rome NNP I-NP I-LOC

# end = of it
"""


@pytest.fixture
def file(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return write


def answer(*spans, confidence=0.75, **label):
    return Tagging(tuple(spans), (confidence,) * len(spans), **label)


def run(scheme=Scheme.IOB2, prefixed=True):
    """As much of a trained tagger as the formats look at."""
    tags = Labels(names=tuple(tags_of(TYPES, Scheme.IOBES)))
    return SimpleNamespace(assets=SimpleNamespace(tags=tags, scheme=scheme, prefixed=prefixed))


def written(name, pairs, **how):
    return "".join(map(plain, ENTITY_FORMATS[name](run(**how), iter(pairs))))


def plain(piece):
    return piece.plain if isinstance(piece, Text) else piece


# Columns


@pytest.mark.parametrize("scheme", list(Scheme))
def test_columns_keep_every_line_and_take_the_prediction_as_one_more(file, scheme):
    path = file("a.conll", CONLL)
    sentences = list(sentences_to_predict(path, TaggedFormat()))
    answers = [answer((0, 1, "PER"), (2, 4, "LOC")), answer((0, 1, "LOC"), (1, 2, "LOC"))]
    text = written("conll", zip(sentences, answers, strict=True), scheme=scheme)
    lines, before = text.split("\n"), CONLL.split("\n")
    assert [line if line.startswith("#") else line.rpartition(" ")[0] for line in lines] == before
    widths = {len(line.split()) for line in lines if line and not line.startswith("#")}
    assert widths == {5}  # also of lines that begin a document: conlleval wants it so
    predicted = read_tagged(file("b.conll", text), TaggedFormat(), "evaluate")
    assert [sentence.spans for sentence in predicted] == [given.spans for given in answers]
    gold = read_tagged(file("c.conll", text), TaggedFormat(tag_column=-2), "evaluate")
    assert gold[0].spans == ((0, 1, "PER"), (2, 4, "LOC"))


def test_the_scheme_of_types_alone_is_written_without_prefixes(file):
    path = file("a.conll", "Ann O\nleft O\n")
    [sentence] = sentences_to_predict(path, TaggedFormat())
    text = written("conll", [(sentence, answer((0, 1, "PER")))], scheme=Scheme.IO, prefixed=False)
    assert text == "Ann O PER\nleft O O\n"


def test_columns_keep_their_separator(file):
    for name, line in (("a.tsv", "Ann B\t\tO\t"), ("b.csv", '"Ann, B",x'), ("c.conll", "Ann  x")):
        [sentence] = sentences_to_predict(file(name, f"{line}\r\n"), TaggedFormat())
        text = written("conll", [(sentence, answer((0, 1, "a,b")))])
        separator, tag = {"a.tsv": ("\t", "B-a,b"), "b.csv": (",", '"B-a,b"'), "c.conll": (" ", "B-a,b")}[name]
        assert text == f"{line.strip()}{separator}{tag}\n"
        [again] = read_tagged(file(f"again-{name}", text), TaggedFormat(), "evaluate")
        assert again.words == sentence.words
        assert again.spans == ((0, 1, "a,b"),)


def test_conllu_stays_conllu(file):
    text = (
        "# sent_id = 1\n1-2\tAnn's\t_\t_\t_\t_\t_\t_\t_\t_\n"
        "1\tAnn\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No|NER=O\n2\t's\t_\t_\t_\t_\t_\t_\t_\t_\n\n"
    )
    [sentence] = sentences_to_predict(file("a.conllu", text), TaggedFormat())
    result = written("conll", [(sentence, answer((0, 1, "PER")))])
    assert result == text.replace("NER=O", "NER=B-PER")
    [again] = read_tagged(file("b.conllu", result), TaggedFormat(), "evaluate")
    assert again.spans == ((0, 1, "PER"),)


def test_text_and_json_become_words_with_tags_and_documents(file):
    sentences = [
        replace(plain_sentence("Ann left.", Source("a", 1)), document=0),
        replace(plain_sentence("", Source("a", 2)), document=0),
        TaggedSentence(("New York", "a\tb"), Source("a", 3), document=1),
    ]
    answers = [answer((0, 1, "PER"), label="say\nit", label_probability=0.5), answer(), answer((0, 1, "LOC"))]
    text = written("conll", zip(sentences, answers, strict=True))
    assert text == (
        "-DOCSTART-\tO\n\n# label = say it\nAnn\tB-PER\nleft\tO\n.\tO\n\n\n-DOCSTART-\tO\n\nNew York\tB-LOC\na b\tO\n\n"
    )
    again = read_tagged(file("b.conll", text), TaggedFormat(), "evaluate")
    assert [(s.spans, s.label, s.document) for s in again] == [
        (((0, 1, "PER"),), "say it", 0),
        (((0, 1, "LOC"),), None, 1),
    ]


# JSON


def test_json_counts_characters_and_keeps_to_a_line():
    sentence = plain_sentence("\u2028𝕎 Ann\tleft\u0085", Source("a", 1))
    step = sentence.words.index("Ann")
    shown = show(sentence, answer((step, step + 1, "PER"), confidence=0.123456))
    [entity] = shown["entities"]
    assert shown["text"][entity["start"] : entity["end"]] == entity["text"] == "Ann"
    assert entity["confidence"] == 0.1235
    assert "\n" not in json.dumps(shown, ensure_ascii=False)


# On a terminal


def test_the_type_stands_beside_the_entity_and_the_text_is_as_it_was():
    sentence = plain_sentence("In New  York, Ann left.", Source("a", 1))
    given = answer((1, 3, "LOC"), (4, 5, "PER"), label="news", label_probability=0.9)
    assert written("text", [(sentence, given)]) == "news: In [New  York LOC], [Ann PER] left.\n"


@pytest.mark.parametrize("colors", ["standard", "256", "truecolor"])
def test_types_have_colours_of_their_own(colors):
    sentence = plain_sentence("In New York, a long way from here, Ann met Bob.", Source("a", 1))
    pairs = [(sentence, answer((1, 3, "LOC"), (10, 11, "PER"), (12, 13, "PER")))]
    [line] = ENTITY_FORMATS["text"](run(), pairs)
    console = Console(file=io.StringIO(), force_terminal=True, color_system=colors, highlight=False, width=20)
    console.print(line, soft_wrap=True, end="")
    text = console.file.getvalue()
    assert text.count("\n") == 1  # a line longer than the window is not cut
    background = {piece: code for code, piece in re.findall(r"\x1b\[([\d;]*)m(\[[\w ]+) ", text)}
    assert background["[New York"] != background["[Ann"] == background["[Bob"]


def test_nothing_in_a_text_steers_the_terminal():
    sentence = plain_sentence("a\x1b[31mb\x9b5n\r\nc\u2028 Ann", Source("a", 1))
    assert written("text", [(sentence, answer())]) == "a\ufffd[31mb\ufffd5n  c\ufffd Ann\n"


# A page


class Page(html.parser.HTMLParser):
    """The elements of a page, and the text of its paragraphs."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.attributes, self.paragraphs = [], set(), [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.add(tag)
        self.attributes += attributes
        if tag not in {"meta", "hr"}:
            self.open.append(tag)
        if tag == "p":
            self.paragraphs.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "p" in self.open and "small" not in self.open and "em" not in self.open:
            self.paragraphs[-1] += data


@given(st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"])), min_size=1, max_size=4), st.data())
def test_a_page_shows_any_text_and_obeys_none(texts, data):
    pairs = []
    for number, text in enumerate(["<script>a()</script> & &amp; \"'", *texts]):
        sentence = plain_sentence(text, Source("a", number))
        step = data.draw(st.integers(0, len(sentence)))
        spans = [(step, len(sentence), 'x"><b>')] if step < len(sentence) else []
        pairs.append((sentence, answer(*spans, label="<i>" if number else None, label_probability=0.5)))
    text = "".join(html_page(pairs, TYPES, "<title>"))
    page = Page(text)
    assert page.paragraphs == [sentence.text for sentence, _ in pairs]
    assert page.elements <= {
        *("html", "head", "meta", "title", "style", "body", "h1"),
        *("p", "mark", "small", "em", "footer", "hr"),
    }
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in {"src", "href"}]
    assert "default-src 'none'" in text


def test_the_legend_counts_and_documents_are_parted():
    sentences = [TaggedSentence(("Ann",), Source("a", n), document=n // 2) for n in range(4)]
    text = written("html", [(sentence, answer((0, 1, "PER"))) for sentence in sentences])
    assert text.count("<hr>") == 1
    assert "4 sentences, 4 entities" in text
    assert re.search(r"LOC</mark> 0 .*PER</mark> 4", text)
    assert 'title="PER 75.0 %"' in text


@pytest.mark.parametrize("name", ENTITY_FORMATS)
def test_each_answer_is_written_before_the_next_is_asked_for(name):
    asked = []

    def stream():
        for number in range(3):
            asked.append(number)
            yield plain_sentence(f"Ann{number} left", Source("a", number)), answer((0, 1, "PER"))

    text = ""
    for piece in ENTITY_FORMATS[name](run(), stream()):
        text += plain(piece)
        for number in asked:
            assert f"Ann{number}" in text
    assert asked == [0, 1, 2]


def test_a_sentence_without_words_has_a_line_of_its_own_and_a_type_its_own_direction():
    page = "".join(html_page([], TYPES, "names"))
    assert "min-height: 2em" in page
    assert "mark small, p > em { unicode-bidi: isolate" in page

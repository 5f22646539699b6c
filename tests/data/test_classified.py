"""Texts with classes: the same from every format, none left out unsaid, and every bad line named."""

import csv
import gzip
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.classified import ClassifiedFormat, read_classified, texts_to_classify
from recurra.data.lines import STANDARD_INPUT
from recurra.errors import DataError, SettingError


@pytest.fixture
def file(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def read(path, role="train", **how):
    return read_classified(path, ClassifiedFormat(**how), role)


def known(examples):
    return [(text.text, text.labels) for text in examples]


def texts(path, **how):
    return [text.text for text in texts_to_classify(path, ClassifiedFormat(**how))]


# Formats

REVIEWS = [("Good, \u201cvery\u201d good", ("1",)), ("a\u2028b", ("0",)), ("Not bad", ("1",)), ("Bad", ("0",))]
WRITTEN = {
    "a.csv": 'id,text,label\n7,"Good, \u201cvery\u201d good",1\n8,a\u2028b,0\n9,Not bad,1\n10,Bad,0\n',
    "a.tsv": "label\tText\n1\tGood, \u201cvery\u201d good\n0\ta\u2028b\n1\tNot bad\n0\tBad\n",
    "tabs.txt": "sentence\tlabel\nGood, \u201cvery\u201d good\t1\na\u2028b\t0\nNot bad\t1\nBad\t0\n",
    "a.jsonl": (
        '{"text": "Good, \u201cvery\u201d good", "label": 1}\n{"text": "a\u2028b", "label": 0.0}\n'
        '{"text": "Not bad", "label": "1"}\n{"text": "Bad", "label": 0}\n'
    ),
    "objects.txt": (
        '{"review": "Good, \u201cvery\u201d good", "stars": 1}\n\n{"review": "a\u2028b", "stars": 0}\n'
        '{"review": "Not bad", "stars": 1}\n{"review": "Bad", "stars": 0}\n'
    ),
    "fast.txt": "__label__1 Good, \u201cvery\u201d good\n__label__0 a\u2028b\n__label__1 Not bad\n__label__0 Bad\n",
    "lines.train": "1 Good, \u201cvery\u201d good\n0 a\u2028b\n\n1 Not bad\n0 Bad\n",
}  # fmt: skip


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("name", WRITTEN)
def test_every_format_is_told_and_has_the_same_texts(file, name, start, end):
    content = (start + WRITTEN[name].replace("\n", end)).encode()
    assert known(read(file(name, content))) == REVIEWS
    assert known(read(file(f"{name}.gz", gzip.compress(content)))) == REVIEWS


def test_a_last_line_needs_no_end(file):
    for name, content in WRITTEN.items():
        assert known(read(file(name, content.rstrip("\n")))) == REVIEWS


def test_cells_in_quotes_have_separators_quotes_and_line_ends(file):
    path = file("a.csv", 'text,label\n"one,\ntwo\r\nthree ""four""",pos\nfive,neg\n')
    examples = read(path)
    assert known(examples) == [('one,\ntwo\nthree "four"', ("pos",)), ("five", ("neg",))]
    assert [str(text.source) for text in examples] == [f"{path}:2", f"{path}:5"]


def test_a_text_may_be_as_long_as_a_book(file):
    text = "word " * 100_000
    assert read(file("a.csv", f'text,label\n"{text}",a\nb,c\n'))[0].text == text


def test_json_writes_numbers_and_truth_as_one_would(file):
    labels = ["1", "1.0", "1.5", "true", "false", '" pos "', "1e3"]
    lines = "".join(f'{{"text": "a", "label": {label}}}\n' for label in labels)
    assert [text.labels for text in read(file("a.jsonl", lines))] == [
        *(("1",), ("1",), ("1.5",), ("true",), ("false",), ("pos",), ("1000",)),
    ]


def test_json_without_a_label_is_unlabelled(file):
    labels = ['"x"', "null", '""', '["y"]', "[null]"]
    lines = "".join(f'{{"text": "a", "label": {label}}}\n' for label in labels)
    examples = read(file("a.jsonl", lines))
    assert [text.labels for text in examples] == [("x",), ("y",)]
    assert sum(examples.problems.counts.values()) == 3


def test_a_list_may_have_several_classes_or_none(file):
    labels = ["[]", '["y", "x", "y"]', "[1, 1.0, 2]"]
    lines = "".join(f'{{"text": "a", "label": {label}}}\n' for label in labels)
    assert [text.labels for text in read(file("a.jsonl", lines))] == [(), ("y", "x"), ("1", "2")]
    with pytest.raises(DataError, match=r"b.jsonl:1: an object is no class; give a text, a number or a list of them"):
        read(file("b.jsonl", '{"text": "a", "label": {"x": 1}}\n'))


def test_one_and_one_point_nought_are_one_class_and_that_is_said(file):
    path = file("a.csv", "text,label\na,1\nb,1.0\nc,1.10\nd,-2.00\ne,1.0.0\nf, 1.0 \n")
    examples = read(path)
    assert [text.labels for text in examples] == [("1",), ("1",), ("1.10",), ("-2",), ("1.0.0",), ("1",)]
    [line] = examples.problems.lines()
    assert line.startswith(f"a class that is a number with a fraction of 0 is read without it: 3 ({path}:3 '1.0'; ")


def test_fasttext_has_several_labels_and_says_what_has_none(file):
    path = file("a.txt", "__label__a __label__b one two\n__label__ three\n__label__c\n")
    examples = read(path, "evaluate", format="fasttext")
    assert known(examples) == [("one two", ("a", "b")), ("", ("c",))]
    assert sum(examples.problems.counts.values()) == 1


def test_several_classes_stand_in_a_cell(file):
    path = file("a.csv", 'text,label\na,x|y\nb,"x | z|x"\nc,|\nd,\n')
    assert known(read(path, label_separator="|")) == [("a", ("x", "y")), ("b", ("x", "z")), ("c", ()), ("d", ())]
    assert known(read(path)) == [("a", ("x|y",)), ("b", ("x | z|x",)), ("c", ("|",))]
    path = file("a.jsonl", '{"text": "a", "label": "x, y"}\n{"text": "b", "label": ["x", "y, z"]}\n')
    assert known(read(path, label_separator=",")) == [("a", ("x", "y")), ("b", ("x", "y, z"))]
    with pytest.raises(SettingError, match="label_separator is empty"):
        ClassifiedFormat(label_separator=" ")


def test_a_class_may_end_in_a_tab(file):
    ham = "ham\tGo on, then\nspam\tWin a prize\n" * 3
    assert known(read(file("a.txt", ham)))[:2] == [("Go on, then", ("ham",)), ("Win a prize", ("spam",))]
    tabbed = "__label__a\t__label__b\tone two\n__label__c \t three\n"
    assert known(read(file("b.txt", tabbed))) == [("one two", ("a", "b")), ("three", ("c",))]


def test_a_folder_a_class(file, tmp_path):
    for name, content in {
        "pos/b.txt": "Good\n",
        "pos/sub/a.txt": "Fine",
        "neg/a.txt": "\ufeffBad\r\nall of it\r\n",
    }.items():
        file(f"reviews/{name}", content)
    examples = read(tmp_path / "reviews")
    assert [(text.text.strip(), text.labels) for text in examples] == [
        *(("Bad\nall of it", ("neg",)), ("Good", ("pos",)), ("Fine", ("pos",))),
    ]
    before = examples.fingerprint()
    file("reviews/neg/a.txt", "Worse")
    assert read(tmp_path / "reviews").fingerprint() != before


rows = st.tuples(st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"])), st.sampled_from("ab"))


@given(st.lists(rows, min_size=1, max_size=6), st.sampled_from([",", "\t"]), st.sampled_from(["\n", "\r\n"]))
def test_what_is_written_as_a_table_is_read_from_it(tmp_path_factory, drawn, delimiter, end):
    table = io.StringIO()
    writer = csv.writer(table, delimiter=delimiter, lineterminator=end)
    writer.writerows([("text", "label"), *drawn])
    path = tmp_path_factory.mktemp("table") / {",": "a.csv", "\t": "a.tsv"}[delimiter]
    path.write_bytes(table.getvalue().encode())
    assert known(read(path, "evaluate")) == [(text, (label,)) for text, label in drawn]


@given(st.lists(rows, min_size=1, max_size=6), st.booleans())
def test_what_is_written_as_json_is_read_from_it(tmp_path_factory, drawn, ascii_only):
    lines = [json.dumps({"text": text, "label": label}, ensure_ascii=ascii_only) for text, label in drawn]
    path = tmp_path_factory.mktemp("json") / "a.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    assert known(read(path, "evaluate")) == [(text, (label,)) for text, label in drawn]


# Columns


def test_columns_are_found_by_usual_names_and_named_where_they_are_others(file):
    path = file("a.csv", "Sentiment,who,Review,words\npos,ann,Good,x\nneg,bob,Bad,y\n")
    assert known(read(path)) == [("Good", ("pos",)), ("Bad", ("neg",))]
    examples = read(path, text_column="words", label_column="who", group_column="Sentiment")
    assert known(examples) == [("x", ("ann",)), ("y", ("bob",))]
    assert [text.group for text in examples] == ["pos", "neg"]
    assert examples[0].columns == {"Sentiment": "pos", "who": "ann", "Review": "Good", "words": "x"}


@pytest.mark.parametrize(
    ("name", "content", "how", "message"),
    [
        ("a.csv", "text,kind\na,b\n", {}, r"a.csv:1: there is no column named like a label; the columns are: text"),
        ("a.csv", "a,label\nb,c\n", {}, r"a.csv:1: there is no column named like a text; .* say which with --text-col"),
        ("a.csv", "text,label\na,b\n", {"text_column": "txet"}, r"no column 'txet'; .*-column; did you mean text"),
        ("a.csv", "text,label\na,b\n", {"group_column": "who"}, r"no column 'who'.*--group-column"),
        ("a.jsonl", '{"words": "a"}\n', {}, r"a.jsonl:1: there is no key 'text'; .* with --text-column"),
        ("a.jsonl", '{"text": 3}\n', {}, r"a.jsonl:1: 'text' is 3; give a text"),
        ("a.jsonl", '{"text": "a"}\n', {"label_column": "kind"}, r"a.jsonl:1: there is no 'kind'; the keys are: text"),
        ("a.csv", "text,label\na,b\nc\n", {}, r"a.csv:3: 1 column, and the heading has 2; put a text"),
        ("a.csv", 'text,label\n"a\nb",c\nd,e,f\n', {}, r"a.csv:4: 3 columns, and the heading has 2"),
        ("a.csv", 'text,label\na,b\n"c,d\ne,f\n', {}, r"a.csv:3: a quotation mark opens a cell here and is never"),
        ("a.csv", 'text,label\n"a\nb","c\n', {}, r"a.csv:3: a quotation mark opens a cell here"),
        ("a.csv", 'text,label\n"a ""b"" c",d\n"x","y ""z\nw\n', {}, r"a.csv:3: a quotation mark opens a cell here"),
        ("a.csv", 'text,label\n"a"b,c\n', {}, r"a.csv:2: the row that begins here is none of a table"),
        ("a.csv", "text,label\na,\nb, \n", {}, r"a.csv: 0 labelled texts in it, and 2 without a label"),
        ("a.csv", "text,label\n", {}, r"a.csv: 0 labelled texts in it; give a table"),
        ("a.csv", "", {}, r"a.csv: 0 labelled texts"),
        ("a.jsonl", '{"text": "a", "label": 1}\n[1]\n', {}, r"a.jsonl:2: this is JSON, but no object; give an"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text"\n', {}, r"a.jsonl:2: this is not JSON"),
        ("a.txt", "One line.\nAnother.\n", {}, r"a.txt: this seems to be plain text, which has no classes"),
        ("a.txt", "", {}, r"a.txt: "),
        ("a.txt", "one __label__a\n", {"format": "fasttext"}, r"0 labelled texts in it, and 1 .*as --format fasttext"),
        ("a.txt", "a one\nb\n", {"format": "lines"}, r"a.txt:2: there is a class and no text"),
        ("a.csv", b"text,label\nZo\xeb,a\n", {}, r"a.csv:2: byte 3 of the line is 0xeb, which is no UTF-8"),
        ("a.csv", b"text,label\na\0,a\n", {}, r"a.csv:2: byte 2 of the line is zero"),
        ("a.csv", "text,label\na,b\n".encode("utf-16"), {}, r"a.csv: this is UTF-16 text"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(file, name, content, how, message):
    with pytest.raises(DataError, match=message) as caught:
        read(file(name, content), **how)
    assert "\n" not in str(caught.value)


def test_there_is_no_such_file_format_or_folder(file, tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        read(tmp_path / "none.csv")
    with pytest.raises(SettingError, match="no format 'xml'; choose one of: csv, tsv"):
        ClassifiedFormat("xml")
    file("one/pos/a.txt", "Good")
    with pytest.raises(DataError, match="this folder has 1 folder"):
        read(tmp_path / "one")


def test_unlabelled_rows_are_counted_and_listed(file):
    path = file("a.csv", "text,label\na,x\nb,\n\nc,y\nd,  \n")
    examples = read(path)
    assert known(examples) == [("a", ("x",)), ("c", ("y",))]
    [line] = examples.problems.lines()
    assert line == f"a text without a class is left out: 2 ({path}:3; {path}:6)"


def test_empty_texts_are_counted_and_teach_nothing(file):
    path = file("a.csv", "text,label\na,x\n,y\n  ,y\nb,y\n")
    examples = read(path)
    assert known(examples) == [("a", ("x",)), ("b", ("y",))]
    assert examples.problems.lines() == [f"a text without a word is left out: 2 ({path}:3; {path}:4)"]
    for role in ("validate", "evaluate"):
        assert len(read(path, role=role)) == 4, "nothing is left out of a measurement"


def test_a_line_that_is_written_otherwise_changes_no_other(file):
    path = file("a.txt", "__label__x one\ntwo\n__label__y three\u2028still\n\n__label__y\n__label__x four __label__y\n")
    examples = read(path)
    assert known(examples) == [("one", ("x",)), ("three\u2028still", ("y",)), ("four __label__y", ("x",))]
    assert examples.problems.lines() == [
        f"a text without a class is left out: 2 ({path}:2; {path}:4)",
        f"a text without a word is left out: 1 ({path}:5)",
    ]
    assert texts(path) == ["one", "two", "three\u2028still", "", "", "four __label__y"]
    objects = file("b.txt", '{"text": "a", "label": 1}\n{"text": "b", "label": 0}\ntext\n')
    with pytest.raises(DataError, match=r"b\.txt:3: this is not JSON"):
        read(objects)


# Predicting


def test_no_text_is_left_out_where_it_is_to_predict(file):
    assert texts(file("a.txt", "one\n\n  \nfour\n")) == ["one", "", "  ", "four"]
    assert texts(file("a.csv", "text,label\none,\n\nthree,x\n,\n")) == ["one", "", "three", ""]
    assert texts(file("one.csv", "text\none\n\nthree\n")) == ["one", "", "three"]
    assert texts(file("a.jsonl", '{"text": "one"}\n\n{"text": "", "label": null}\n')) == ["one", "", ""]
    assert texts(file("b.txt", "__label__a one\n__label__b\n")) == ["one", ""]
    assert texts(file("c.txt", "")) == []


def test_lines_that_begin_alike_are_texts_where_it_is_to_predict(file):
    lines = ["I like it", "I hate it", "They like it", "They hate it"]
    path = file("a.txt", "\n".join(lines))
    assert texts(path) == lines
    without = [line.partition(" ")[2] for line in lines]
    assert texts(path, format="lines") == without
    numbered = file("b.txt", "\n".join(f"{number % 2} {line}" for number, line in enumerate(without)))
    assert texts(numbered) == without  # numbers are classes
    assert texts(file("c.txt", "1 one\n2 two\n3 three")) == ["1 one", "2 two", "3 three"]  # but not each another


def test_the_columns_are_kept(file):
    path = file("a.csv", "id,text,label\n7,one,\n")
    [text] = texts_to_classify(path, ClassifiedFormat())
    assert dict(text.columns) == {"id": "7", "text": "one", "label": ""}
    [text] = texts_to_classify(file("b.csv", "text,x,,,x\none,1,2,3,4\n"), ClassifiedFormat())
    assert dict(text.columns) == {"text": "one", "x": "1", "": "2", " (2)": "3", "x (2)": "4"}
    [text] = texts_to_classify(file("a.jsonl", '{"id": 7, "text": "one", "x": null}'), ClassifiedFormat())
    assert dict(text.columns) == {"id": 7, "text": "one", "x": None}


def test_standard_input_is_read_as_it_comes(monkeypatch):
    asked = []

    class Typed(io.RawIOBase):
        lines = iter([b"one\n", b"two\n"] * 300)

        def read1(self, size):
            asked.append(1)
            return next(self.lines, b"")

        def peek(self, size):
            return b""

    monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": Typed()}))
    stream = texts_to_classify(STANDARD_INPUT, ClassifiedFormat())
    assert next(stream).text == "one"
    assert len(asked) == 1
    assert len(list(stream)) == 599

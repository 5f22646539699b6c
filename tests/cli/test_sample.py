import json
import os
import re
import shlex
import signal
import subprocess
import sys

import pytest
from rich.console import Console

import recurra as library
from recurra.cli.live_text import LiveText
from recurra.training.figures import printable


def test_a_seed_repeats_the_output(recurra, trained):
    first = recurra("sample", trained / "stream", "--length", 30, "--seed", 7)
    assert first.code == 0
    assert recurra("sample", trained / "stream", "--length", 30, "--seed", 7).out == first.out
    assert recurra("sample", trained / "stream", "--length", 30, "--seed", 8).out != first.out
    assert first.out == library.load(trained / "stream").sample(30, seed=7)[0] + "\n"
    assert first.err == "seed 7: --seed 7 repeats this\n"


def test_without_a_seed_one_is_told_that_repeats_the_output(recurra, trained):
    first = recurra("sample", trained / "stream", "--length", 30)
    seed = first.err.split()[1].rstrip(":")
    assert recurra("sample", trained / "stream", "--length", 30, "--seed", seed).out == first.out


def test_several_are_told_apart(recurra, trained):
    out = recurra("sample", trained / "lines", "--number", 3, "--length", 20, "--seed", 1).out
    assert [line for line in out.splitlines() if line.startswith("# ")] == ["# 1", "# 2", "# 3"]
    texts = library.load(trained / "lines").sample(20, number=3, seed=1)
    assert out == "".join(f"# {place}\n{text}\n" for place, text in enumerate(texts, 1))


def test_all_of_the_ways_to_draw(recurra, trained):
    given = {"primer": "the ", "temperature": 0.7, "top_k": 5, "top_p": 0.9, "seed": 3}
    flags = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", value)]
    out = recurra("sample", trained / "stream", "--length", 25, *flags).out
    assert out == library.load(trained / "stream").sample(25, **given)[0] + "\n"
    assert out.startswith("the ")


def test_a_primer_with_unknown_units_is_kept_and_said(recurra, trained):
    done = recurra("sample", trained / "stream", "--primer", "ZÜ the ", "--length", 5, "--seed", 1)
    assert done.out.startswith("ZÜ the ")
    assert done.err.splitlines() == [
        "the model knows no character 'Z', 'Ü' of the primer: read as <UNK>",
        "seed 1: --seed 1 repeats this",
    ]
    done = recurra("sample", trained / "words", "--primer", "the emu", "--length", 2, "--seed", 1)
    assert done.out.startswith("the emu ")
    assert "the model knows no word 'emu' of the primer" in done.err


def test_unknown_may_be_drawn_if_asked(recurra, trained):
    words = ["sample", trained / "words", "--length", 300, "--seed", 1, "--temperature", 3]
    assert "<UNK>" not in recurra(*words).out
    assert "<UNK>" in recurra(*words, "--allow-unknown").out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--top-p", "1.5"], "top_p is 1.5; it must be above 0 and at most 1"),
        (["--top-p", "0"], "top_p is 0.0"),
        (["--top-k", "0"], "top_k is 0; it is a whole number from 1"),
        (["--temperature", "-1"], "temperature is -1.0"),
        (["--temperature", "nan"], "temperature is nan"),
        (["--length", "0"], "length is 0; it must be 1 or more"),
        (["--length", "x"], "invalid value for '--length'"),
        (["--number", "0"], "number is 0; it must be 1 or more"),
        (["--seed", "-1"], "invalid value for '--seed'"),
        (["--seed", "9" * 30], "invalid value for '--seed'"),
        (["--primer", "caf\udce9"], "character 4 of the text is the lone surrogate U+DCE9"),
        (["--stop", ""], "the stop string '' is empty"),
        (["--primr", "x"], "there is no option --primr; did you mean --primer?"),
    ],
)
def test_a_mistake_is_one_line(refused, trained, words, line):
    assert line in refused("sample", trained / "stream", *words)


def test_a_damaged_run_is_one_line(refused, trained, here):
    import shutil

    for name in ("config.toml", "assets.json", "model.safetensors"):
        copy = here / name.replace(".", "-")
        shutil.copytree(trained / "stream", copy)
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(content[: len(content) // 2])
        assert refused("sample", copy).startswith(f"{copy}/{name}: ")


def test_what_is_no_text_cannot_harm_a_terminal(recurra, trained, monkeypatch):
    monkeypatch.setattr("recurra.data.decoder.Decoder.feed", lambda *_: "\x1b[2J")
    assert recurra("sample", trained / "stream", "--length", 2).out == "␛[2J␛[2J\n"
    out = recurra("sample", trained / "stream", "--length", 1, "--number", 2).out
    assert out == "# 1\n␛[2J\n# 2\n␛[2J\n"


def test_tabs_stand_where_they_would_in_the_whole_text(capsys):
    text = "a\tbc\td\n\té\t\x1b\tend\t."
    with LiveText(Console(), before="") as live:
        for piece in re.split("(?<=[b\t])", text):
            live.write(piece)
    assert capsys.readouterr().out == printable(text, "utf-8")


@pytest.mark.parametrize("name", ["stream", "words", "lines"])
def test_json_has_a_text_a_line(recurra, trained, name):
    done = recurra("sample", trained / name, "--number", 3, "--length", 12, "--seed", 5, "--json", "--primer", "the")
    assert done.err == ""
    objects = [json.loads(line) for line in done.out.splitlines()]
    model = library.load(trained / name)
    assert [each["text"] for each in objects] == model.sample(12, number=3, seed=5, primer="the")
    assert all(list(each) == ["text", "seed", "log_probability", "ended"] for each in objects)
    assert {each["seed"] for each in objects} == {5}
    assert {each["ended"] for each in objects} <= {"length", "end"}


def test_a_text_stops_where_it_is_told_to(recurra, trained):
    words = ["sample", trained / "stream", "--length", 300, "--seed", 4]
    whole = recurra(*words).out.removesuffix("\n")
    stop = whole[100:103]
    out = recurra(*words, "--stop", stop, "--stop", "never written").out
    assert out == whole[: whole.index(stop)] + "\n"
    [line] = recurra(*words, "--stop", stop, "--json").out.splitlines()
    assert (json.loads(line)["text"], json.loads(line)["ended"]) == (out.removesuffix("\n"), "stop")


def test_a_text_is_written_while_it_is_drawn_and_ctrl_c_leaves_what_was(trained):
    program = [sys.executable, "-m", "recurra.cli.app", "sample", str(trained / "stream"), "--length", "1000000000"]
    environment = os.environ | {"PYTHONUNBUFFERED": ""}
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        begin = process.stdout.read(200)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert len(begin) == 200
    assert process.returncode == 130
    assert errors == b"\nrecurra: stopped\n"
    assert (begin + rest).decode()


def test_whoever_reads_may_go(trained):
    program = f"{shlex.quote(sys.executable)} -m recurra.cli.app sample {shlex.quote(str(trained / 'stream'))}"
    done = subprocess.run(
        f"{program} --length 1000000000 | head -c 100", shell=True, capture_output=True, timeout=60, check=False
    )
    assert len(done.stdout) == 100
    assert done.stderr == b""


@pytest.mark.parametrize("name", ["stream", "words"])
def test_the_longest_run_that_was_copied_is_said(recurra, trained, name):
    words = ["sample", trained / name, "--copies", "--seed", 1, "--length", 40, "--primer", "the cat "]
    told = json.loads(recurra(*words, "--json").out)
    text, learned = told["text"].removeprefix("the cat "), (trained / "pets.txt").read_text()
    units, known = (text, learned) if name == "stream" else (text.split(), learned.split())
    copied = told["copied"]

    def is_in(run, whole):
        return any(whole[at : at + len(run)] == run for at in range(len(whole) - len(run) + 1))

    spans = [units[a:b] for a in range(len(units)) for b in range(a + 1, len(units) + 1)]
    assert copied["length"] == max(len(span) for span in spans if is_in(span, known)) > 1
    lines = learned.splitlines(keepends=True)
    assert is_in(copied["text"][:1], lines[copied["line"] - 1])
    unit = "characters" if name == "stream" else "words"
    assert f"longest run of the text that was copied: {copied['length']} of {len(units)} {unit}" in recurra(*words).err


def test_copies_need_the_text_that_was_learned(refused, trained, here, monkeypatch):
    (trained / "pets.txt").rename(trained / "gone.txt")
    try:
        assert "pets.txt: the text that the run learned is not there" in refused(
            "sample", trained / "stream", "--copies"
        )
    finally:
        (trained / "gone.txt").rename(trained / "pets.txt")

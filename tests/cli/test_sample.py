import pytest

import recurra as library


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
        (["--length", "9" * 12], "there is not enough memory for this"),
        (["--number", "0"], "number is 0; it must be 1 or more"),
        (["--seed", "-1"], "invalid value for '--seed'"),
        (["--seed", "9" * 30], "invalid value for '--seed'"),
        (["--primer", "caf\udce9"], "character 4 of the text is the lone surrogate U+DCE9"),
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
    monkeypatch.setattr("recurra.tasks.language_model_run.LanguageModelRun.sample", lambda *_, **__: ["a\x1b[2Jb"])
    assert recurra("sample", trained / "stream").out == "a␛[2Jb\n"

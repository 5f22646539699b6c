"""`recurra stream RUN`: answers come while the input does, and every end is a clean one."""

import json
import os
import signal
import subprocess
import sys

import pytest

import recurra as library
from recurra.tasks import TASKS

USE = "named-entity-recognition"


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stream")
    settings = TASKS[USE].example(folder) | {"epochs": 1, "bidirectional": False, "lookahead": 1, "show": False}
    return library.train(USE, **settings, out=folder / "run").folder


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory):
    use, folder = "speech-recognition", tmp_path_factory.mktemp("speech")
    settings = TASKS[use].example(folder) | {"epochs": 1, "bidirectional": False, "normalisation": "running"}
    return library.train(use, **settings, show=False, out=folder / "run").folder


def started(*words):
    command = [sys.executable, "-m", "recurra", "stream", *map(str, words)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(command, **pipes, bufsize=0)


def test_a_word_is_answered_before_the_next_comes_and_ctrl_c_tells_the_rest(tagger):
    with started(tagger, "--format", "jsonl") as process:
        process.stdin.write(b"Harry\nPot")
        process.stdin.write("ter\nlächelt\n".encode())
        first = [json.loads(process.stdout.readline()) for _ in range(2)]  # the third waits for one more
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
    rest = [json.loads(line) for line in out.splitlines()]
    assert [record["word"] for record in first] == ["Harry", "Potter"]
    assert [record.get("word") for record in rest] == ["lächelt", None]
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert b"a word is tagged" in err


def test_a_reader_that_goes_away_ends_it(tagger):
    with started(tagger) as process:
        process.stdin.write(b"Harry\nPotter\n")
        assert process.stdout.readline().startswith(b"Harry\t")
        process.stdout.close()
        process.stdin.write(b"sang\nand\n")
        process.stdin.close()
        assert process.wait(300) != 0
        assert b"Traceback" not in process.stderr.read()


@pytest.fixture
def piped(monkeypatch):
    """Has standard input be a pipe that holds this."""
    opened = []

    def piped(content):
        end, begin = os.pipe()
        os.write(begin, content)
        os.close(begin)
        opened.append(os.fdopen(end))
        monkeypatch.setattr(sys, "stdin", opened[-1])

    yield piped
    for file in opened:
        file.close()


def test_mistakes_are_one_line(recurra, refused, tagger, recogniser, piped):
    piped(b"Harry\n\xff\n")
    outcome = recurra("stream", tagger)
    assert outcome.code == 2
    assert "recurra: standard input:2: byte 1 of the line is 0xff" in outcome.err.splitlines()[-1]
    assert "reads words, one a line; leave out --rate" in refused("stream", tagger, "--rate", "8000")
    piped(b"fLaC" + bytes(100))
    outcome = recurra("stream", recogniser)
    assert outcome.code == 2
    assert "this is FLAC" in outcome.err.splitlines()[-1]
    assert "endpoint is 0; give seconds above 0" in refused("stream", recogniser, "--endpoint", "0")


def test_silence_prints_nothing(recurra, recogniser, piped):
    piped(bytes(30001))
    outcome = recurra("stream", recogniser, "--sample-format", "s16le")
    assert (outcome.code, outcome.out) == (0, "")
    assert "1 bytes were left out" in outcome.err


def test_a_run_that_reads_whole_inputs_says_who_streams(refused, here):
    settings = TASKS["language-modelling"].example(here) | {"epochs": 1, "show": False}
    library.train("language-modelling", **settings, out=here / "lm")
    error = refused("stream", "lm")
    assert "reads whole inputs; a stream takes a run of named-entity-recognition or speech-recognition" in error


def test_verify_proves_the_stream(recurra, recogniser):
    data = recogniser.parent
    manifest = next(path for path in sorted(data.iterdir()) if path.suffix in {".csv", ".tsv", ".jsonl"})
    outcome = recurra("verify", recogniser, "--data", manifest, "--limit", "4", "--json")
    content = json.loads(outcome.out)
    assert content["as a stream, in pieces of random sizes"] == 0
    assert content["stream"]["inputs"] == 4
    assert content["stream"]["delay"] > 0

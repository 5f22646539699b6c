"""Recordings: the same from every way to write them down, and every bad line named."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recurra.data import recordings as module
from recurra.data.dataset import Problems
from recurra.data.recording import RecordingFormat
from recurra.data.recordings import read_recordings, recording_of, recordings_to_transcribe
from recurra.errors import DataError, SettingError, ShapeError

SAID = {"a": "yes", "b": "no, never", "c": "yes"}
SPEAKERS = {"a": "theo", "b": "lucas", "c": "theo"}


@pytest.fixture
def folder(tmp_path):
    """Recordings of half a second, of different rates and kinds."""
    for (name, suffix), rate in zip((("a", "wav"), ("b", "flac"), ("c", "ogg")), (8000, 16_000, 44_100), strict=True):
        soundfile.write(tmp_path / f"{name}.{suffix}", np.random.default_rng(0).uniform(-1, 1, rate // 2), rate)
    return tmp_path


def known(dataset):
    """What is said in each recording, by whom, and its length, by its name."""
    return {r.audio.stem: (r.transcript, r.group, len(r)) for r in dataset}


EXPECTED = {name: (SAID[name], SPEAKERS[name], 50) for name in SAID}


def said_in(path):
    return {name: said for name, (said, _, _) in known(read_recordings(path, RecordingFormat(), "train")).items()}


def table(folder, delimiter=",", suffix="csv", heading=("audio", "transcript", "speaker")):
    path = folder / f"manifest.{suffix}"
    rows = [heading] if heading else []
    rows += [(file.name, SAID[file.stem], SPEAKERS[file.stem])[: len(heading or (0, 1))] for file in sounds(folder)]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    path.write_text(text.getvalue())
    return path


def objects(folder):
    path = folder / "manifest.jsonl"
    lines = [
        json.dumps({"audio_filepath": file.name, "text": SAID[file.stem], "speaker": SPEAKERS[file.stem], "n": 1})
        for file in sounds(folder)
    ]
    path.write_text("\n".join(lines) + "\n\n")
    return path


def sphinx(folder):
    (folder / "etc").mkdir()
    names = [f"{SPEAKERS[file.stem]}/{file.stem}" for file in sounds(folder)]
    for file in sounds(folder):
        (folder / "wav" / SPEAKERS[file.stem]).mkdir(parents=True, exist_ok=True)
        file.rename(folder / "wav" / SPEAKERS[file.stem] / file.name)
    (folder / "etc" / "train.fileids").write_text("".join(f"{name}\n" for name in names))
    lines = [f"<s> {SAID[name[-1]]} <sil> </s> ({name[-1]})\n" for name in names]
    (folder / "etc" / "train.transcription").write_text("".join(lines))
    (folder / "wav" / "lucas" / "b.flac").rename(folder / "wav" / "lucas" / "b.wav")  # a name says little
    return folder / "etc" / "train.fileids"


def kaldi(folder):
    (folder / "wav.scp").write_text("".join(f"utt-{file.stem} {file.name}\n" for file in sounds(folder)))
    (folder / "text").write_text("".join(f"utt-{name} {said}\n" for name, said in reversed(SAID.items())))
    (folder / "utt2spk").write_text("".join(f"utt-{name} {speaker}\n" for name, speaker in SPEAKERS.items()))
    return folder


def sounds(folder):
    return sorted(file for file in folder.iterdir() if file.suffix in {".wav", ".flac", ".ogg"})


@pytest.mark.parametrize(
    "write",
    [
        table,
        lambda folder: table(folder, "\t", "tsv"),
        lambda folder: table(folder, "\t", "txt", ("PATH", "Sentence", "Client_ID")),
        objects,
        sphinx,
        kaldi,
    ],
)
def test_every_way_to_write_recordings_down(folder, write):
    dataset = read_recordings(write(folder), RecordingFormat(), "train")
    assert known(dataset) == EXPECTED
    assert list(dataset.lengths) == [50] * 3
    assert not dataset.problems.lines()
    inputs = list(recordings_to_transcribe(dataset.source(0).path, RecordingFormat(), Problems()))
    assert [recording.audio for recording in inputs[:3]] == [recording.audio for recording in dataset][: len(inputs)]


def test_folders_with_texts_beside_or_what_libri_speech_has(folder):
    for name, said in SAID.items():
        (folder / f"{name}.txt").write_text(f"{said}\n")
    assert said_in(folder) == SAID
    for name in SAID:
        (folder / f"{name}.txt").unlink()
    (folder / "x.trans.txt").write_text("".join(f"{name} {said}\n" for name, said in SAID.items()))
    assert said_in(folder) == SAID


def test_names_that_say_what_is_said_and_patterns_that_choose(tmp_path):
    for name in ("7_theo_0", "7_lucas_1", "3_theo_10", "3_jackson_2"):
        np.save(tmp_path / f"{name}.npy", np.zeros((20, 5), np.float32))
    how = RecordingFormat(name_pattern="{transcript}_{group}_{index}")

    def chosen(pattern):
        return sorted(r.audio.stem for r in read_recordings(tmp_path / pattern, how, "train"))

    first = read_recordings(tmp_path / "7_theo_*", how, "train")[0]
    assert (first.transcript, first.group, first.columns, first.width) == ("7", "theo", {"index": "0"}, 5)
    assert chosen("*_[0-9].npy") == ["3_jackson_2", "7_lucas_1", "7_theo_0"]
    assert chosen("*_{theo,lucas}_{0,1}*") == ["3_theo_10", "7_lucas_1", "7_theo_0"]
    assert len(read_recordings(tmp_path, how, "train")) == 4
    np.save(tmp_path / "odd.npy", np.zeros((20, 5), np.float32))
    problems = read_recordings(tmp_path, how, "train").problems
    assert "whose name does not fit the pattern is left out: 1" in problems.lines()[0]
    by_folder = RecordingFormat(name_pattern="{group}/{transcript}_{}_{}")
    assert by_folder.fields(Path("speech/theo/seven_0_a.wav")) == {"group": "theo", "transcript": "seven"}


@pytest.mark.parametrize("pattern", ["{a}_{a}", "{transcript", "none", "{1}", ""])
def test_what_is_no_pattern_of_names(pattern):
    with pytest.raises(SettingError, match="write the fields of a name in braces"):
        RecordingFormat(name_pattern=pattern)


def test_parts_of_a_file(folder):
    path = folder / "parts.csv"
    path.write_text(
        "audio,text,offset,duration,end\na.wav,one,0,0.2,\na.wav,two,0.2,0.3,\na.wav,rest,0.4,,\na.wav,all,,0.5,\n"
    )
    parts = list(read_recordings(path, RecordingFormat(), "train"))
    assert [(part.begin, part.length) for part in parts] == [(0, 1600), (1600, 2400), (3200, 800), (0, 4000)]
    (folder / "wav.scp").write_text("rec a.wav\n")
    (folder / "segments").write_text("one rec 0 0.2\ntwo rec 0.2 0.5\n")
    (folder / "text").write_text("one one\ntwo two\n")
    assert [(part.begin, part.length) for part in read_recordings(folder, RecordingFormat(), "train")] == [
        (0, 1600),
        (1600, 2400),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.csv", "audio,text\nx.wav,yes\ny.wav,no\n", r"csv:2: .*x\.wav: there is no such file \(and 1 other is mis"),
        ("m.csv", "audio,speaker\na.wav,theo\n", r"csv:2: there is no column of the transcript, only audio, sp"),
        ("m.csv", "audio,text\na.wav\n", r"m\.csv:2: this row has 1 columns, and the heading has 2"),
        ("m.csv", "audio,text\n,yes\n", r"m\.csv:2: no file of sound is named"),
        ("m.csv", "a.wav,yes,theo\n", r"m\.csv:1: this row has 3 columns; give two"),
        ("m.csv", "audio,text\n", r"m\.csv: 0 recordings with a transcript in it; give some"),
        ("m.csv", "audio,text\na.wav,\n", r"0 recordings .* \(a recording without a transcript is left out: 1"),
        ("m.csv", "audio,text,start\na.wav,yes,-1\n", r"m\.csv:2: start is '-1'; give seconds"),
        ("m.csv", "audio,text,start,end\na.wav,yes,2,1\n", r"m\.csv:2: it begins at 2 seconds and ends at 1"),
        ("m.csv", "audio,text,start,end\na.wav,yes,0.1,1\n", r"csv:2: from 0\.1 to 1 seconds of .*a\.wav, which lasts"),
        ("m.jsonl", '{"audio": 3, "text": "yes"}\n', r"m\.jsonl:1: 'audio' is 3; give a text"),
        ("m.jsonl", '{"audio": "a.wav", "text": 3}\n', r"m\.jsonl:1: 'text' is 3; give a text"),
        ("m.jsonl", "a.wav\n", r"m\.jsonl:1: this is not JSON .*\"audio\": \"a\.wav\""),
        ("m.fileids", "a\n", r"m\.transcription: there is no such file"),
        ("wav.scp", "a sox x.wav - |\n", r"wav\.scp:1: 'sox x\.wav - \|' is a command"),
        ("wav.scp", "a a.wav\na b.wav\n", r"wav\.scp:2: a has a line already, 1"),
        ("wav.scp", "a a.wav\n", r"text: there is no such file"),
    ],
)
def test_bad_lines_are_named(folder, name, text, message):
    path = folder / name
    path.write_text(text)
    with pytest.raises(DataError, match=message) as error:
        read_recordings(path, RecordingFormat(), "train")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("transcription", "message"),
    [
        ("YES (a)\n", r"t\.transcription:2: this should be what is said in b .*t\.fileids:2\) and end in \(b\)"),
        ("YES (a)\nNO (c)\n", r"t\.transcription:2: this should be what is said in b"),
        ("YES (a)\nNO\n", r"t\.transcription:2"),
        ("YES (a)\nNO (b)\nNO (b)\n", r"t\.transcription:3: .*t\.fileids ends after 2 lines"),
    ],
)
def test_lists_of_sphinx_that_do_not_fit(folder, transcription, message):
    (folder / "t.fileids").write_text("a\nb\n")
    (folder / "t.transcription").write_text(transcription)
    with pytest.raises(DataError, match=message):
        read_recordings(folder / "t.fileids", RecordingFormat(), "train")


def test_what_a_list_of_sphinx_names_and_is_missing(folder):
    (folder / "t.fileids").write_text("a\nz\n")
    heard = list(recordings_to_transcribe(folder / "t.fileids", RecordingFormat(), Problems()))
    assert [recording.trouble is None for recording in heard] == [True, False]
    (folder / "t.transcription").write_text("YES (a)\nNO (z)\n")
    with pytest.raises(DataError, match=r"t\.fileids:2: there is no z with \.wav"):
        read_recordings(folder / "t.fileids", RecordingFormat(), "train")


@pytest.fixture
def bad(folder):
    """A manifest that names a good recording and all kinds of bad ones."""
    sound = np.random.default_rng(0).uniform(-1, 1, (8000, 2))
    soundfile.write(folder / "stereo.wav", sound, 8000)
    (folder / "cut.wav").write_bytes((folder / "stereo.wav").read_bytes()[:16_000])
    soundfile.write(folder / "none.wav", sound[:0], 8000)
    (folder / "text.wav").write_text("what is said is not how it sounds\n")
    (folder / "empty.wav").write_bytes(b"")
    (folder / "cut.mfc").write_bytes(b"\0\0\0\x0d" + bytes(40))
    names = ["a.wav", "stereo.wav", "cut.wav", "none.wav", "text.wav", "empty.wav", "cut.mfc"]
    path = folder / "bad.csv"
    path.write_text("audio,text\n" + "".join(f"{name},yes\n" for name in names) + "b.flac,\n")
    return path


def test_bad_recordings_are_left_out_of_training_and_counted(bad):
    dataset = read_recordings(bad, RecordingFormat(), "train")
    assert [recording.audio.name for recording in dataset] == ["a.wav", "stereo.wav"]
    assert dataset.problems.counts == {
        module.CHANNELS: 1,
        module.CUT: 1,
        module.NO_SOUND: 1,
        module.UNREADABLE: 3,
        module.EMPTY: 1,
    }
    assert f"{bad}:6 {bad.parent / 'text.wav'}: this is no recording" in "".join(dataset.problems.lines())


def test_every_input_is_answered(bad):
    bad.write_text(bad.read_text() + "missing.wav,yes\n")
    problems = Problems()
    inputs = list(recordings_to_transcribe(bad, RecordingFormat(), problems))
    assert [recording.source.line for recording in inputs] == list(range(2, 11))
    troubled = [recording.audio.name for recording in inputs if recording.trouble]
    assert troubled == ["text.wav", "empty.wav", "cut.mfc", "missing.wav"]
    assert problems.counts[module.UNREADABLE_INPUT] == 4
    assert problems.counts[module.CUT_INPUT] == 1


def test_nothing_is_left_out_of_an_evaluation(bad):
    with pytest.raises(DataError, match=r"bad\.csv:6: .*text\.wav: this is no recording"):
        read_recordings(bad, RecordingFormat(), "evaluate")
    unreadable = ("text.wav", "empty.wav", "cut.mfc")
    bad.write_text("".join(f"{line}\n" for line in bad.read_text().splitlines() if not line.startswith(unreadable)))
    dataset = read_recordings(bad, RecordingFormat(), "evaluate")
    assert [recording.transcript for recording in dataset] == ["yes"] * 4 + [""]
    assert dataset.problems.counts[module.CUT_INPUT] == 1


def test_recordings_that_are_too_long_are_not_trained_on(folder):
    path = table(folder)
    soundfile.write(folder / "a.wav", np.zeros(8000 * 3), 8000)
    how = RecordingFormat(longest=2.0)
    assert list(known(read_recordings(path, how, "train"))) == ["b", "c"]
    assert list(known(read_recordings(path, how, "validate"))) == ["a", "b", "c"]


def test_one_kind_of_recordings(folder):
    np.save(folder / "d.npy", np.zeros((20, 5)))
    (folder / "m.csv").write_text("a.wav,yes\nd.npy,no\n")
    with pytest.raises(DataError, match=r"m\.csv:2: .*d\.npy: this is 5 features a frame, and .*a\.wav is sound"):
        read_recordings(folder / "m.csv", RecordingFormat(), "train")


def test_the_digest_is_of_what_is_heard_and_how_it_is_read(folder):
    path = table(folder)
    first = read_recordings(path, RecordingFormat(), "train").fingerprint()
    assert read_recordings(path, RecordingFormat(), "train").fingerprint() == first
    assert read_recordings(path, RecordingFormat(longest=9), "train").fingerprint() != first
    content = bytearray((folder / "a.wav").read_bytes())
    content[-1] ^= 1  # of the same size
    (folder / "a.wav").write_bytes(content)
    assert read_recordings(path, RecordingFormat(), "train").fingerprint() != first


class Standard:
    """Standard input that has something."""

    def __init__(self, content):
        self.buffer = io.BufferedReader(io.BytesIO(content))


def test_standard_input_is_a_recording_or_names(folder, monkeypatch):
    monkeypatch.setattr("sys.stdin", Standard((folder / "b.flac").read_bytes()))
    heard = list(recordings_to_transcribe(Path("-"), RecordingFormat(), Problems()))
    assert [(recording.length, recording.rate) for recording in heard] == [(8000, 16_000)]
    monkeypatch.setattr("sys.stdin", Standard(f"{folder}/a.wav\n{folder}/c.ogg\n".encode()))
    heard = list(recordings_to_transcribe(Path("-"), RecordingFormat(), Problems()))
    assert [recording.rate for recording in heard] == [8000, 44_100]


def test_values_of_python(folder):
    how = RecordingFormat()
    assert recording_of(folder / "a.wav", how).length == 4000
    stereo = np.array([[0.5, 1.0, 0], [0.5, 0, 0]])
    assert recording_of((stereo, 8000), how).samples.tolist() == [0.5, 0.5, 0.0]
    assert recording_of((np.array([16_384, -32_768], np.int16), 8000), how).samples.tolist() == [0.5, -1.0]
    for value, error, message in (
        (3, DataError, "'3' is no recording"),
        (folder / "z.wav", DataError, r"z\.wav: cannot be read"),
        ((np.zeros((2, 2, 2)), 8000), ShapeError, r"shape \(2, 2, 2\)"),
        ((np.zeros((0, 9)), 8000), ShapeError, "give numbers from -1 to 1"),
        ((np.array(["a"]), 8000), ShapeError, "give numbers"),
        ((np.zeros(3), 0), SettingError, "rate is 0"),
        ((np.array([np.nan]), 8000), DataError, "not finite"),
    ):
        with pytest.raises(error, match=message):
            recording_of(value, how)


def test_formats_that_are_asked_for(folder):
    path = folder / "names.txt"
    path.write_text("audio\ttext\na.wav\tyes\n")
    assert len(read_recordings(path, RecordingFormat("tsv"), "train")) == 1
    with pytest.raises(DataError, match=r"\(it is read as --format jsonl says\)"):
        read_recordings(path, RecordingFormat("jsonl"), "train")
    with pytest.raises(SettingError, match="there is no format 'cvs'"):
        RecordingFormat("cvs")
    with pytest.raises(DataError, match="there is no column named words, only audio, text"):
        read_recordings(path, RecordingFormat(transcript_column="words"), "train")


def test_what_is_said_has_to_be_known_to_evaluate(folder):
    (folder / "a.txt").write_text("yes\n")
    with pytest.raises(DataError, match=r"b\.flac:2: it is not known what is said in it"):
        read_recordings(folder, RecordingFormat(), "evaluate")
    assert list(known(read_recordings(folder, RecordingFormat(), "train"))) == ["a"]

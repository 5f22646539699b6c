"""Scores in MusicXML: parts, voices, chords, ties and repeats; and files that would do harm."""

import io
import zipfile

import pytest

from recurra.data.music_xml import parse_music_xml, read_music_xml
from recurra.data.piece import Metre
from recurra.errors import DataError


def note(step, octave, duration, more="", before=""):
    return (
        f"<note>{before}<pitch><step>{step}</step><octave>{octave}</octave></pitch><duration>{duration}</duration>"
        f"{more}</note>"
    )


HEAD = (
    "<attributes><divisions>2</divisions><key><fifths>-1</fifths><mode>minor</mode></key>"
    "<time><beats>2</beats><beat-type>4</beat-type></time></attributes>"
)


def score(*bars, head=HEAD, doctype="", second=""):
    measures = "".join(f'<measure number="{n}">{bar}</measure>' for n, bar in enumerate((head + bars[0], *bars[1:]), 1))
    return (
        f'<?xml version="1.0"?>{doctype}<score-partwise><work><work-title>A song</work-title></work><part-list>'
        '<score-part id="P1"><part-name>Voice</part-name><midi-instrument id="I"><midi-program>53</midi-program>'
        f'</midi-instrument></score-part></part-list><part id="P1">{measures}</part>{second}</score-partwise>'
    ).encode()


def read(data):
    return parse_music_xml(data, "a.xml")


def sounds(piece):
    return [(note.start, note.end, note.pitch) for note in piece.notes]


def test_chords_voices_and_ties():
    tie, tied = '<tie type="start"/><voice>1</voice>', '<tie type="stop"/><voice>1</voice>'
    piece = read(
        score(
            note("C", 4, 2) + note("E", 4, 2, before="<chord/>") + note("G", 4, 2, tie)
            + "<backup><duration>4</duration></backup>" + note("C", 3, 4, "<voice>2</voice>"),
            note("G", 4, 4, tied),
        )
    )  # fmt: skip
    assert sounds(piece) == [(0, 960, 48), (0, 480, 60), (0, 480, 64), (480, 1920, 67)]
    assert (piece.title, piece.tracks[0][:2], piece.keys[0][1:]) == ("A song", ("Voice", 52), (-1, True))
    assert not piece.lost


def test_repeats_endings_upbeat_transposition_and_tempo():
    begin = '<barline><repeat direction="forward"/></barline>'
    first = '<barline><ending number="1" type="start"/></barline>'
    again = '<barline><ending number="1" type="stop"/><repeat direction="backward"/></barline>'
    second = '<barline><ending number="2" type="start"/></barline>'
    head = HEAD.replace("</attributes>", "<transpose><chromatic>-2</chromatic></transpose></attributes>")
    sound = '<sound tempo="60"/>'
    piece = read(
        score(
            sound + note("C", 4, 2), begin + note("D", 4, 4), first + note("E", 4, 4) + again, second + note("F", 4, 4),
            head=head,
        )
    )  # fmt: skip
    assert [pitch for _, _, pitch in sounds(piece)] == [58, 60, 62, 60, 63]
    assert piece.metres == (Metre(0, 1, 4), Metre(480, 2, 4))
    assert piece.tempos == ((0, 1_000_000),)


def test_a_part_that_is_shorter_in_a_bar_waits_for_the_others():
    second = f'<part id="P2"><measure>{HEAD}{note("A", 2, 1)}</measure><measure>{note("B", 2, 4)}</measure></part>'
    piece = read(score(note("C", 4, 4), note("D", 4, 4), second=second))
    assert [(n.start, n.pitch, n.track) for n in piece.notes if n.track] == [(0, 45, 1), (960, 47, 1)]


def test_what_is_not_kept_is_counted():
    grace = note("C", 5, 1, before="<grace/>")
    piece = read(score(grace + note("C", 4, 4, "<lyric><text>la</text></lyric>") + '<sound dacapo="yes"/>'))
    assert piece.lost == {"grace notes": 1, "syllables of lyrics": 1, "jumps such as da capo, which are not played": 1}


ENTITIES = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html/>", "its root is <html>"),
        (b"<score-timewise/>", "score-timewise"),
        (b"not at all", "is no XML"),
        (score(note("C", 4, 4))[:-30], "is no XML"),
        (score(note("C", 4, 4), doctype=ENTITIES), "declares the entity 'a'"),
        (score(note("C", 4, 4), doctype=ENTITIES).decode().encode("utf-16"), "declares the entity 'a'"),
        (score(note("C", "x", 4)), "part P1, bar 1: a value is missing or is none"),
        (score(note("C", 4, -4)), "part P1, bar 1"),
        (score(note("C", 4, 4), head="<attributes><divisions>0</divisions></attributes>"), "0 divisions"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_file(data, message):
    with pytest.raises(DataError) as error:
        read(data)
    assert message in str(error.value)
    assert str(error.value).startswith("a.xml")
    assert "\n" not in str(error.value)


def test_zipped_scores_are_read_and_zips_that_swell_are_refused(tmp_path, monkeypatch):
    def zipped(**files):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name.replace("_", "."), data)
        return content.getvalue()

    path = tmp_path / "a.mxl"
    path.write_bytes(zipped(song_xml=score(note("C", 4, 4))))
    assert sounds(read_music_xml(path)) == [(0, 960, 60)]
    path.write_bytes(zipped(song_txt="la"))
    with pytest.raises(DataError, match="without a score"):
        read_music_xml(path)
    whole = zipped(song_xml=score(note("C", 4, 4)))
    path.write_bytes(whole[:60] + b"\0\0\0" + whole[63:])
    with pytest.raises(DataError, match=r"a\.mxl"):
        read_music_xml(path)
    monkeypatch.setattr("recurra.data.music_xml.LARGEST_SCORE", 5000)
    path.write_bytes(zipped(song_xml=score(note("C", 4, 4) * 100)))
    with pytest.raises(DataError, match="unpacks to over 5,000 bytes"):
        read_music_xml(path)

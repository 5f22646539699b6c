"""The page that plays a piece: well formed, whole in itself, and nothing in it but what is meant."""

import json
import re
from html.parser import HTMLParser

from recurra.data.piece import Note, Piece, Tempo, Track
from recurra.tasks.music_page import Curve, Passage, music_page

PIECE = Piece(
    [Note(0, 480, 60, 100), Note(480, 1920, 64), Note(1920, 2400, 38, 90, 1)],
    tracks=[Track(), Track(channel=9)],
    tempos=[Tempo(0, 500_000), Tempo(480, 1_000_000)],
)


class Tags(HTMLParser):
    """Which elements are open, and that each is closed in turn."""

    def __init__(self, page):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in {"meta", "input", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_notes_are_played_in_seconds_and_shown_with_their_surprise():
    page = music_page(PIECE, title="T", surprises=[0.0, 8.0, None])
    played = json.loads(re.search(r"const notes = (\[\[.*?\]\]),", page)[1])
    assert played == [[0, 0.5, 60, 100, 0], [0.5, 3.5, 64, 80, 0], [3.5, 4.5, 38, 90, 1]]
    tags = Tags(page)
    assert tags.open == []
    notes = [attrs for tag, attrs in tags.seen if attrs.get("class") == "note"]
    assert [note["style"] for note in notes] == ["--hue:210", "--hue:0", "--hue:210"]
    assert "E4, bar 1, 8.0 bits" in page
    assert "D2, bar 2<" in page


def test_the_page_asks_nothing_of_a_network_and_runs_no_text_of_ours():
    text = '</script><script>alert(1)</script>"&'
    page = music_page(
        PIECE, title=text, passages=[Passage(0, 480, text)], curves=[Curve(text, 240, [0.0, 0.5]), Curve("b", 240, [])]
    )
    assert "alert(1)" in page
    assert page.count("<script>") == 1
    assert "http" not in page.replace("http-equiv", "")
    assert "default-src 'none'" in page
    assert Tags(page).open == []

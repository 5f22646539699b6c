from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recurra.data import read_text, sentences, split_validation
from recurra.errors import DataError, SettingError


def written(folder, content):
    path = folder / "corpus.txt"
    path.write_bytes(content)
    return path


def test_line_ends_become_line_feeds_and_the_byte_order_mark_goes(tmp_path):
    path = written(tmp_path, b"\xef\xbb\xbfone\r\ntwo\rthree\n\xc3\xa9\xef\xbb\xbf\r\r\n")
    assert read_text(path) == "one\ntwo\nthree\né\ufeff\n\n"
    assert read_text(str(path)) == read_text(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty; give a file with text in it"),
        (b"\xef\xbb\xbf", r"white space|is empty"),
        (b" \r\n\t", r"holds nothing but white space \(4 bytes\)"),
        (b"one\ntwo\xff\n", r"byte 7 \(in line 2\) is 0xff, which is no UTF-8 there; .*iconv"),
        (b"one\ntwo\nthr\xe9e", r"byte 11 \(in line 3\) is 0xe9"),
        (b"cut short \xe2\x82", r"byte 10 \(in line 1\) is 0xe2"),
        (b"\x7fELF\x00\x01", r"byte 4 \(in line 1\) is zero, as in a binary file; give a file of text, or level byte"),
        (b"\x89PNG\r\n\x1a\n\x00", r"byte 8 \(in line 3\) is zero"),
        ("hé\n".encode("utf-16"), "this is UTF-16 text, not text in UTF-8; convert it: iconv -f UTF-16"),
        ("h\n".encode("utf-16"), "this is UTF-16 text"),
        ("h\n".encode("utf-32"), "this is UTF-32 text"),
        (b"\x1f\x8b\x08\x00", "this is a gzip archive"),
        (b"PK\x03\x04\x14\x00", "this is a zip archive"),
    ],
)
def test_a_file_without_text_is_refused_by_its_place(tmp_path, content, message):
    path = written(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        read_text(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_text_that_begins_like_an_archive_is_still_a_text(tmp_path):
    assert read_text(written(tmp_path, b"BZhang came.\n")) == "BZhang came.\n"


def test_a_missing_file_and_a_folder_are_one_line(tmp_path):
    with pytest.raises(DataError, match=r"corpus\.txt: there is no such file; give the path of a text file"):
        read_text(tmp_path / "corpus.txt")
    with pytest.raises(DataError, match="this is a folder"):
        read_text(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        read_text(written(tmp_path, b"text") / "corpus.txt")
    with pytest.raises(DataError, match="cannot be read"):
        read_text("nul\0name")


def test_a_file_that_may_not_be_read_is_one_line(tmp_path, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"cannot be read \(Permission denied\)"):
        read_text(written(tmp_path, b"text"))


@given(st.text("ab \n", min_size=2, max_size=60), st.floats(0, 1, exclude_min=True, exclude_max=True))
@example("ab\n", 0.5)
def test_the_two_parts_are_the_text_and_the_second_is_near_the_fraction(text, fraction):
    train, valid = split_validation(text, fraction)
    assert train + valid == text
    assert train
    assert valid
    assert fraction * len(text) / 2 - 1 <= len(valid) <= fraction * len(text) * 1.5 + 1
    # It is at a line's end unless every line's end is too far from the exact place.
    cut = min(max(round(len(text) * (1 - fraction)), 1), len(text) - 1)
    reach = min(cut, len(text) - cut) // 2
    near = [at for at in range(1, len(text)) if abs(at - cut) <= reach]
    for mark in "\n ":
        marked = [at for at in near if text[at - 1] == mark]
        if marked:
            assert abs(len(train) - cut) == min(abs(at - cut) for at in marked)
            assert train[-1] == mark
            break
    else:
        assert len(train) == cut


def test_a_text_of_one_line_is_cut_between_words():
    assert split_validation("one two three four five six seven", 0.3) == ("one two three four five ", "six seven")


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_a_fraction_outside_its_range_is_refused(fraction):
    with pytest.raises(SettingError, match="between 0 and 1"):
        split_validation("text", fraction)


def test_a_text_too_short_to_cut_is_refused():
    with pytest.raises(DataError, match="a text of 1 characters"):
        split_validation("t")


def test_a_sentence_a_line_keeps_its_own_white_space():
    assert sentences("\n one \n\t\ntwo\x0b\u2028three") == [" one ", "two\x0b\u2028three"]


@pytest.mark.parametrize("content", [b"\x00\xff\r\n\x80 \xed\xa0\x80", bytes(range(256)), b"caf\xe9\r\n", b"\x1f\x8b"])
def test_any_file_is_read_for_a_model_of_bytes_with_no_byte_lost(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(DataError):
        read_text(path)
    text = read_text(path, binary=True)
    assert text.encode("utf-8", errors="surrogateescape") == content


def test_a_text_is_read_for_a_model_of_bytes_as_for_any_other(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo")
    assert read_text(path, binary=True) == read_text(path) == "one\ntwo"
    path.write_bytes(b" \n")
    with pytest.raises(DataError, match="nothing but white space"):
        read_text(path, binary=True)

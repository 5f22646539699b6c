"""Datasets: examples know where they came from, problems are counted, and a fingerprint follows the files."""

import os
from pathlib import Path

import pytest

from recurra.data.dataset import MAX_LISTED, Examples, Problems, fingerprint_files
from recurra.data.lines import STANDARD_INPUT, Source
from recurra.errors import DataError, ShapeError

FILE = Path("train.txt")


def test_problems_are_counted_and_the_first_are_listed():
    problems = Problems()
    assert problems.lines() == []
    problems.add("rare", Source(FILE, 1))
    for line in range(MAX_LISTED + 2):
        problems.add("frequent", Source(FILE, line + 1), f"'word {line}'")
    frequent, rare = problems.lines()
    assert rare == "rare: 1 (train.txt:1)"
    assert frequent.startswith("frequent: 7 (train.txt:1 'word 0'; train.txt:2 'word 1'")
    assert frequent.endswith("train.txt:5 'word 4'; ...)")
    assert problems.counts == {"rare": 1, "frequent": MAX_LISTED + 2}


def test_exactly_as_many_as_are_listed_have_no_dots():
    problems = Problems()
    for line in range(MAX_LISTED):
        problems.add("some", Source(FILE, line + 1))
    assert "..." not in problems.lines()[0]


def examples(fingerprint="f"):
    return Examples(
        ["a", "b", "c"], [Source(FILE, line) for line in (2, 5, 9)], [1, 2, 3], Problems(), lambda: fingerprint
    )


def test_examples_know_where_they_came_from():
    data = examples()
    assert (len(data), list(data), data[1], data.source(1)) == (3, ["a", "b", "c"], "b", Source(FILE, 5))


def test_a_subset_keeps_order_sources_and_lengths_and_has_a_fingerprint_of_its_own():
    part = examples().subset([2, 0], "valid")
    assert (list(part), part.source(0), part.lengths) == (["c", "a"], Source(FILE, 9), [3, 1])
    distinct = {
        part.fingerprint(),
        examples().fingerprint(),
        examples().subset([2, 0], "train").fingerprint(),
        examples("g").subset([2, 0], "valid").fingerprint(),
    }
    assert len(distinct) == 4
    assert part.fingerprint() == examples().subset([2, 0], "valid").fingerprint()


def test_examples_of_unequal_numbers_are_refused():
    with pytest.raises(ShapeError, match="there are 2 examples, 2 sources and 1 lengths"):
        Examples(["a", "b"], [Source(FILE, 1), Source(FILE, 2)], [1])


def test_a_fingerprint_follows_contents_order_and_settings_but_not_names(tmp_path):
    one, two, copy = tmp_path / "one", tmp_path / "two", tmp_path / "copy"
    one.write_text("1")
    two.write_text("2")
    copy.write_text("1")
    settings = {"column": 1}
    digest = fingerprint_files([one, two], settings)
    assert digest == fingerprint_files([copy, two], dict(settings))
    others = [
        fingerprint_files([two, one], settings),
        fingerprint_files([one], settings),
        fingerprint_files([one, two], {"column": 2}),
    ]
    one.write_text("1 ")
    others.append(fingerprint_files([one, two], settings))
    assert len({digest, *others}) == 5


def test_what_has_no_fingerprint_is_refused(tmp_path):
    with pytest.raises(DataError, match="standard input can be read only once; write it to a file and give that"):
        fingerprint_files([STANDARD_INPUT], {})
    pipe = tmp_path / "pipe"
    if hasattr(os, "mkfifo"):
        os.mkfifo(pipe)
        with pytest.raises(DataError, match="pipe can be read only once; write it to a file and give that"):
            fingerprint_files([pipe], {})
    with pytest.raises(DataError, match=r"missing: cannot be read \(No such file or directory\)"):
        fingerprint_files([tmp_path / "missing"], {})

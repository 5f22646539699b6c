"""Labels: a closed set of classes, numbered alike wherever they are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recurra.data.labels import Labels
from recurra.errors import DataError


@given(st.lists(st.text(), min_size=1))
def test_labels_are_numbered_by_what_occurs_and_not_by_its_order(names):
    labels = Labels.of(names)
    assert labels == Labels.of(reversed(names))
    assert labels.decode([labels.encode(name) for name in names]) == names
    assert sorted(labels.encode(name) for name in set(names)) == list(range(len(labels)))
    assert Labels.model_validate_json(labels.model_dump_json()) == labels


def test_an_unknown_label_names_the_nearest_and_those_there_are():
    labels = Labels.of(["PER", "LOC", "ORG"])
    assert "PER" in labels
    assert "PERS" not in labels
    with pytest.raises(
        DataError, match=r"there is no label 'PERS'; did you mean 'PER'\? the labels are: LOC, ORG, PER"
    ):
        labels.encode("PERS")


def test_of_many_labels_the_first_are_named():
    with pytest.raises(DataError, match=r"there is no label 'x'; the labels are: (\d+, ){20}\.\.\.$"):
        Labels.of(str(number) for number in range(50)).encode("x")


def test_no_label_and_a_label_twice_are_refused():
    with pytest.raises(DataError, match="there is no label"):
        Labels.of([])
    for names in ((), ("a", "a")):
        with pytest.raises(ValidationError, match="labels are one or more names, each once"):
            Labels(names=names)

"""The constraints allow exactly the sequences that the scheme allows."""

import itertools

from recurra.data.tags import Scheme, tag_problem, tags_of
from recurra.decoding.constraints import iobes_constraints


def test_constraints_allow_what_the_scheme_allows_and_nothing_else():
    tags = tags_of(["X", "Y-Z"], Scheme.IOBES)
    transitions, starts, ends = iobes_constraints(tags)
    for length in (1, 2, 3):
        for sequence in itertools.product(range(len(tags)), repeat=length):
            allowed = bool(starts[sequence[0]]) and bool(ends[sequence[-1]])
            allowed = allowed and all(bool(transitions[a, b]) for a, b in itertools.pairwise(sequence))
            assert allowed == (tag_problem([tags[k] for k in sequence], Scheme.IOBES) is None)

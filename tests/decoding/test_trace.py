"""The trace of a search, against hypotheses that are copied at each step."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.decoding.trace import Trace


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 6), st.booleans())
def test_what_is_read_back_is_what_copying_would_hold(seed, steps, attends):
    generator = torch.Generator().manual_seed(seed)
    trace, alive, ended = Trace(), [((), (), ())], []
    for step in range(steps):
        assert torch.equal(trace.tokens(torch.arange(len(alive))), torch.tensor([each[0] for each in alive]).long())
        count = int(torch.randint(1, 7, (), generator=generator))
        rows = torch.randint(len(alive), (count,), generator=generator)
        tokens = torch.randint(100, (count,), generator=generator)
        values = torch.rand(count, generator=generator, dtype=torch.float64)
        attention = torch.rand(len(alive), 3, generator=generator)
        trace.append(rows, tokens, values, attention if attends else None)
        choices = [
            (
                (*alive[row][0], int(tokens[choice])),
                (*alive[row][1], float(values[choice])),
                (*alive[row][2], attention[row].tolist()),
            )
            for choice, row in enumerate(rows.tolist())
        ]
        kept = torch.randperm(count, generator=generator)[: max(1, count - 2)]
        ended += [(step, choice, choices[choice]) for choice in range(count)]
        trace.keep(kept)
        alive = [choices[choice] for choice in kept.tolist()]
    assert len(trace) == steps
    path = trace.read(torch.tensor([each[0] for each in ended]), torch.tensor([each[1] for each in ended]))
    for row, (step, _, (tokens, values, attention)) in enumerate(ended):
        assert tuple(path.tokens[row, : step + 1].tolist()) == tokens
        assert tuple(path.log_probabilities[row, : step + 1].tolist()) == values
        assert not path.tokens[row, step + 1 :].any()
        assert not path.log_probabilities[row, step + 1 :].any()
        if attends:
            assert path.attention[row, : step + 1].tolist() == list(attention)
            assert not path.attention[row, step + 1 :].any()
        else:
            assert path.attention is None


def test_of_nothing_nothing_is_read():
    none = torch.zeros(0, dtype=torch.int64)
    assert Trace().read(none, none).tokens.shape == (0, 0)
    assert Trace().tokens(torch.arange(2)).shape == (2, 0)

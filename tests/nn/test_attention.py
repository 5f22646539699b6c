import math

import pytest
import torch

from recurra.errors import SettingError
from recurra.nn.attention import Attention

KINDS = ["dot", "general", "additive"]
LENGTHS = torch.tensor([5, 1, 3])


def attention_and_inputs(kind):
    torch.manual_seed(0)
    attention = Attention(4, 4, kind).double()
    return attention, torch.randn(3, 2, 4, dtype=torch.float64), torch.randn(3, 5, 4, dtype=torch.float64)


def score(attention, query, part):
    """How well a part of the memory fits a query, as the papers write it."""
    if attention.kind == "dot":
        return float(query @ part) / math.sqrt(len(part))
    if attention.kind == "general":
        return float(query @ (attention.memory_map.weight @ part))
    compared = attention.memory_map(part) + attention.query_map.weight @ query
    return float(attention.score.weight[0] @ compared.tanh())


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_the_equations_say(kind):
    attention, queries, values = attention_and_inputs(kind)
    with torch.no_grad():
        contexts, weights = attention(queries, attention.prepare(values, LENGTHS))
        for row, length in enumerate(LENGTHS.tolist()):
            for t in range(2):
                scores = [score(attention, queries[row, t], values[row, s]) for s in range(length)]
                total = sum(map(math.exp, scores))
                expected = [math.exp(each) / total for each in scores] + [0.0] * (5 - length)
                torch.testing.assert_close(weights[row, t], torch.tensor(expected, dtype=torch.float64))
                mean = sum(weight * values[row, s] for s, weight in enumerate(expected))
                torch.testing.assert_close(contexts[row, t], mean)


@pytest.mark.parametrize("kind", KINDS)
def test_what_lies_past_the_end_of_a_memory_never_counts(kind):
    attention, queries, values = attention_and_inputs(kind)
    before = attention(queries, attention.prepare(values, LENGTHS))
    values[1, 1:], values[2, 3:] = 1e9, -1e9
    after = attention(queries, attention.prepare(values, LENGTHS))
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_its_gradient_is_that_of_finite_differences(kind):
    attention, queries, values = attention_and_inputs(kind)

    def contexts(queries, values, *parameters):
        return torch.func.functional_call(_Prepared(attention), dict(named), (values, LENGTHS, queries))

    named = list(_Prepared(attention).named_parameters())
    queries.requires_grad_()
    values.requires_grad_()
    assert torch.autograd.gradcheck(contexts, (queries, values, *(p for _, p in named)))


class _Prepared(torch.nn.Module):
    def __init__(self, attention):
        super().__init__()
        self.attention = attention

    def forward(self, values, lengths, queries):
        return self.attention(queries, self.attention.prepare(values, lengths))


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(SettingError, match=r"queries are 3 wide and the memory 4.*choose 'general'"):
        Attention(3, 4, "dot")
    with pytest.raises(SettingError, match="no attention 'luong'; choose one of: dot, general, additive"):
        Attention(3, 4, "luong")

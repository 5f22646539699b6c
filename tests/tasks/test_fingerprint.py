from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import torch

from recurra.tasks.fingerprint import fingerprint

LONG = torch.zeros(2000)  # of which torch writes only the ends


def changed():
    other = LONG.clone()
    other[1000] = 1
    return other


@dataclass
class Flat:
    inputs: object
    fresh: bool = True


@dataclass(slots=True)
class Slotted:
    inputs: object


class Pair(NamedTuple):
    inputs: object
    targets: object


class Plain:
    def __init__(self, inputs):
        self.inputs = inputs


class One:
    def __init__(self, batch):
        self.batch = batch

    def epoch(self, number, start=0):
        return [self.batch]


@pytest.mark.parametrize(
    "wrap",
    [
        Flat,
        Slotted,
        Plain,
        lambda x: Pair(1, x),
        lambda x: (x, 1),
        lambda x: [x],
        lambda x: {"a": {"b": x}},
        lambda x: Flat((x, x)),
        lambda x: Flat(Pair(x, Slotted(x))),
        lambda x: Flat({"characters": [x]}),
        lambda x: Flat(x.numpy()),
        lambda x: Flat(x.to(torch.bfloat16)),
        lambda x: Flat(x.to(torch.complex64)),
        lambda x: Flat(x.bool()),
        lambda x: Flat(x.to_sparse()),
    ],
)
def test_a_number_that_differs_deep_inside_is_noticed(wrap):
    assert fingerprint(One(wrap(LONG))) == fingerprint(One(wrap(LONG.clone())))
    assert fingerprint(One(wrap(LONG))) != fingerprint(One(wrap(changed())))


def test_shape_and_type_of_what_is_nested_count():
    batches = [Flat((torch.zeros(2, 3),)), Flat((torch.zeros(3, 2),)), Flat((torch.zeros(3, 2).long(),)), Flat(([],))]
    batches += [Flat((np.zeros((1, 6), np.float32),)), Flat(({},)), Flat((None,)), Flat((torch.zeros(0),))]
    assert len({fingerprint(One(batch)) for batch in batches}) == len(batches)


def test_a_flat_batch_has_the_fingerprint_that_earlier_versions_gave_it():
    import hashlib

    expected = hashlib.sha256(LONG.numpy().tobytes() + b"True").hexdigest()
    assert fingerprint(One(Flat(LONG))) == expected

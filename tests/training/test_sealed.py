import json

import pytest
import torch
from safetensors.torch import load, save

from recurra.errors import RunError
from recurra.training.sealed import seal, unseal

TENSORS = {"W": torch.arange(6.0).reshape(2, 3), "b": torch.ones(3, dtype=torch.float64), "none": torch.zeros(0)}
TEXTS = {"format": "recurra example", "note": 'with "sha256":"' + "a" * 64 + '" in it, and é'}


def test_what_is_sealed_comes_back_and_is_the_same_every_time():
    content = seal(TENSORS, TEXTS)
    assert content == seal(TENSORS, TEXTS)
    texts, tensors = unseal(content, "file")
    assert texts == TEXTS
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


def test_other_tools_read_it():
    assert torch.equal(load(seal(TENSORS, TEXTS))["W"], TENSORS["W"])
    size = int.from_bytes(seal(TENSORS, TEXTS)[:8], "little")
    assert size % 8 == 0
    json.loads(seal(TENSORS, TEXTS)[8 : 8 + size])


def test_every_byte_that_changes_is_noticed():
    content = bytearray(seal(TENSORS, TEXTS))
    for place in range(len(content)):
        for bit in (0, 3, 7):
            content[place] ^= 1 << bit
            for sealed in (True, False):
                with pytest.raises(RunError, match=r"^file: damaged"):
                    unseal(bytes(content), "file", sealed=sealed)
            content[place] ^= 1 << bit


@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"[" * 60000, b"\xff" * 40, (2).to_bytes(8, "little") + b"[]"])
def test_what_is_no_such_file_is_refused(content):
    for sealed in (True, False):
        with pytest.raises(RunError, match=r"^file: damaged"):
            unseal(content, "file", sealed=sealed)


def test_a_file_without_texts_is_taken_where_it_may_be():
    content = save({"W": torch.ones(2)}, {"format": "pt"})
    assert unseal(content, "file", sealed=False)[0] == {"format": "pt"}
    with pytest.raises(RunError, match="it has no checksum"):
        unseal(content, "file")

"""Files of safetensors under a checksum: named tensors and named texts, and the SHA-256 of the whole file.

The sum stands in the file's own header, as the first entry of `__metadata__`, and is taken over the whole file with
zeros in its place. Any tool that reads safetensors reads such a file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from recurra.errors import RunError

__all__ = ["seal", "unseal"]

_SUM = re.compile(rb'"sha256":"([0-9a-f]{64})"')
_NO_SUM = "0" * 64


def seal(tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> bytes:
    """The content of a file with a checksum; the same tensors and texts give the same bytes.

    Args:
        tensors: By name, each with memory of its own.
        texts: What else the file holds, by name; "sha256" is taken.

    Example:
        >>> import torch
        >>> content = seal({"W": torch.ones(2)}, {"kind": "example"})
        >>> unseal(content, "example.safetensors")
        ({'kind': 'example'}, {'W': tensor([1., 1.])})
    """
    content = save(dict(tensors))
    size = int.from_bytes(content[:8], "little")
    # safetensors writes the texts in an order that changes from call to call, so they are put in here.
    header = {"__metadata__": {"sha256": _NO_SUM, **texts}, **json.loads(content[8 : 8 + size])}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8 bytes
    whole = b"".join([len(text).to_bytes(8, "little"), text, memoryview(content)[8 + size :]])
    place = _SUM.search(whole)
    assert place is not None
    start, end = place.span(1)
    return b"".join([whole[:start], hashlib.sha256(whole).hexdigest().encode(), whole[end:]])


def unseal(content: bytes, name: object, *, sealed: bool = True) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The texts and the tensors of a file.

    Args:
        content: What `seal` gave.
        name: What messages call it.
        sealed: Whether a file without any texts, as other tools write it, is refused.

    Raises:
        RunError: It is damaged.
    """
    try:
        size = int.from_bytes(content[:8], "little")
        texts = dict(json.loads(content[8 : 8 + size]).get("__metadata__", {}))
    except (ValueError, TypeError, AttributeError, RecursionError):
        texts = {"damaged": ""}
    if sealed or "recurra" in str(texts) or "sha256" in texts or "damaged" in texts:
        _check(content, name)
    try:
        tensors = load(content)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{name}: damaged ({error})") from error
    texts.pop("sha256", None)
    return texts, tensors


def _check(content: bytes, name: object) -> None:
    """Refuse a file that is not what its checksum says."""
    place = _SUM.search(content)
    if place is None:
        raise RunError(f"{name}: damaged, or no file of Recurra's: it has no checksum")
    start, end = place.span(1)
    total = hashlib.sha256(b"".join([content[:start], _NO_SUM.encode(), content[end:]])).hexdigest()
    if total.encode() != place.group(1):
        raise RunError(f"{name}: damaged: its checksum is not that of its content")

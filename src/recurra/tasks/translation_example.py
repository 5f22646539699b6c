"""Short synthetic sentences in two languages."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["example", "sentences"]

NOUNS = {"chien": "dog", "chat": "cat", "cheval": "horse", "lion": "lion", "lapin": "rabbit"}
ADJECTIVES = {"noir": "black", "blanc": "white", "calme": "quiet", "rapide": "fast"}
VERBS = {"dort": "sleeps", "mange": "eats", "court": "runs", "attend": "waits"}
ARTICLES = {"le": "the", "un": "a"}
TIMES = {"": "", " ici": " here"}


def sentences() -> Iterator[tuple[str, str]]:
    """French sentences and their English ones: in French the adjective follows the noun."""
    every = itertools.product(*(words.items() for words in (ARTICLES, NOUNS, ADJECTIVES, VERBS, TIMES)))
    for (article, the), (noun, animal), (adjective, kind), (verb, does), (place, here) in every:
        yield (
            f"{article.capitalize()} {noun} {adjective} {verb}{place}.",
            f"{the.capitalize()} {kind} {animal} {does}{here}.",
        )


def example(folder: Path) -> dict[str, Any]:
    """Writes synthetic sentences, and settings small enough to learn them in seconds."""
    pairs = list(sentences())
    mixed = [pairs[(97 * place) % len(pairs)] for place in range(len(pairs))]
    for number, language in enumerate(("fr", "en")):
        text = "".join(f"{pair[number]}\n" for pair in mixed)
        (folder / f"train.{language}").write_text(text, encoding="utf-8")
    return {
        "data": folder / "train.fr",
        "source_language": "fr",
        "target_language": "en",
        "max_vocabulary": 400,
        "subword_dropout": 0.0,
        "embedding_size": 16,
        "hidden_size": 16,
        "batch_size": 32,
        "epochs": 3,
        "learning_rate": 0.01,
        "warmup_steps": 2,
    }

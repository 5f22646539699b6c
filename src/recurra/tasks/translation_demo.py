"""A demonstration of translation: sentences of a small French grammar, and the English ones of the same meaning.

What word-by-word translation cannot do is in it: adjectives that change places, agreement of gender, negation around
the verb, elision.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import NamedTuple

from recurra.tasks.task import Demo

__all__ = ["demo", "sentence"]

PAIRS = 4000
"""How many sentences are written."""


class _Noun(NamedTuple):
    french: str
    english: str
    feminine: bool = False


class _Adjective(NamedTuple):
    masculine: str
    feminine: str
    english: str
    before: bool = False


class _Verb(NamedTuple):
    french: str
    english: str
    infinitive: str


NOUNS = (
    _Noun("chat", "cat"),
    _Noun("chien", "dog"),
    _Noun("garçon", "boy"),
    _Noun("livre", "book"),
    _Noun("vélo", "bicycle"),
    _Noun("oiseau", "bird"),
    _Noun("enfant", "child"),
    _Noun("arbre", "tree"),
    _Noun("femme", "woman", feminine=True),
    _Noun("voiture", "car", feminine=True),
    _Noun("maison", "house", feminine=True),
    _Noun("pomme", "apple", feminine=True),
    _Noun("école", "school", feminine=True),
    _Noun("fleur", "flower", feminine=True),
)
ADJECTIVES = (
    _Adjective("petit", "petite", "small", before=True),
    _Adjective("grand", "grande", "big", before=True),
    _Adjective("jeune", "jeune", "young", before=True),
    _Adjective("rouge", "rouge", "red"),
    _Adjective("vert", "verte", "green"),
    _Adjective("noir", "noire", "black"),
    _Adjective("lent", "lente", "slow"),
    _Adjective("tranquille", "tranquille", "quiet"),
)
VERBS = (
    _Verb("voit", "sees", "see"),
    _Verb("aime", "likes", "like"),
    _Verb("cherche", "looks for", "look for"),
    _Verb("dessine", "draws", "draw"),
    _Verb("attend", "waits for", "wait for"),
    _Verb("achète", "buys", "buy"),
)
TIMES = (("", ""), (" aujourd’hui", " today"), (" chaque matin", " every morning"), (" à midi", " at noon"))
VOWELS = "aeiouéè"


def demo(folder: Path) -> Demo:
    """Writes sentences of the grammar, no two the same, and settings that learn them in less than a minute."""
    draw, pairs = random.Random(0), dict[str, str]()
    while len(pairs) < PAIRS:
        french, english = sentence(draw)
        pairs[french] = english
    for name, texts in (("train.fr", pairs), ("train.en", pairs.values())):
        (folder / name).write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    about = (
        f"a GRU with attention learns to translate {PAIRS:,} sentences of a small French grammar, in which adjectives "
        "change places and a negation stands around the verb"
    )
    settings = {
        "data": folder / "train.fr",
        "source_language": "fr",
        "target_language": "en",
        "max_vocabulary": 600,
        "embedding_size": 64,
        "hidden_size": 96,
        "num_layers": 1,
        "dropout": 0.0,
        "context_dropout": 0.0,
        "output_dropout": 0.1,
        "subword_dropout": 0.0,
        "batch_size": 32,
        "epochs": 5,
        "learning_rate": 6e-3,
        "warmup_steps": 50,
        "weight_average": 0.98,
    }
    return Demo(about, settings)


def sentence(draw: random.Random) -> tuple[str, str]:
    """A French sentence and the English one."""
    (subject, a_subject), (thing, a_thing) = _phrase(draw), _phrase(draw)
    verb, (time, when) = draw.choice(VERBS), draw.choice(TIMES)
    if draw.random() < 0.4:
        before = "n’" if verb.french[0] in VOWELS else "ne "
        french, english = f"{before}{verb.french} pas", f"does not {verb.infinitive}"
    else:
        french, english = verb.french, verb.english
    return (
        f"{subject[0].upper()}{subject[1:]} {french} {thing}{time}.",
        f"{a_subject[0].upper()}{a_subject[1:]} {english} {a_thing}{when}.",
    )


def _phrase(draw: random.Random) -> tuple[str, str]:
    """A noun with its article, perhaps with an adjective."""
    noun, known = draw.choice(NOUNS), draw.random() < 0.6
    adjective = draw.choice(ADJECTIVES) if draw.random() < 0.6 else None
    words, english = [noun.french], noun.english
    if adjective is not None:
        form = adjective.feminine if noun.feminine else adjective.masculine
        words.insert(0 if adjective.before else 1, form)
        english = f"{adjective.english} {english}"
    french = " ".join(words)
    if known:
        article = "l’" if french[0] in VOWELS else "la " if noun.feminine else "le "
        return f"{article}{french}", f"the {english}"
    article = "une " if noun.feminine else "un "
    return f"{article}{french}", f"{'an' if english[0] in VOWELS else 'a'} {english}"

"""Texts that went wrong: random cells with characters, words and whole constructs of Python in the wrong place."""

from __future__ import annotations

import random
import re

__all__ = ["CONSTRUCTS", "corrupt"]

CHARACTERS = [
    *" \t\n\r()[]{}+-*/@=.,:;#'\"\\_!%&|^~<>?$`0123456789txhWbeE",
    "\x00", "\x07", "\x0b", "\x0c", "\x1b", "\x1c", "\x85", "\xa0", "\xad", "\u200b", "\u2028", "\ufeff", "\ufffd",
    "\ud800", "\udfff", "é", "ℎ", "Ω", "中", "ａ", "𝒽", "²", "½", "٣", "٠", "π", "\u0301", "🙂", "\U0010ffff",
]  # fmt: skip
NAMES = (
    "h x t W b c gate tanh sigmoid transpose minimum mean add self print exec eval _ __init__ __class__ __builtins__"
)
STEPS = "x[t] h[t] h[t-1] x[t-1] h[t+1] h[t-2] h[0] h[-1] h[t-99] [t]"
KEYWORDS = """
    if else for in while lambda def class return import from as with try raise assert del global nonlocal pass async
    await yield not and or is None True False match case type
"""
NUMBERS = "1e999 -1e999 1e-999 0x1F 0b11 0o17 1j 1_0 1__0 0777 1e 1. .5 1..real nan inf"
SIGNS = """** // @ @= += -= := -> == != <= >= << >> ~ % & | ^ * , ; : \\ # ... f' b' r' rb' u' ' ( ) [ ] { } ''' " """
WORDS = " ".join([NAMES, STEPS, KEYWORDS, NUMBERS, SIGNS]).split()
CONSTRUCTS = [
    "__import__('os').system('true')",
    "exec('1')",
    "eval('1')",
    "(lambda: 1)()",
    "(h := 1)",
    "[h for h in x]",
    "{h: h for h in x}",
    "(h for h in x)",
    "f'{h[t]}'",
    "f'{__import__(\"os\")}'",
    "h if x else W",
    "x[t].T",
    "x.__class__.__bases__",
    "tanh.__globals__",
    "tanh(x=1)",
    "tanh(*x)",
    "tanh(**x)",
    "x[t:t-1]",
    "x[...]",
    "x[t][t]",
    "h[t-1][t]",
    "x[t, t]",
    "[*x]",
    "{**x}",
    "not x[t]",
    "x[t] > 0",
    "x[t] and h[t]",
    "await x",
    "(yield)",
    "print(x)",
    "open('x')",
    "b'\\x00'",
    "'\\N{BULLET}'",
    "'\\d'",
    "1 if 2else 3",
    "0or 1",
    "W @ [W @ x[t]]",
    "transpose(transpose(W)) @ b",
    "import os\n",
    "\nimport os",
    "\nfrom os import *",
    "\ndef f(): pass",
    "\nclass A: pass",
    "\nif 1: pass",
    "\nfor h[t] in x: pass",
    "\nwith open('x') as h[t]: pass",
    "\ntry: pass\nexcept: pass",
    "\nh[t]: int = 1",
    "\nh[t] += 1",
    "\nh[t] = c[t] = 1",
    "\n(h[t]) = b",
    "\n[h[t]] = b",
    "\n*h[t], = b",
    "\nh[t], c[t] = b",
    "\ndel h[t]",
    "\n@W\ndef f(): pass",
    "\ntype X = int",
    "\nmatch x:\n case 1: pass",
    "\n# coding: latin-1\n",
    "\n    ",
    "\n\t",
    "\\\n",
    "-" * 300,
    "(" * 120,
    "[" * 300,
    "tanh(" * 90,
    "+b" * 100,
    "**2" * 90,
    "1" * 400,
    "9" * 4400,
    "0x" + "f" * 4000,
    "1e400",
    "n" * 3000,
]


def corrupt(draw: random.Random, text: str) -> str:
    """The text after one to four random accidents."""
    for _ in range(draw.choice([1, 1, 1, 2, 2, 3, 4])):
        text = draw.choice(ACCIDENTS)(draw, text)
    return text


def _delete(draw: random.Random, text: str) -> str:
    start = draw.randrange(len(text) + 1)
    return text[:start] + text[start + draw.choice([1, 1, 1, 2, 5]) :]


def _insert(draw: random.Random, text: str) -> str:
    start = draw.randrange(len(text) + 1)
    return text[:start] + draw.choice(CHARACTERS) + text[start:]


def _replace(draw: random.Random, text: str) -> str:
    start = draw.randrange(len(text) + 1)
    return text[:start] + draw.choice(CHARACTERS) + text[start + 1 :]


def _splice(draw: random.Random, text: str) -> str:
    start = draw.randrange(len(text) + 1)
    return text[:start] + draw.choice([*WORDS, *CONSTRUCTS]) + text[start:]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+|\s+|[^\w\s]", text)


def _replace_word(draw: random.Random, text: str) -> str:
    words = _words(text) or [""]
    words[draw.randrange(len(words))] = draw.choice([*WORDS, *WORDS, *CONSTRUCTS])
    return "".join(words)


def _delete_word(draw: random.Random, text: str) -> str:
    words = _words(text) or [""]
    del words[draw.randrange(len(words))]
    return "".join(words)


def _swap_words(draw: random.Random, text: str) -> str:
    words = _words(text) or [""]
    a, b = draw.randrange(len(words)), draw.randrange(len(words))
    words[a], words[b] = words[b], words[a]
    return "".join(words)


def _swap_lines(draw: random.Random, text: str) -> str:
    lines = text.splitlines(keepends=True)
    draw.shuffle(lines)
    return "".join(lines)


def _repeat(draw: random.Random, text: str) -> str:
    start, end = sorted(draw.randrange(len(text) + 1) for _ in range(2))
    return text[:end] + text[start:end] + text[end:]


def _cut(draw: random.Random, text: str) -> str:
    return text[: draw.randrange(len(text) + 1)]


ACCIDENTS = [
    _delete,
    _insert,
    _replace,
    _splice,
    _replace_word,
    _replace_word,
    _delete_word,
    _swap_words,
    _swap_lines,
    _repeat,
    _cut,
]

"""The trivial rule beside a tagger: whatever was an entity in training is one again."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable

from recurra.data.dataset import Dataset
from recurra.data.tagged_sentence import TaggedSentence
from recurra.data.tags import Span

__all__ = ["known_entities"]


def known_entities(sentences: Dataset[TaggedSentence]) -> Callable[[TaggedSentence], list[Span]]:
    """What finds the entities of some sentences in others: the longest first, of its most frequent type.

    Palmer and Day, "A statistical profile of the named entity task", ANLP 1997; it is the baseline of CoNLL-2003
    (Tjong Kim Sang and De Meulder), where the entities with more than one type were left out.

    Args:
        sentences: Those whose entities are known.

    Returns:
        A function from a sentence to the entities in it.

    Example:
        >>> from recurra.data.dataset import Examples
        >>> ann = TaggedSentence(("Ann", "Lee", "left"), None, ((0, 2, "PER"),))
        >>> find = known_entities(Examples([ann], [None], [3]))
        >>> find(TaggedSentence(("Who", "is", "Ann", "Lee"), None))
        [(2, 4, 'PER')]
    """
    types: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for index in range(len(sentences)):
        sentence = sentences[index]
        for start, end, type_ in sentence.spans or ():
            types[sentence.words[start:end]][type_] += 1
    most_frequent = {words: counts.most_common(1)[0][0] for words, counts in types.items()}
    longest = max(map(len, most_frequent), default=0)

    def find(sentence: TaggedSentence) -> list[Span]:
        spans, start = [], 0
        while start < len(sentence):
            for end in range(min(len(sentence), start + longest), start, -1):
                type_ = most_frequent.get(sentence.words[start:end])
                if type_ is not None:
                    spans.append((start, end, type_))
                    start = end
                    break
            else:
                start += 1
        return spans

    return find

"""Live tagging: word by word the answers are those to the whole sentence."""

import random

import pytest
import torch
from torch import nn

from recurra.data.lines import Source
from recurra.data.tagged_sentence import TaggedSentence
from recurra.data.tags import Scheme, write_tags
from recurra.errors import SettingError
from recurra.tasks.entity_stream import EntityStream
from recurra.tasks.named_entities import NAMED_ENTITIES as TASK
from recurra.tasks.settings_file import make_config
from recurra.tasks.trained import Trained
from recurra.training import seed_everything


def tagger(folder, **settings):
    """A tagger of large random weights, so that it answers with every tag."""
    config = make_config(TASK.config, {}, {**TASK.example(folder), "bidirectional": False, **settings})
    sentences = TASK.read(config, config.sentences.data, "train")
    assets = TASK.fit(config, sentences)
    seed_everything(1)
    model = TASK.build(config, assets)
    with torch.no_grad():
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.5)
        model.encoder.inputs.characters.embedding.weight[0] = 0  # what stands past the end of a word
    return Trained(TASK, config, assets, model.eval())


@pytest.mark.parametrize(("lookahead", "head"), [(None, "crf"), (0, "crf"), (2, "softmax")])
def test_word_by_word_the_answers_are_those_to_the_whole_sentence(tmp_path, lookahead, head):
    run = tagger(tmp_path, lookahead=lookahead, head=head)
    words = ["Harry", "Paris", "in", "ALL", "CAPITALS", "ünknown", "New", "York", ".", "𝕎", "1996"]
    draw = random.Random(0)
    sentences = [
        TaggedSentence(tuple(draw.choices(words, k=length)), Source("typed", 1))
        for length in [0, 1, 2, 3, 9, 30, 30, 4]
    ]
    sentences.append(TaggedSentence(("PARIS", "NEW", "YORK", "HARRY"), Source("typed", 1)))  # a headline
    stream = EntityStream(run)
    found = 0
    for sentence, answer in zip(sentences, run.answers(sentences), strict=True):
        tags = [tag for word in sentence.words for tag in stream.push(word)] + stream.close()
        assert tags == write_tags(answer.spans, len(sentence), Scheme.IOB2)
        assert all(0 < confidence <= 1 for confidence in answer.confidences)
        found += len(answer.spans)
    assert found > 10


def test_a_tagger_that_reads_from_the_end_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(SettingError, match="train one with --no-bidirectional"):
        EntityStream(tagger(tmp_path, bidirectional=True))
    with pytest.raises(SettingError, match=r"--lookahead is 1, and a bidirectional network .*; add --no-bidirectional"):
        tagger(tmp_path, bidirectional=True, lookahead=1)


def test_a_sentence_of_any_length_is_answered(tmp_path):
    run = tagger(tmp_path, head="softmax")
    draw = random.Random(0)
    long = TaggedSentence(tuple(draw.choices(["Harry", "in", "Paris", "."], k=10_000)), Source("typed", 1))
    with torch.no_grad():
        first, second = run.answers([long, TaggedSentence(("Paris",), Source("typed", 2))])
    assert all(0 <= confidence <= 1 for confidence in first.confidences)
    assert first.spans[-1][1] <= 10_000
    assert second.spans == next(run.answers([TaggedSentence(("Paris",), Source("typed", 2))])).spans


def test_tags_that_are_decided_one_by_one_are_learned_one_by_one_unless_asked_otherwise():
    def head(**given):
        return make_config(TASK.config, {}, {"data": "a.conll", "bidirectional": False, **given}).model.head

    assert head() == "crf"
    assert head(lookahead=1) == head(lookahead=0) == "softmax"
    assert head(lookahead=1, head="crf") == "crf"

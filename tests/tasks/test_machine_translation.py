"""Machine translation on the contract of a use: what users of other translators complain about does not happen."""

import random

import pytest
import torch

import recurra as library
from recurra.data import Vocabulary
from recurra.data.dataset import Examples
from recurra.data.lines import Source
from recurra.data.sentence_pair import SentencePair
from recurra.errors import DataError, SettingError
from recurra.tasks.machine_translation import MACHINE_TRANSLATION as TASK
from recurra.tasks.settings_file import make_config
from recurra.tasks.translation_search import target_prefix
from recurra.tasks.translator_run import TranslatorRun
from support.untrained import untrained


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained run in a folder."""
    folder = tmp_path_factory.mktemp("pairs")
    return library.train(
        TASK.name, **TASK.example(folder) | {"epochs": 20, "weight_average": 0.9}, out=folder / "run", show=False
    )


@pytest.fixture(scope="module")
def sentences(run):
    """Sentences of many lengths, some of them twice."""
    pairs = TASK.read(run.config, run.config.pairs.data, "evaluate")
    texts = [pairs[index].source_text for index in range(12)]
    return [*texts, " ".join(texts[:5]), "", texts[0], "zzz", " ".join(texts)]


def begun(folder, **settings):
    """An untrained translator of weights that are large enough to make a difference."""
    config = make_config(TASK.config, {}, {**TASK.example(folder), **settings})
    return untrained(TASK, config, TASK.read(config, config.pairs.data, "train"))


def texts_of(answer):
    return [one.text for one in answer.alternatives]


# It learns


def test_it_learns_its_example(run):
    assert run.evaluate().figures["bleu"] > 30
    assert isinstance(library.load(run.folder), TranslatorRun)


# One line in, one line out


def test_a_translation_depends_on_nothing_beside_its_sentence(run, sentences):
    alone = [run.predict(text).text for text in sentences]
    assert [answer.text for answer in run.predict(sentences)] == alone
    order = list(range(len(sentences)))
    random.Random(1).shuffle(order)
    assert [answer.text for answer in run.predict([sentences[place] for place in order])] == [alone[p] for p in order]
    assert alone[sentences.index("")] == ""
    assert all("\n" not in text for text in alone)


def test_a_long_sentence_is_cut_and_says_so(run):
    answer = run.using(longest_input=3).predict("le chat noir dort ici")
    assert answer.cut == len(run.assets.source.encode("le chat noir dort ici")) - 3
    assert run.predict("le chat noir dort ici").cut == 0


# Alternatives, and how probable they are


@pytest.mark.parametrize("settings", [{"beam": 1}, {}, {"alternatives": 5}, {"sample": True, "alternatives": 3}])
def test_the_score_of_an_answer_is_what_the_search_reported(run, sentences, settings):
    for text in sentences[:4]:
        for one in run.using(**settings).predict(text).alternatives:
            score = run.score(text, one)
            assert one.log_probability == pytest.approx(score.log_probability, abs=1e-4)
            assert score.count == len(one.ids) + 1
            assert sum(unit.log_probability for unit in score.units) == pytest.approx(score.log_probability)


def test_alternatives_differ_and_come_the_best_first(run, sentences):
    answer = run.using(alternatives=5).predict(sentences[0])
    assert len({one.ids for one in answer.alternatives}) == 5
    scores = [one.score for one in answer.alternatives]
    assert scores == sorted(scores, reverse=True)
    assert answer.text == run.predict(sentences[0]).text
    with pytest.raises(SettingError, match="--alternatives 7: a beam of 5 gives no more than 5; give --beam 7"):
        run.using(alternatives=7).predict(sentences[0])


def test_scores_of_many_are_those_of_each(run):
    pairs = [("le chat noir", "the black cat"), ("un", "a"), ("le chat", ""), ("la fleur dort", "it sleeps, here")]
    many = list(run.score_many(SentencePair(*pair, Source(run.folder, 1)) for pair in pairs))
    assert many[2] is None
    for pair, score in zip(pairs, many, strict=True):
        if score is not None:
            assert score.log_probability == pytest.approx(run.score(*pair).log_probability, abs=1e-4)
    with pytest.raises(DataError, match="the translation is empty; give at least one word"):
        run.score(*pairs[2])
    with pytest.raises(SettingError, match="score: source is 3; give a str"):
        run.score(3, "three")


# Drawing


def test_what_is_drawn_depends_on_the_sentence_and_the_seed_alone(run, sentences):
    drawing = run.using(sample=True, alternatives=2)
    alone = [texts_of(drawing.predict(text)) for text in sentences[:6]]
    assert [texts_of(answer) for answer in drawing.predict(sentences[:6])] == alone
    assert [texts_of(run.using(sample=True).predict(text))[0] for text in sentences[:6]] == [a for a, _ in alone]
    assert [texts_of(a) for a in drawing.using(search_seed=1).predict(sentences[:6])] != alone


def test_draws_of_little_temperature_or_of_one_piece_are_greedy(run, sentences):
    greedy = [answer.text for answer in run.using(beam=1).predict(sentences)]
    for settings in ({"temperature": 1e-3}, {"top_k": 1}, {"top_p": 1e-6}):
        assert [a.text for a in run.using(sample=True, **settings).predict(sentences)] == greedy


# What a translation begins with


@pytest.mark.parametrize("level", ["bpe", "word", "character"])
def test_translations_begin_as_typed_in_the_middle_of_a_word_or_after_one(tmp_path, level):
    run = begun(tmp_path, level=level)
    for typed in ["A", "A qui", "A quiet ", "The black d"]:
        answer = run.using(prefix=typed, alternatives=3, beam=4).predict("le chat noir")
        for text in texts_of(answer):
            assert f"{text} ".startswith(typed)
        drawn = run.using(prefix=typed, sample=True, alternatives=3).predict("le chat noir")
        assert all(f"{text} ".startswith(typed) for text in texts_of(drawn))


def test_what_no_translation_begins_with_is_refused(tmp_path):
    with pytest.raises(SettingError, match="no word of translations begins with 'zz'; leave letters out"):
        begun(tmp_path, level="word").using(prefix="The zz").predict("le chat")
    with pytest.raises(SettingError, match="--prefix 'zz The': 'zz' is not in the vocabulary of translations"):
        begun(tmp_path, level="word").using(prefix="zz The").predict("le chat")
    with pytest.raises(SettingError, match="--prefix 'The ż': 'ż' is not in the vocabulary of translations"):
        begun(tmp_path, level="character").using(prefix="The ż").predict("le chat")


def test_letters_of_several_bytes_that_no_piece_writes_are_forced_as_bytes():
    vocabulary = Vocabulary.build(["the cat"] * 5, "bpe", 300, end_of_sentence=True)
    allowed, tokens = target_prefix(vocabulary, "ż").allowed, ()
    while (mask := allowed(tokens)) is not None:
        [token] = mask.nonzero().flatten().tolist()
        tokens = (*tokens, token)
    assert vocabulary.decode(tokens) == "ż"


# Words that are not known


def test_unknown_words_are_copied_from_where_most_attention_went(tmp_path):
    run = begun(tmp_path, level="word")
    unknown = run.assets.target.unknown
    with torch.no_grad():  # a translator that writes <UNK> alone
        run.model.bias.fill_(-50.0)
        run.model.bias[unknown] = 50.0
    text = "Zyx abc le"
    answer = run.using(max_length=2).predict(text)
    attended = [text.split()[place] for place in answer.best.attention[:, :3].argmax(1).tolist()]
    assert answer.text.split() == attended
    assert run.using(max_length=2, copy_unknown=False).predict(text).text.split() == ["<UNK>"] * 2


def test_of_a_sentence_that_is_cut_no_word_is_copied_that_was_not_read(tmp_path):
    run = begun(tmp_path, level="word")
    with torch.no_grad():
        run.model.bias.fill_(-50.0)
        run.model.bias[run.assets.target.unknown] = 50.0
    text = "Zyx abc le chat noir dort"
    for length in (1, 2, 3):
        copied = run.using(max_length=6, longest_input=length).predict(text).text.split()
        assert set(copied) <= set(text.split()[:length])


# Attention


@pytest.mark.parametrize("attention", ["dot", "general", "additive"])
def test_every_attention_goes_with_every_decoder(tmp_path, attention):
    for decoder in ("deep", "input-feeding", "conditional"):
        run = begun(tmp_path, attention=attention, decoder=decoder)
        answer = run.predict("Le chat noir dort.")
        torch.testing.assert_close(answer.best.attention.sum(1), torch.ones(len(answer.best.ids)))


def test_where_the_limits_leave_nothing_there_is_no_translation(tmp_path):
    run = begun(tmp_path, level="character").using(min_length=60, unique_ngrams=1)
    assert run.predict("Le chat noir dort et mange.").text == ""


def test_what_is_doubtful_is_told_of_the_words_that_were_read_not_of_what_stands_for_them(tmp_path):
    run = begun(tmp_path, level="word")
    answer = run.predict("Zyx 1234 dort.")
    assert answer.source_text == "Zyx 1234 dort."
    assert "1234 is not carried over" in answer.reasons


# Several runs


def test_an_ensemble_of_a_run_with_itself_is_the_run(run, sentences):
    both = run.using(ensemble=[str(run.folder)])
    answers = zip(both.predict(sentences), run.predict(sentences), strict=True)
    for ours, alone in answers:
        assert ours.text == alone.text
        assert ours.best.log_probability == pytest.approx(alone.best.log_probability, abs=1e-4)


def test_an_ensemble_of_other_vocabularies_is_refused(run, tmp_path):
    other = library.train(
        TASK.name,
        **TASK.example(tmp_path) | {"max_vocabulary": 300, "max_steps": 1},
        out=tmp_path / "run",
        show=False,
    )
    with pytest.raises(SettingError, match="its vocabularies are others; train the runs of an ensemble on the same"):
        run.using(ensemble=[str(other.folder)]).predict("le chat")


# Batches


def test_the_texts_of_a_batch_are_split_with_its_rows(run):
    pairs = TASK.read(run.config, run.config.pairs.data, "evaluate")
    batch = next(iter(TASK.batches(run.config, run.assets, pairs, "evaluate").epoch(0)))
    parts = [batch.shard(rank, 3) for rank in range(3)]
    assert sum((part.texts for part in parts), ()) == batch.texts
    assert [text for part in parts for text in part.texts] == [pairs[i].source_text for i in batch.index.tolist()]


def test_pairs_that_are_too_long_are_counted_and_not_trained_on(tmp_path):
    run = begun(tmp_path)
    pairs = [SentencePair("le chat " * n, "the cat " * n, Source(tmp_path, n)) for n in (1, 2, 99)]
    dataset = Examples(pairs, [pair.source for pair in pairs], [1, 2, 99])
    batches = TASK.batches(run.config, run.assets, dataset, "train")
    assert batches.left_out == 1
    assert sum(len(batch) for batch in batches.epoch(0)) == 2
    with pytest.raises(DataError, match="no pair has sentences of at most 100 pieces; give shorter ones"):
        TASK.batches(run.config, run.assets, Examples(pairs[2:], [pairs[2].source], [99]), "train")


def test_one_vocabulary_for_both_languages_or_one_for_each(tmp_path):
    joint, separate = begun(tmp_path).assets, begun(tmp_path, joint=False).assets
    assert joint.source == joint.target
    assert separate.source != separate.target


# Settings


def test_settings_that_have_no_effect_together_are_refused(tmp_path, run):
    with pytest.raises(SettingError, match="--temperature is for translations that are drawn: add --sample"):
        run.using(temperature=0.5)
    with pytest.raises(SettingError, match="subword_dropout leaves out merges of byte pairs, and level is 'word'"):
        begun(tmp_path, level="word", subword_dropout=0.1)


def test_the_same_seed_gives_the_same_files(tmp_path):
    files = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        settings = TASK.example(tmp_path / name) | {"max_steps": 2}
        library.train(TASK.name, **settings, out=tmp_path / name / "run", show=False)
        files.append((tmp_path / name / "run" / "assets.json").read_text())
    assert files[0] == files[1]


def test_the_language_of_a_text_is_the_end_of_its_name(tmp_path):
    settings = TASK.example(tmp_path)
    del settings["source_language"]
    config = make_config(TASK.config, {}, settings)
    assert len(TASK.read(config, config.pairs.data, "train")) == 320

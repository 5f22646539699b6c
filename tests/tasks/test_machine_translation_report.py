"""What a translator's run tells of its answers: risks, the nearest pair, mistakes, rules to stand beside it."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import sacrebleu
from rich.console import Console

from recurra.cli.data import show_checkup
from recurra.data.lexicon import Lexicon
from recurra.data.lines import Source
from recurra.data.sentence_pair import SentencePair
from recurra.errors import DataError
from recurra.inspection.charts import draw_chart
from recurra.metrics import add
from recurra.tasks import load, train_run
from recurra.tasks.doctor import check_up
from recurra.tasks.machine_translation import MACHINE_TRANSLATION, baselines, metrics
from recurra.tasks.machine_translation_settings import MachineTranslationConfig
from recurra.tasks.settings_file import make_config
from recurra.tasks.translation import Neighbour, Risk, Translation
from recurra.tasks.translation_baselines import word_by_word
from recurra.tasks.translation_example import example
from recurra.tasks.translation_mistakes import translation_mistake
from recurra.tasks.translation_output import TRANSLATION_FORMATS, show


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translator")
    config = make_config(MachineTranslationConfig, {}, example(folder) | {"epochs": 1})
    return train_run(MACHINE_TRANSLATION, config, folder / "run")[0]


def pair(source, target=None, line=1):
    return SentencePair(source, target, Source(Path("test.fr"), line))


def test_a_run_keeps_what_is_usual(run):
    again = load(run.folder)
    assert again.assets == run.assets
    assert again.assets.usual.lines == 32
    assert again.assets.profile.characters.startswith(" .L")
    assert (run.folder / "assets.json").stat().st_size < 60_000


def test_answers_have_risks_and_the_nearest_pair(run):
    near = run.using(nearest=str(run.config.pairs.data))
    answer = near.predict("Le chat noir dort, 12.")
    assert answer.source_text == "Le chat noir dort, 12."
    assert "number" in {risk.name for risk in answer.risks}
    assert answer.neighbour.source_text.startswith("Le chat noir dort")
    assert run.predict("Le chat noir dort.").neighbour is None
    assert near.predict("  ").risks == ()


def test_a_file_of_pairs_that_is_missing_is_named(run):
    with pytest.raises(DataError, match=r"nowhere\.fr"):
        run.using(nearest="nowhere.fr").predict("Le chat.")


ANSWER = Translation.of_text("The dog 13.", "Le chien 12.")
RISKS = (Risk("number", "12 is not carried over", ((9, 11),)), Risk("unsure", "it is guessed"))


def doubtful():
    return replace(ANSWER, risks=RISKS, neighbour=Neighbour("Le chien.", "The dog.", 0.5, "train.fr:7"))


def test_formats_show_risks_and_evidence(run):
    answer, asked = doubtful(), pair("Le chien 12.")
    shown = json.loads(json.dumps(show(asked, answer)))
    assert shown["risks"] == [
        {"name": "number", "reason": "12 is not carried over", "source": [[9, 11]]},
        {"name": "unsure", "reason": "it is guessed"},
    ]
    assert shown["nearest"] == {"source": "Le chien.", "target": "The dog.", "similarity": 0.5, "where": "train.fr:7"}
    assert not {"risks", "nearest"} & show(asked, ANSWER).keys()

    def written(name):
        return "".join(map(str, TRANSLATION_FORMATS[name](run, [(asked, ANSWER), (asked, answer)])))

    assert written("text") == "The dog 13.\nThe dog 13.\n"
    assert written("tsv").splitlines()[2].endswith("12 is not carried over; it is guessed")
    assert written("risks") == (
        "2  Le chien 12.\n   → The dog 13.\n     number: 12 is not carried over\n     unsure: it is guessed\n"
        "     nearest: 0.50 train.fr:7: Le chien. → The dog.\n1 of 2 translations are doubtful\n"
    )
    page = written("html")
    assert "Le chien <mark>12</mark>." in page
    assert "nearest pair, 0.50 alike (train.fr:7): Le chien. → The dog." in page


def test_mistakes_are_as_bad_as_their_chrf_and_say_what_was_doubtful():
    doubted, other = doubtful(), Translation.of_text("The dog, 12.")
    asked = pair("Le chien 12.", " The dog 12. ")
    mistakes = [translation_mistake(asked, answer) for answer in (doubted, other)]
    for mistake, answer in zip(mistakes, (doubted, other), strict=True):
        assert mistake.cost == pytest.approx(100 - sacrebleu.sentence_chrf(answer.text, ["The dog 12."]).score)
    assert (mistakes[0].expected, mistakes[0].answered, mistakes[0].input) == (
        "The dog 12.",
        "The dog 13.",
        "Le chien 12.",
    )
    assert [mistake.notes for mistake in mistakes] == ["12 is not carried over; it is guessed", ""]
    assert translation_mistake(asked, Translation.of_text("The dog 12.")) is None


def test_rules_beside_the_model(run):
    data = MACHINE_TRANSLATION.read(run.config, Path(run.config.pairs.data), "train")
    rules = {rule.name: rule for rule in baselines(run.config, data)}
    assert list(rules) == ["the sentence itself", "word by word"]
    asked = pair("Le chat blanc dort ici.")
    assert rules["the sentence itself"].answer(asked).text == "Le chat blanc dort ici."
    assert rules["word by word"].answer(asked).text == "The cat white sleeps here."


def test_marks_stand_where_they_belong():
    lexicon = Lexicon([(["a", "b"], ["x", "y"])])
    assert word_by_word(lexicon, "q (q), q! q") == "Q (q), q! q"
    assert word_by_word(lexicon, "") == ""


def test_the_figures_of_an_evaluation(run):
    names = [metric.name for metric in metrics(run.config, run.assets)]
    assert names == ["bleu", "bleu_lowercase", "bleu_tokenised", "chrf2", "ter", "perplexity"]
    assert "bleu_tokenised" not in {view.name for view in run.views}


def test_the_doctor_writes_figures_of_rules_as_their_metrics_do(run):
    data = MACHINE_TRANSLATION.read(run.config, Path(run.config.pairs.data), "train")
    checkup = check_up(MACHINE_TRANSLATION, run.config, {"train": data, "again": data})
    console = Console(file=io.StringIO(), width=200)
    show_checkup(checkup, console)
    figures = checkup.parts[1].baselines["the sentence itself"]
    assert f"the sentence itself: BLEU {figures['bleu']:.2f}, " in console.file.getvalue()
    assert figures["bleu"] < 1  # of 100
    assert "word by word: BLEU " in console.file.getvalue()


def test_bleu_by_length_is_drawn(tmp_path, run):
    [metric, *_] = metrics(run.config, run.assets)
    pairs = [pair("Le chien.", "The dog."), pair("Le chien noir dort ici et là.", "The black dog sleeps here.")]
    total = add(metric.tally(each, Translation.of_text("The dog sleeps here.")) for each in pairs)
    [chart] = metric.charts(total)
    draw_chart(chart, tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
    draw_chart(replace(chart, curves=[replace(chart.curves[0], y=(0.0, 0.0))]), tmp_path / "none.png")


def test_of_scores_that_all_are_0_the_axis_is_that_of_a_score(tmp_path, run, monkeypatch):
    [metric, *_] = metrics(run.config, run.assets)
    pairs = [pair("Le chien.", "The dog."), pair("Le chien noir dort ici et là.", "The black dog sleeps here.")]
    [chart] = metric.charts(add(metric.tally(each, Translation.of_text("The dog sleeps here.")) for each in pairs))
    limits = []
    monkeypatch.setattr("recurra.inspection.charts.save", lambda figure, path: limits.append(figure.axes[0].get_ylim()))
    draw_chart(replace(chart, curves=[replace(chart.curves[0], y=(0.0,) * len(chart.curves[0].y))]), tmp_path / "a.png")
    assert limits == [(0, 100)]

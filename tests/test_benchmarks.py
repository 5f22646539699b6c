"""The benchmarks compare equal work, count it rightly, and say what they found."""

import copy
import importlib
from dataclasses import replace
from pathlib import Path

import llvmlite.binding as llvm
import pytest
import torch
from torch import nn

FOLDER = Path(__file__).parents[1] / "benchmarks"
CELLS = ["rnn", "simplified-gru", "gru", "gru-reset-after", "lstm", "peephole-lstm", "own"]


@pytest.fixture(autouse=True)
def modules(monkeypatch):
    """The benchmarks' modules, by name."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module


def made_up(modules, speed):
    """Results in which torch.nn takes `speed[kind]` times as long as the library, at every point."""
    r = modules("results")
    reading = [(1 << 14, 100.0), (1 << 20, 50.0)]
    machine = r.Machine("2026-01-01", "a processor", "generic", 2, 100.0, 200.0, {"torch": "2"}, "python x.py", reading)
    results = r.Results(machine)
    for kind in r.KINDS:
        for batch in (1, 32):
            for who, seconds in (("recurra", 0.5), ("torch.nn", 0.5 * speed[kind])):
                gflops = 80 / seconds
                results.points.append(
                    r.Point(kind, "lstm", batch, 128, 100, who, seconds, 3, gflops, gflops / machine.peak, 0.1 * batch)
                )
    return results


@pytest.mark.parametrize("name", CELLS)
def test_contenders_compute_the_same(modules, name):
    modules("contenders").check_equal(name, backend="reference")


def test_a_contender_that_computes_something_else_is_refused(modules, monkeypatch):
    contenders = modules("contenders")
    monkeypatch.setitem(contenders.LOOPS, "rnn", lambda p, x: modules("eager").rnn(p, x) * 1.001)
    with pytest.raises(RuntimeError, match="rnn, eager loop: outputs"):
        contenders.check_equal("rnn", backend="reference")


def test_operations_are_those_of_the_products(modules):
    points, contenders = modules("points"), modules("contenders")
    # Four matrices of 3 rows and 3 + 3 columns, for 2 sequences of 5 steps, a multiplication and an addition each.
    lstm = contenders.CELLS["lstm"]
    assert points.operations(lstm, 2, 3, 5, "forward") == 4 * 3 * 6 * 2 * 5 * 2
    assert points.operations(lstm, 2, 3, 5, "training") == 3 * 4 * 3 * 6 * 2 * 5 * 2


def test_peak_keeps_every_chain_in_a_register(modules):
    peak = modules("peak")
    target = modules("recurra.backends.cpu.target").Target("x86_64-unknown-linux-gnu", "haswell", "", 32, 16)
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    module = llvm.parse_assembly(peak._kernel(target, 12))
    machine = llvm.Target.from_triple(target.triple).create_target_machine(cpu=target.processor, opt=3)
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    loop = machine.emit_assembly(module)
    assert loop.count("vfmadd") == 12
    assert "(%rsp)" not in loop


@pytest.mark.parametrize(
    ("seconds", "a_turn"),
    [
        (0.004, 1 + 3),  # the first is not counted, and three make the 10 ms of a turn
        (0.02, 1 + 1),
        (0.06, 1),  # long enough for caches not to matter
    ],
)
def test_contenders_run_by_turns_and_at_least_three_times(modules, monkeypatch, seconds, a_turn):
    timing, runs = modules("timing"), []
    monkeypatch.setattr(timing, "_seconds", lambda run, clock: (run(), seconds)[1])
    passes = {who: lambda who=who: runs.append(who) for who in ("a", "b")}
    timings = timing.alternate(passes, timing.Effort(budget=0.0, repeats=10))
    assert timings == {who: timing.Timing(seconds, 3) for who in ("a", "b")}
    assert runs[4:] == [*["a"] * a_turn, *["b"] * a_turn] * 3


def test_targets_are_met_by_what_meets_them(modules):
    targets = modules("targets").targets
    met = {t.what: t.met for t in targets(made_up(modules, {"forward": 1.3, "training": 1.7}))}
    assert met["torch.nn, lstm, forward"] is True
    assert met["torch.nn, lstm, training"] is False
    assert met["of the peak, forward, B≥32, H≥128"] is True
    assert met["memory, of torch.nn.LSTM's"] is None


def test_one_slow_point_misses_a_target(modules):
    results = made_up(modules, {"forward": 2.0, "training": 2.0})
    results.points[1] = replace(results.points[1], seconds=0.4)
    target = modules("targets").targets(results)[0]
    assert target.met is False
    assert target.measured == "1.26x, least 0.80x (1x128)"


def test_the_limit_is_what_the_least_time_would_give(modules):
    target = modules("targets").targets(made_up(modules, {"forward": 1.3, "training": 1.7}))[0]
    # torch.nn takes 0.65 s at both points, of which 0.1 and 3.2 s are the least there could be.
    assert target.limit == f"{0.65 / (0.1 * 3.2) ** 0.5:.2f}x, least 0.20x"


def test_the_least_time_is_that_of_the_operations_or_of_reading_the_weights(modules):
    machine = made_up(modules, {"forward": 1, "training": 1}).machine
    assert machine.least_seconds(200e9, 1 << 10, 1) == 1.0
    # As fast as the largest row that is no larger is read: 50 GB/s from a mebibyte on.
    assert machine.least_seconds(1.0, 1 << 14, 1000) == (1 << 14) * 1000 / 100e9
    assert machine.least_seconds(1.0, 1 << 22, 1000) == (1 << 22) * 1000 / 50e9


def test_weights_before_a_state_are_counted(modules):
    points, contenders = modules("points"), modules("contenders")
    # Four matrices of 3 rows, of whose 3 + 3 columns 3 read the state, in 4 bytes each.
    assert points.carried_bytes(contenders.CELLS["lstm"], 3) == 4 * 3 * 3 * 4


def test_reading_is_measured(modules, monkeypatch):
    peak = modules("peak")
    monkeypatch.setattr(peak, "SIZES", (1 << 14,))
    monkeypatch.setattr(peak, "READ_BYTES", 1 << 16)
    ((size, rate),) = peak.reading_rates(1)
    assert size == 1 << 14
    assert 0 < rate < 1e5


def test_results_are_read_as_they_were_written(modules, tmp_path):
    results = made_up(modules, {"forward": 1.3, "training": 2.0})
    results.write(tmp_path / "run.json", targets=[])
    assert modules("results").read(tmp_path / "run.json") == results


def test_tables_stand_between_the_marks_and_nothing_else_changes(modules, tmp_path):
    program = modules("recurrence")
    document = tmp_path / "README.md"
    document.write_text((FOLDER / "README.md").read_text())
    before, after = document.read_text().split(program.BEGIN)[0], document.read_text().split(program.END)[1]
    for speed in (1.3, 1.9):
        program.write_markdown(made_up(modules, {"forward": speed, "training": 2.0}), document)
        text = document.read_text()
        assert text.startswith(before + program.BEGIN)
        assert text.endswith(program.END + after)
        assert f"{speed:.2f}x" in text
    assert "1.30x" not in text[len(before) : -len(after)]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--markdown", "notes.md"], "notes.md does not have the lines"),
        (["--json", "missing/run.json"], "there is no folder"),
        (["--from", "missing.json"], "there is no such file"),
        (["--cells", "lstn"], "'lstn' is none of: rnn, simplified-gru"),
        (["--compile", "32"], "'32' is not like 32x128"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_measured(
    modules, monkeypatch, tmp_path, capsys, wrong, said
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.md").write_text("no marks")
    with pytest.raises(SystemExit) as refused:
        modules("recurrence").main(wrong)
    assert refused.value.code == 2
    assert said in capsys.readouterr().err
    assert (tmp_path / "notes.md").read_text() == "no marks"


def test_models_that_write_text_are_the_same(modules):
    sampling = modules("sampling")
    run = sampling.model_of("lstm", 8)
    lines = run.sample(20, number=9, seed=0)
    sampling.check_equal(run, sampling.Plain("lstm", run.model), lines)
    other = sampling.model_of("lstm", 8)
    other.model.readout.bias.data[0] += 1
    with pytest.raises(RuntimeError, match="the probabilities differ"):
        sampling.check_equal(run, sampling.Plain("lstm", other.model), lines)


def test_the_table_of_writing_stands_between_its_marks(modules, monkeypatch, tmp_path):
    sampling = modules("sampling")
    monkeypatch.setattr("torch.set_num_threads", lambda threads: None)
    monkeypatch.setattr(
        sampling, "measure", lambda cell, size, effort: [sampling.Rate(cell, size, "sample", 60.0, 8.0)]
    )
    document = tmp_path / "README.md"
    document.write_text((FOLDER / "README.md").read_text())
    sampling.main(["--quick", "--markdown", str(document)])
    before, after = ((FOLDER / "README.md").read_text().split(mark) for mark in (sampling.BEGIN, sampling.END))
    text = document.read_text()
    assert text.startswith(before[0])
    assert text.endswith(after[1])
    assert "| lstm | 128 | sample | 60 | 8 | 7.5x |" in text


def test_sentences_that_are_made_up_are_as_many_and_as_long_as_conll_2003s(modules, tmp_path):
    modules("tagged_sentences").write_sentences(tmp_path)
    sentences = (tmp_path / "eng.train").read_text(encoding="utf-8").strip().split("\n\n")
    lengths = sorted(len(sentence.splitlines()) for sentence in sentences)
    assert len(sentences) == 14_041
    assert sum(lengths) == pytest.approx(203_621, rel=0.05)  # its words
    assert lengths[len(lengths) // 2] == pytest.approx(10, abs=1)
    tags = [line.split()[1] for sentence in sentences for line in sentence.splitlines()]
    assert tags.count("O") / len(tags) == pytest.approx(169_578 / 203_621, abs=0.03)
    assert {tag.removeprefix("I-") for tag in tags} == {"O", "LOC", "MISC", "ORG", "PER"}


def test_what_a_tagger_does_is_told_beside_plain_pytorch(modules):
    tagger = modules("tagger")
    figures = tagger.Figures(
        step={"recurra": 0.02, tagger.PLAIN: 0.05, tagger.TUNED: 0.03},
        collate=0.003,
        tagging={"recurra": 30_000.0, tagger.TUNED: 20_000.0},
        memory=[400.0, 500.0, 520.0],
    )
    text = tagger.report(figures, "sentences", "python x.py", (0.5, 1.5))
    assert "| a step of training, ms | 20.0 | 50.0 | 2.50x | 30.0 | 1.50x |" in text
    assert "| words tagged a second | 30,000 | | | 20,000 | 1.50x |" in text
    assert "| memory after epoch 3, MiB | 520 (+4.0%) |" in text
    assert "load average 0.5 before, 1.5 after" in text


def case_of(modules, name, folder):
    """A small case of training."""
    cases = modules("training_cases")
    return cases.classifier(True, folder) if name == "classifier" else getattr(cases, name)(True)


@pytest.mark.parametrize("name", ["word_model", "classifier", "translator", "music"])
def test_models_that_train_are_the_same(modules, name, tmp_path):
    case, training = case_of(modules, name, tmp_path), modules("training")
    training.check_equal(case)
    with torch.no_grad():
        next(parameter for name, parameter in case.plain[1].named_parameters() if "weight_hh" in name)[0, 0] += 1.0
    with pytest.raises(RuntimeError, match=r"apart: it would not be of equal work"):
        training.check_equal(case)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_steps_of_training_move_weights_alike(modules, optimiser, fused):
    steps, recurra = modules("steps"), modules("recurra.training")
    settings = recurra.TrainingSettings(
        optimiser=optimiser, learning_rate=0.1, weight_decay=0.1, weight_average=0.9, clip_norm=0.5
    )
    torch.manual_seed(0)
    ours = nn.Linear(3, 2)
    theirs = copy.deepcopy(ours)
    batches = torch.randn(5, 4, 3)
    step = steps.library_step(ours, lambda model, x, _: recurra.StepLoss(model(x).square().sum(), 4), settings)
    other = steps.plain_step(theirs, lambda x: theirs(x).square().sum(), len, settings, fused=fused)
    for batch in batches:
        assert step(batch) == pytest.approx(other(batch), rel=1e-5)
    torch.testing.assert_close(list(ours.parameters()), list(theirs.parameters()))


def test_the_parts_of_a_step_are_found_in_its_profile(modules, tmp_path):
    case, training = case_of(modules, "translator", tmp_path), modules("training")
    step = modules("steps").library_step(case.model, case.loss, case.settings)
    step(case.batches[0])
    shares = training.shares_of(step, case.batches[:2])
    assert sum(shares.values()) == pytest.approx(1)
    assert all(share > 0 for share in shares.values())


def test_steps_of_training_are_told_beside_plain_pytorch(modules):
    training = modules("training")
    parts = dict.fromkeys((*training.PARTS, "rest"), 0.2)
    seconds = {"recurra": 0.02, training.PLAIN: 0.05, training.TUNED: 0.03}
    text = training.report([training.Figures("a model", (1.6, 2.2), seconds, parts)], "python x.py", (0.5, 1.5))
    assert "| a model | 20.0 | 50.0 | 2.50x | 30.0 | 1.50x | 1.6x, better 2.2x |" in text
    assert "| a model | 20% | 20% | 20% | 20% | 20% |" in text


def test_made_up_sentences_are_translated_and_the_parts_of_it_found(modules, tmp_path):
    translation = modules("translation")
    trained, sentences = translation.made_up(tmp_path, 4, 300, embedding_size=8, hidden_size=8)
    pieces = translation.translated(trained, sentences, 2)
    assert 0 < pieces <= sum(len(sentence.split()) + 1 for sentence in sentences)
    shares = translation.shares_of(trained, sentences)
    assert all(share > 0 for share in shares.values())
    assert sum(shares.values()) < 1


def test_how_fast_translations_are_is_told_for_a_thousand_sentences(modules):
    translation = modules("translation")
    parts = dict.fromkeys(translation.PARTS, 0.2)
    figures = translation.Figures(sentences=500, pieces=8_000, seconds={1: 2.0, 5: 5.0}, shares=parts)
    text = translation.report(figures, "a trained run", "python x.py", (0.5, 1.5))
    assert "a trained run; 500 sentences, 16.0 pieces each" in text
    assert "| 5 | 10.0 | 100 |" in text
    assert "the rest 20%" in text

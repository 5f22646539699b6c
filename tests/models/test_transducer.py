"""The transducer: what it hears piece by piece is what it hears at once, and a run of it can be searched."""

import itertools

import pytest
import torch
from torch import nn

import recurra
from recurra.decoding.transducer_search import TransducerGreedy
from recurra.errors import RecurraError
from recurra.models.encoder import Encoder
from recurra.models.long_recording import read_in_pieces
from recurra.models.subsampling import Subsampling
from recurra.models.transducer import Transducer
from recurra.nn import Recurrent


@pytest.mark.parametrize("lookahead", [0, 3])
def test_what_is_streamed_and_read_in_pieces_is_the_whole(lookahead):
    torch.manual_seed(0)
    encoder = Encoder(nn.Identity(), Recurrent("gru", 6, 7, num_layers=2), lookahead=lookahead)
    model = Transducer(Subsampling(3, 6), encoder, 4, "gru", 5, 6, joint_size=8).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.7)
    nn.init.constant_(model.readout.bias, 0.0)
    nn.init.normal_(model.projection.weight, std=3.0)
    frames = torch.randn(90, 3)
    with torch.no_grad():
        whole = model(frames[None])[0].encoded[0]
        torch.testing.assert_close(read_in_pieces(model, frames, piece=16), whole, atol=1e-5, rtol=1e-4)
    stream, greedy, at_once = model.stream(), TransducerGreedy(model), TransducerGreedy(model)
    at_once.hear(whole)
    written = []
    for piece in [*frames.split([1, 40, 9, 0, 40]), None]:
        greedy.hear(stream.finish() if piece is None else stream.push(piece))
        written.append(greedy.path().ids)
    assert all(after[: len(before)] == before for before, after in itertools.pairwise(written))
    assert written[-1] == at_once.path().ids
    assert len(written[-1]) > 3


def test_a_run_with_this_head_is_trained_loaded_and_searched(tmp_path):
    settings = recurra.tasks.TASKS["speech-recognition"].example(tmp_path)
    settings |= {"head": "transducer", "prediction_size": 12, "joint_size": 16, "epochs": 1}
    recurra.train("speech-recognition", **settings, out=tmp_path / "run", show=False)
    run = recurra.load(tmp_path / "run")
    greedy = run.predict(tmp_path / "000.wav")
    assert greedy.duration > 0
    (tmp_path / "text.txt").write_text("ab ca\ncd\nab\n" * 20)
    recurra.train(
        "language-modelling",
        data=tmp_path / "text.txt",
        level="character",
        batch_size=2,
        chunk_length=8,
        hidden_size=4,
        embedding_size=4,
        epochs=1,
        out=tmp_path / "text",
        show=False,
    )
    searched = run.using(beam=6, alternatives=4, lexicon="trained", language_model=str(tmp_path / "text"))
    answer = searched.predict(tmp_path / "000.wav")
    assert 1 <= len(answer.alternatives) <= 4
    assert all(set(text.split()) <= set(run.assets.words) for text, _ in answer.alternatives)
    with pytest.raises(RecurraError, match="this is a transducer"):
        run.align(tmp_path / "000.wav", "ab")

"""Greedy decoding frame by frame: the labels of the whole, and lines that lose none of them."""

import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.decoding.ctc import greedy_path
from recurra.decoding.live_ctc import LivePath
from recurra.decoding.live_lines import LiveLines

WAYS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 6)), max_size=12)


def frames_of(way):
    labels = torch.tensor([label for label, count in way for _ in range(count)], dtype=torch.int64)
    draw = torch.Generator().manual_seed(len(labels))
    scores = torch.rand(len(labels), 4, generator=draw)
    return (scores + 2 * torch.nn.functional.one_hot(labels, 4)).log_softmax(1)


@given(WAYS)
def test_labels_are_those_of_the_whole(way):
    frames, path = frames_of(way), LivePath()
    heard = [label for frame in frames if (label := path.push(frame)) is not None]
    probability = path.log_probability
    last = path.finish()
    whole = greedy_path(frames)
    assert (*heard, *([last] if last else [])) == whole.labels
    assert abs(probability - whole.log_probability) < 1e-9 * max(1, len(frames))


@given(WAYS, st.integers(1, 8), st.integers(2, 20), st.sampled_from([None, 3]))
def test_lines_lose_no_label_and_end_in_silence(way, quiet, longest, separator):
    frames, path, lines = frames_of(way), LivePath(), LiveLines(separator, quiet, longest)
    cut = []
    for frame in frames:
        cut.append(lines.hear(path.push(frame), path.unfinished, path.frames))
    count = path.frames
    cut.append(lines.finish(path.finish(), count))
    cut = [line for line in cut if line is not None]
    whole = greedy_path(frames)
    words = "".join("_" if label == separator else str(label) for label in whole.ids)
    spelled = "".join(
        ("" if line.joined else "_") + "".join("_" if label == separator else str(label) for label in line.ids)
        for line in cut
    )
    assert spelled.replace("_", " ").split() == words.replace("_", " ").split()
    for line, after in itertools.pairwise(cut):
        last = max(label.end for label in line.labels if label.label != separator)
        length = line.end - line.labels[0].start
        assert line.end - last >= quiet or length + 6 * len(way) >= longest
        assert last <= line.end == after.begin <= after.labels[0].start
    assert all(line.labels[-1].start - line.labels[0].start <= 2 * longest for line in cut)

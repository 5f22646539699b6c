"""The transducer's loss: against the enumeration of all ways, its gradients against autograd's and differences."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.errors import ShapeError
from recurra.nn import transducer_loss as module
from recurra.nn.transducer_loss import transducer_loss


def operands(seed, batch=2, frames=4, labels=3, joint=5, classes=4, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_()

    targets = torch.randint(1, classes, (batch, labels), generator=generator)
    return (
        normal(batch, frames, joint),
        normal(batch, labels + 1, joint),
        normal(classes, joint),
        normal(classes),
        targets,
        torch.randint(1, frames + 1, (batch,), generator=generator),
        torch.randint(0, labels + 1, (batch,), generator=generator),
    )


def enumerated(encoded, predicted, weight, bias, targets, lengths, target_lengths, blank=0):
    """-log of the sum over all orders of the blanks and the labels, by plain operations that autograd follows."""
    hidden = torch.tanh(encoded[:, :, None] + predicted[:, None])
    log_probabilities = (hidden @ weight.T + bias).log_softmax(-1)
    losses = []
    for row, (frames, labels) in enumerate(zip(lengths.tolist(), target_lengths.tolist(), strict=True)):
        ways = []
        # Which of the steps before the last, a blank, are labels.
        for places in itertools.combinations(range(frames - 1 + labels), labels):
            t = u = 0
            total = encoded.new_zeros(())
            for step in range(frames - 1 + labels):
                if step in places:
                    total = total + log_probabilities[row, t, u, targets[row, u]]
                    u += 1
                else:
                    total = total + log_probabilities[row, t, u, blank]
                    t += 1
            ways.append(total + log_probabilities[row, t, u, blank])
        losses.append(-torch.stack(ways).logsumexp(0))
    return torch.stack(losses)


@settings(max_examples=12)
@given(st.integers(0, 9999), st.integers(1, 5), st.integers(0, 3), st.sampled_from([1, 13, 2**20]))
def test_loss_and_gradients_are_those_of_all_ways(seed, frames, labels, chunk):
    arguments = operands(seed, frames=frames, labels=labels)
    upstream = torch.tensor([0.3, 1.7], dtype=torch.float64)
    expected = enumerated(*arguments)
    gradients = torch.autograd.grad((expected * upstream).sum(), arguments[:4])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", chunk)
        loss = transducer_loss(*arguments)
        ours = torch.autograd.grad((loss * upstream).sum(), arguments[:4])
    torch.testing.assert_close(loss, expected)
    for gradient, known in zip(ours, gradients, strict=True):
        torch.testing.assert_close(gradient, known)


def test_gradients_are_those_of_differences_with_a_blank_of_another_number():
    encoded, predicted, weight, bias, targets, lengths, target_lengths = operands(5)
    targets = torch.where(targets == 2, 0, targets)

    def function(*tensors):
        return transducer_loss(*tensors, targets, lengths, target_lengths, blank=2)

    assert torch.autograd.gradcheck(function, (encoded, predicted, weight, bias))


def test_the_probabilities_of_all_transcripts_of_a_frame_add_up_to_one():
    # With one frame a transcript of U labels has one way; of all transcripts up to 12 labels little is left.
    encoded, _, weight, bias, *_ = operands(2, batch=1, frames=1, classes=3)
    predicted = torch.zeros(1, 1, 5, dtype=torch.float64)
    weight, bias = weight * 0.1, bias * 0.1
    total = 0.0
    for labels in range(13):
        rows = torch.tensor(list(itertools.islice(itertools.product([1, 2], repeat=labels), 2**labels)))
        rows = rows.reshape(2**labels, labels).long()
        losses = transducer_loss(
            encoded.expand(len(rows), -1, -1),
            predicted.expand(len(rows), labels + 1, -1),
            weight,
            bias,
            rows,
            torch.ones(len(rows), dtype=torch.long),
            torch.full((len(rows),), labels),
        )
        total += float((-losses.detach()).exp().sum())
    blank = float((torch.tanh(encoded[0, 0]) @ weight.T + bias).softmax(-1)[0].detach())
    assert total == pytest.approx(1 - (1 - blank) ** 13)


def test_batch_mates_never_matter_and_what_is_past_the_lengths_is_not_looked_at():
    encoded, predicted, weight, bias, targets, lengths, target_lengths = operands(7, 3, 9, 5, dtype=torch.float32)
    lengths, target_lengths = torch.tensor([9, 4, 1]), torch.tensor([5, 2, 0])
    loss = transducer_loss(encoded, predicted, weight, bias, targets, lengths, target_lengths)
    gradient = torch.autograd.grad(loss.sum(), (encoded, predicted))
    assert not gradient[0][1, 4:].any()
    assert not gradient[1][1, 3:].any()
    for row, (frames, labels) in enumerate(zip(lengths.tolist(), target_lengths.tolist(), strict=True)):
        alone = transducer_loss(
            encoded[row : row + 1, :frames],
            predicted[row : row + 1, : labels + 1],
            weight,
            bias,
            targets[row : row + 1, :labels],
            lengths[row : row + 1],
            target_lengths[row : row + 1],
        )
        torch.testing.assert_close(alone[0], loss[row], rtol=1e-6, atol=0)
    spoiled = targets.clone()
    spoiled[1, 2:], spoiled[2] = 0, 99
    again = transducer_loss(encoded, predicted, weight, bias, spoiled, lengths, target_lengths)
    assert torch.equal(loss, again)


def test_confident_networks_have_a_finite_loss():
    encoded, predicted, weight, bias, *rest = operands(1)
    loss = transducer_loss(encoded, predicted, weight * 300, bias, *rest)
    assert loss.isfinite().all()
    assert all(part.isfinite().all() for part in torch.autograd.grad(loss.sum(), (encoded, predicted, weight)))


@pytest.mark.parametrize(
    ("number", "value", "message"),
    [
        (1, torch.zeros(2, 3, 5), r"expected \(B, T, J\)"),
        (5, torch.tensor([0, 2]), "lengths are 1 to 4 here"),
        (6, torch.tensor([0, 4]), "target_lengths are 0 to 3"),
        (4, torch.full((2, 3), 4), "label 4 is not one of 0 to 3 without the blank, 0"),
        (4, torch.zeros(2, 3, dtype=torch.long), "label 0 is not one"),
    ],
)
def test_what_does_not_fit_is_refused(number, value, message):
    arguments = list(operands(0))
    arguments[6] = torch.tensor([3, 3])
    arguments[number] = value
    with pytest.raises(ShapeError, match=message):
        transducer_loss(*arguments)
    assert math.isfinite(float(transducer_loss(*operands(0)).sum().detach()))

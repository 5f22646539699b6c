"""What is read of other occurrences: a mean that neither their order nor empty ones change, and 0 without any."""

import torch

from recurra.models.occurrences import OccurrenceReader, Occurrences


def reader_and(*, most=3, seed=0):
    torch.manual_seed(seed)
    reader = OccurrenceReader(neighbours=4, vector_size=5, columns=3, shapes=10, output_size=6)
    shapes = torch.randint(1, 10, (2, 4, most, 3))
    return reader, Occurrences(torch.randint(0, 20, (2, 4, most, 4)), shapes), torch.randn(20, 5)


def test_it_is_the_layer_of_the_mean():
    reader, (rows, shapes), vectors = reader_and()
    shapes[0, 1, 2] = 0
    shapes[1, 3] = 0
    result = reader(Occurrences(rows, shapes), vectors)
    for row in range(2):
        for step in range(4):
            columns = []
            for k in range(3):
                if shapes[row, step, k, 0]:
                    written = [float(shape == n) for shape in shapes[row, step, k].tolist() for n in range(10)]
                    columns.append(torch.cat([vectors[rows[row, step, k]].flatten(), torch.tensor(written)]))
            if columns:
                mean = torch.cat([torch.stack(columns).mean(0), torch.tensor([float(len(columns))]).log()])
                expected = torch.tanh(reader.linear.weight @ mean + reader.linear.bias)
                assert torch.allclose(result[row, step], expected, atol=1e-5)
            else:
                assert not torch.any(result[row, step])


def test_their_order_and_empty_ones_change_nothing():
    reader, (rows, shapes), vectors = reader_and()
    plain = reader(Occurrences(rows, shapes), vectors)
    assert torch.allclose(reader(Occurrences(rows.flip(2), shapes.flip(2)), vectors), plain, atol=1e-6)
    more = Occurrences(torch.cat([rows, rows], 2), torch.cat([shapes, torch.zeros_like(shapes)], 2))
    assert torch.allclose(reader(more, vectors), plain, atol=1e-6)


def test_without_any_in_the_batch_it_is_zero_and_has_a_gradient():
    reader, (rows, shapes), vectors = reader_and()
    result = reader(Occurrences(rows, torch.zeros_like(shapes)), vectors)
    assert not torch.any(result)
    result.sum().backward()
    assert reader.linear.weight.grad is not None

"""torch.compile and torch.export take a model with recurrent layers whole, and it computes what it did before."""

import io

import pytest
import torch
from torch import nn
from torch._dynamo.backends.registry import lookup_backend
from torch.autograd import forward_ad
from torch.nn.utils.rnn import pack_sequence
from torch.utils._pytree import tree_leaves

from recurra import Recurrent
from recurra.cells import CATALOGUE
from recurra.errors import ShapeError
from recurra.models import LanguageModel
from recurra.nn import compatible

LENGTHS = [5, 2, 3, 1]
TORCH_S_OWN = pytest.mark.filterwarnings(
    "ignore:.*torch.jit:DeprecationWarning", "ignore:The .grad attribute of a Tensor:UserWarning"
)
OPERATORS = ("recurra.recurrence", "recurra.recurrence.default")


@pytest.fixture(autouse=True)
def nothing_compiled():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture
def with_rnns():
    """Without this torch.compile goes around every subclass of torch.nn's RNN, GRU and LSTM."""
    with torch._dynamo.config.patch(allow_rnn=True):
        yield


class Watched:
    """A backend of torch.compile that remembers the graphs it was given."""

    def __init__(self, name="aot_eager"):
        self.graphs, self.backend = [], lookup_backend(name)

    def __call__(self, graph, inputs):
        self.graphs.append(graph)
        return self.backend(graph, inputs)

    @property
    def operators(self):
        """How many cells are run by the operator."""
        return sum(str(node.target) in OPERATORS for graph in self.graphs for node in graph.graph.nodes)


def tensors(values):
    return [t for t in tree_leaves(values) if isinstance(t, torch.Tensor)]


def measured(model, run, given, options):
    """Results and all gradients in training, and results at rest, from the same random numbers."""
    model.zero_grad()
    torch.manual_seed(1)
    leaves = [t.detach().clone().requires_grad_() if t.is_floating_point() else t for t in given]
    outputs = tensors(run(*leaves, **options))
    sum(t.square().sum() for t in outputs).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    gradients += [t.grad for t in leaves if t.is_floating_point()]
    with torch.no_grad():
        model.eval()
        plain = tensors(run(*leaves, **options))
        model.train()
    return [t.detach().clone() for t in [*outputs, *gradients, *plain]]


def check(model, *given, operators, backend="aot_eager", **options):
    """In one graph, that holds so many cells, it computes what it does without; in another that takes no gradients."""
    model = model.double()
    given = [t.double() if t.is_floating_point() else t for t in given]
    expected = measured(model, model, given, options)
    watched = Watched(backend)
    found = measured(model, torch.compile(model, backend=watched, fullgraph=True), given, options)
    assert len(watched.graphs) == 2
    assert watched.operators == 2 * operators
    assert len(found) == len(expected)
    for f, e in zip(found, expected, strict=True):
        torch.testing.assert_close(f, e, rtol=1e-12, atol=1e-12)


@pytest.fixture
def x():
    return torch.randn(4, 5, 3)


# Layers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CATALOGUE)
def test_every_cell(cell, x):
    layer, watched = Recurrent(cell, 3, 5, dtype=torch.float64), Watched("eager")
    torch.testing.assert_close(torch.compile(layer, backend=watched, fullgraph=True)(x.double()), layer(x.double()))
    assert watched.operators == 1


BACKENDS = pytest.mark.parametrize("backend", ["eager", "aot_eager"])
LAYERS = {
    "deep, in both directions": {"num_layers": 2, "bidirectional": True, "dropout": 0.3, "learn_initial_state": True},
    "time first": {"batch_first": False},
    "masks of a sequence and of a step": {"input_dropout": 0.3, "state_dropout": 0.3, "zoneout": 0.3},
    "other matrices and products": {"weight_drop": 0.3, "layer_norm": True},
}


@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS)
def test_every_kind_of_layer(options, x):
    """In training, with what is drawn at random, and at rest."""
    layer = Recurrent("gru", 3, 5, **options)
    check(layer, x, operators=layer.num_layers * layer.num_directions)


@BACKENDS
def test_ragged_batches_and_given_states(backend, x):
    layer = Recurrent("lstm", 3, 5, bidirectional=True)
    state = {key: torch.randn(2, 4, 5, dtype=torch.float64) for key in ("h", "memory")}
    check(layer, x, operators=2, backend=backend, lengths=torch.tensor(LENGTHS), state=state)


def test_lengths_in_a_list(x):
    check(Recurrent("gru", 3, 5), x, operators=1, lengths=LENGTHS)


def test_functions_of_the_input_of_a_ragged_batch(x):
    layer = Recurrent("h[t] = tanh(W @ [h[t-1], tanh(x[t])] + U @ (x[t] * x[t]))", 3, 5)
    check(layer, x, operators=1, lengths=torch.tensor(LENGTHS))


def test_one_sequence_alone(x):
    check(Recurrent("gru", 3, 5), x[0], operators=1)


COMPATIBLE = {
    "rnn": lambda: compatible.RNN(3, 5, nonlinearity="relu"),
    "gru": lambda: compatible.GRU(3, 5, batch_first=True, bidirectional=True),
    "lstm": lambda: compatible.LSTM(3, 5, num_layers=2, dropout=0.3, proj_size=2),
}


@pytest.mark.usefixtures("with_rnns")
@pytest.mark.parametrize("make", COMPATIBLE.values(), ids=COMPATIBLE)
def test_layers_in_place_of_torch_s(make, x):
    layer = make()
    check(layer, x, operators=layer.num_layers * layer._num_directions)


@TORCH_S_OWN
@pytest.mark.parametrize("packed", [False, True])
def test_they_run_though_torch_compile_goes_around_them(packed, x):
    """As it does around torch.nn's."""
    model = nn.ModuleDict({"layer": compatible.LSTM(3, 5), "readout": nn.Linear(5, 2)}).double()

    def run(x):
        given = pack_sequence([row[:n] for row, n in zip(x, LENGTHS, strict=True)], enforce_sorted=False)
        outputs, _ = model["layer"](given if packed else x)
        return model["readout"](outputs.data if packed else outputs)

    expected = measured(model, run, [x.double()], {})
    found = measured(model, torch.compile(run, backend="eager"), [x.double()], {})
    for f, e in zip(found, expected, strict=True):
        torch.testing.assert_close(f, e, rtol=1e-12, atol=1e-12)


# Models --------------------------------------------------------------------------------------------------------------


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.readout = nn.Embedding(11, 3), nn.Linear(10, 4)
        self.recurrent = Recurrent("gru", 3, 5, bidirectional=True, zoneout=0.2)

    def forward(self, tokens, lengths):
        outputs, _ = self.recurrent(self.embedding(tokens), lengths=lengths)
        return torch.log_softmax(self.readout(torch.relu(outputs)), -1)


def test_inside_a_bigger_model():
    check(Tagger(), torch.randint(11, (4, 5)), torch.tensor(LENGTHS), operators=2)


def test_a_language_model():
    options = {"dropout": 0.2, "embedding_dropout": 0.1, "locked_dropout": True, "tie_weights": True}
    model = LanguageModel(11, "gru", embedding_size=3, hidden_size=5, **options)
    check(model, torch.randint(11, (4, 5)), operators=1)


def test_no_break_is_found_by_torch_s_own_search():
    found = torch._dynamo.explain(Tagger())(torch.randint(11, (4, 5)), torch.tensor(LENGTHS))
    assert (found.graph_count, found.graph_break_count) == (1, 0)


# Shapes and numbers that vary ----------------------------------------------------------------------------------------


def test_a_graph_serves_batches_of_all_sizes():
    """With nothing compiled anew, though rows and steps are others each time."""
    layer = Recurrent("lstm", 3, 5, bidirectional=True, zoneout=0.1)
    watched = Watched()
    compiled = torch.compile(layer.eval(), backend=watched, fullgraph=True)
    for batch, steps in [(4, 5), (7, 9), (3, 12), (8, 8)]:
        x, lengths = torch.randn(batch, steps, 3), torch.randint(1, steps + 1, (batch,))
        torch._dynamo.mark_dynamic(x, (0, 1))
        torch._dynamo.mark_dynamic(lengths, 0)
        torch.testing.assert_close(compiled(x, lengths=lengths), layer(x, lengths=lengths))
    assert len(watched.graphs) == 1


@pytest.mark.usefixtures("with_rnns")
def test_so_does_one_of_a_layer_in_place_of_torch_s():
    layer = compatible.GRU(3, 5, num_layers=2, dropout=0.1).eval()
    watched = Watched()
    compiled = torch.compile(layer, backend=watched, fullgraph=True)
    for batch, steps in [(4, 5), (7, 9), (3, 12)]:
        x = torch.randn(steps, batch, 3)
        torch._dynamo.mark_dynamic(x, (0, 1))
        torch.testing.assert_close(compiled(x), layer(x))
    assert len(watched.graphs) == 1


def test_a_length_that_cannot_be_is_refused_as_ever(x):
    layer = Recurrent("gru", 3, 5)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    compiled(x, lengths=torch.tensor(LENGTHS))
    for lengths in ([1, 0, 2, 5], [1, 6, 2, 5]):
        with pytest.raises(ShapeError, match="the length of row 1 is") as expected:
            layer(x, lengths=lengths)
        with pytest.raises(ShapeError) as found:
            compiled(x, lengths=torch.tensor(lengths))
        assert str(found.value) == str(expected.value)


def test_another_cell_is_not_taken_for_the_first(x):
    layers = [Recurrent(cell, 3, 5) for cell in ("gru", "gru-reset-after", "min-gru")]

    def run(layer):
        return layer(x)[0]

    compiled = torch.compile(run, backend="eager", fullgraph=True)
    for layer in layers:
        assert torch.equal(compiled(layer), run(layer))


def test_autocast_changes_nothing(x):
    layer = Recurrent("gru", 3, 5)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs, _ = compiled(x)
        outputs.sum().backward()
    assert torch.equal(outputs, layer(x)[0])


# Export --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_model_is_saved_and_loaded_with_its_operators(strict, x):
    layer = Recurrent("gru", 3, 5, num_layers=2, bidirectional=True, zoneout=0.1).eval()
    batch, steps = torch.export.Dim("batch"), torch.export.Dim("steps")
    program = torch.export.export(
        layer,
        (x,),
        {"lengths": torch.tensor(LENGTHS)},
        dynamic_shapes={"x": {0: batch, 1: steps}, "lengths": {0: batch}},
        strict=strict,
    )
    assert sum(str(node.target) in OPERATORS for node in program.graph.nodes) == 4
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    other, lengths = torch.randn(6, 9, 3), torch.tensor([9, 1, 2, 3, 4, 5])
    found = torch.export.load(file).module()(other, lengths=lengths)
    torch.testing.assert_close(found, layer(other, lengths=lengths))


# Where the reference runs, and says why ------------------------------------------------------------------------------

TRANSFORMS = {
    "grad": lambda f, x: torch.func.grad(lambda y: f(y).sum())(x),
    "vmap": lambda f, x: torch.func.vmap(f)(x.expand(2, *x.shape)),
    "jvp": lambda f, x: torch.func.jvp(f, (x,), (torch.ones_like(x),))[1],
}
EVERY_TRANSFORM = pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)


@TORCH_S_OWN
@EVERY_TRANSFORM
@pytest.mark.parametrize("make", [Recurrent, compatible.GRU], ids=["recurrent", "compatible"])
def test_a_layer_says_why_within_a_transform(make, transform, x):
    layer = make("gru", 3, 5) if make is Recurrent else make(3, 5)
    reasons = []

    def run(x):
        reasons.append(layer.choice().reason)
        return layer(x)[0]

    transform(run, x)
    assert set(reasons) == {
        "cpu: torch.func goes through PyTorch's own operations only; reference: the first that can run this cell"
    }
    assert layer.choice().reason == "cpu: the first that can run this cell"


def test_a_layer_says_why_in_forward_mode(x):
    layer = Recurrent("gru", 3, 5)
    with forward_ad.dual_level():
        assert layer.choice().reason.startswith("cpu: forward-mode differentiation goes through PyTorch's own")
        assert layer.choice().backend.name == "reference"
    assert layer.choice().backend.name == "cpu"


@TORCH_S_OWN
@EVERY_TRANSFORM
def test_a_transform_that_is_compiled(transform, x):
    layer = Recurrent("gru", 3, 5, dtype=torch.float64)

    def run(x):
        return transform(lambda y: layer(y)[0], x)

    x = x[:2, :2].double()
    torch.testing.assert_close(torch.compile(run, backend="eager", fullgraph=True)(x), run(x))


@TORCH_S_OWN
@EVERY_TRANSFORM
def test_a_transform_of_what_was_compiled(transform, x):
    """Compiled once outside of it, and asked again within."""
    layer, x = Recurrent("gru", 3, 5, dtype=torch.float64), x[:2, :2].double()
    compiled = torch.compile(lambda y: layer(y)[0], backend="aot_eager")
    compiled(x)
    torch.testing.assert_close(transform(compiled, x), transform(lambda y: layer(y)[0], x))


def test_a_gradient_of_a_gradient_of_what_was_compiled(x):
    layer, leaf = Recurrent("gru", 3, 5, dtype=torch.float64), x.double().requires_grad_()

    def penalty(run):
        wanted = [leaf, *layer.parameters()]
        first = torch.autograd.grad(run(leaf)[0].square().sum(), wanted, create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in first), wanted)

    expected = penalty(layer)
    torch.testing.assert_close(penalty(torch.compile(layer, backend="eager")), expected, rtol=1e-11, atol=1e-12)
    torch._dynamo.reset()
    with pytest.raises(RuntimeError, match="does not currently support double backward"):
        penalty(torch.compile(layer, backend="aot_eager"))

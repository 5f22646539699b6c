"""The simple recurrent network: a layer that reads its own last output beside the input.

For short contexts, for teaching, and as the plain case that every gated cell is measured against: its gradient
vanishes or explodes with the distance in time.

Elman, "Finding structure in time", Cognitive Science 14(2), 1990.

The context units of the paper are h[t-1]; its logistic units are tanh here, as is usual now and as torch.nn.RNN has
them. torch.nn.RNN adds two biases, which are one here.
"""

from recurra.equations import Cell

RNN = Cell(
    """
    h[t] = tanh(W @ [h[t-1], x[t]] + b)
    """,
    name="rnn",
    title="Simple recurrent network",
    purpose="short contexts, teaching, the plain case that gated cells are measured against",
    paper='Elman, "Finding structure in time", Cognitive Science 14(2), 1990',
    variant="tanh, one bias; as torch.nn.RNN",
)

"""The recurrent network of rectified linear units that begins as the identity.

For sequences over which a plain network's gradient vanishes: at the start every unit carries its value on unchanged,
and so it carries its gradient back. Nothing bounds the units, so clip the gradient.

Le, Jaitly and Hinton, "A simple way to initialize recurrent networks of rectified linear units", arXiv 1504.00941,
2015.

The equations are those of torch.nn.RNN with relu; what makes it the IRNN is how it begins: the recurrent matrix as
the identity, the input matrix with a standard deviation of 0.001, the bias at 0, as in the paper. The two matrices
have a name each, so that each can begin in its own way.
"""

from recurra.equations import Cell

IRNN = Cell(
    """
    h[t] = relu(W_recurrent @ h[t-1] + W_input @ x[t] + b)
    """,
    initial={"W_recurrent": "identity", "W_input": "normal(0.001)"},
    name="irnn",
    title="Identity recurrent network",
    purpose="long contexts with the simplest of cells; clip its gradient",
    paper='Le, Jaitly and Hinton, "A simple way to initialize recurrent networks of rectified linear units", 2015',
    variant="relu; begins as the identity",
)

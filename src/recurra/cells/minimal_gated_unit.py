"""The gated recurrent unit with one gate that does the work of both.

For tasks of the GRU at two thirds of its cost.

Zhou, Wu, Zhang and Zhou, "Minimal gated unit for recurrent neural networks", International Journal of Automation and
Computing 13(3), 2016.

As in the paper the gate is called forget, and the more it is open the more is replaced. It is the GRU of `gru` with
one gate for update and relevance.
"""

from recurra.equations import Cell

MinimalGatedUnit = Cell(
    """
    forget[t]    = sigmoid(W_forget @ [h[t-1], x[t]] + b_forget)
    candidate[t] = tanh(W_candidate @ [forget[t] * h[t-1], x[t]] + b_candidate)
    h[t]         = (1 - forget[t]) * h[t-1] + forget[t] * candidate[t]
    """,
    name="minimal-gated-unit",
    title="Minimal gated unit",
    purpose="as the GRU, at two thirds of its cost",
    paper=(
        "Zhou, Wu, Zhang and Zhou, "
        '"Minimal gated unit for recurrent neural networks", International Journal of Automation and Computing 13(3), '
        "2016"
    ),
    variant="one gate for both of the GRU's",
)

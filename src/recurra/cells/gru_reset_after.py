"""The gated recurrent unit with its reset gate after the recurrent product.

For the same tasks as the GRU where speed or weights from other libraries count: all three recurrent products read
h[t-1] itself, so they can be done as one.

Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation", EMNLP
2014, in the form of cuDNN and torch.nn.GRU (Chetlur et al., "cuDNN: efficient primitives for deep learning", 2014).

The names are torch's: the gate is `reset`, the update gate multiplies h[t-1], and the recurrent bias of the candidate
stands inside the product with the reset gate, so it cannot be merged with the other. ONNX calls this form
`linear_before_reset` 1; for the form of the paper see `gru`.
"""

from recurra.equations import Cell

GRUResetAfter = Cell(
    """
    reset[t]     = sigmoid(W_reset @ [h[t-1], x[t]] + b_reset)
    update[t]    = sigmoid(W_update @ [h[t-1], x[t]] + b_update)
    candidate[t] = tanh(W_candidate @ x[t] + b_candidate + reset[t] * (W_recurrent @ h[t-1] + b_recurrent))
    h[t]         = (1 - update[t]) * candidate[t] + update[t] * h[t-1]
    """,
    name="gru-reset-after",
    title="GRU, reset after the product",
    purpose="as the GRU, where speed or torch.nn.GRU's weights count",
    paper=(
        "Cho et al., "
        '"Learning phrase representations using RNN encoder-decoder for statistical machine translation", EMNLP 2014'
    ),
    variant="reset gate after the product; as torch.nn.GRU and cuDNN",
)

"""The gated recurrent unit: one gate says how much is renewed, another what of the past the new value may read.

For most sequence tasks: it holds on over long spans as the LSTM does, with one state and three products instead of
two and four.

Cho, van Merriënboer, Gulcehre, Bahdanau, Bougares, Schwenk and Bengio, "Learning phrase representations using RNN
encoder-decoder for statistical machine translation", EMNLP 2014.

This is the paper's form: the relevance gate (its reset gate r) acts on h[t-1] before the product. torch.nn.GRU and
cuDNN apply it after, which is `gru-reset-after`; ONNX has both (`linear_before_reset`, 0 for this one). The update
gate multiplies the candidate, as in Chung, Gulcehre, Cho and Bengio 2014; in Cho et al., torch.nn and ONNX it
multiplies h[t-1], so its weights have the opposite sign there.
"""

from recurra.equations import Cell

GRU = Cell(
    """
    update[t]    = sigmoid(W_update @ [h[t-1], x[t]] + b_update)
    relevance[t] = sigmoid(W_relevance @ [h[t-1], x[t]] + b_relevance)
    candidate[t] = tanh(W_candidate @ [relevance[t] * h[t-1], x[t]] + b_candidate)
    h[t]         = update[t] * candidate[t] + (1 - update[t]) * h[t-1]
    """,
    name="gru",
    title="Gated recurrent unit",
    purpose="most sequence tasks; long spans with one state",
    paper=(
        "Cho et al., "
        '"Learning phrase representations using RNN encoder-decoder for statistical machine translation", EMNLP 2014'
    ),
    variant="relevance gate before the product; update multiplies the candidate",
)

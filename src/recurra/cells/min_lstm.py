"""Long short-term memory without recurrent products, in which forgetting and writing add up to 1.

For long sequences, as minGRU, with a gate more: everything but h[t] itself is one product over all steps.

Feng, Tung, Ahmed, Bengio and Hajimirsadeghi, "Were RNNs all we needed?", arXiv 2410.01201, 2024.

The paper divides two gates by their sum: f / (f + i) and i / (f + i), with f = sigmoid(a), i = sigmoid(b). The first
is written sigmoid(log_sigmoid(a) - log_sigmoid(b)) here, which is the same number and cannot become 0 / 0, and the
second is 1 less it. The candidate is linear; the paper's log-space form keeps it positive.
"""

from recurra.equations import Cell

MinLSTM = Cell(
    """
    log_forget[t] = log_sigmoid(W_forget @ x[t] + b_forget)
    log_input[t]  = log_sigmoid(W_input @ x[t] + b_input)
    forget[t]     = sigmoid(log_forget[t] - log_input[t])
    candidate[t]  = W_candidate @ x[t] + b_candidate
    h[t]          = forget[t] * h[t-1] + (1 - forget[t]) * candidate[t]
    """,
    initial={"b_forget": 1.0},
    name="min-lstm",
    title="LSTM without recurrent products",
    purpose="long sequences; nearly all of its work leaves the time loop",
    paper='Feng, Tung, Ahmed, Bengio and Hajimirsadeghi, "Were RNNs all we needed?", 2024',
    variant="gates divided by their sum, by way of their logarithms; linear candidate",
)

"""The gated recurrent unit without recurrent products: its gate and candidate read the input alone.

For long sequences: everything but h[t] itself is one product over all steps, and the recurrence left over is linear
in h[t-1], so it could also be computed as a scan. What it cannot do is let the past decide what to keep; stack layers.

Feng, Tung, Ahmed, Bengio and Hajimirsadeghi, "Were RNNs all we needed?", arXiv 2410.01201, 2024.

This is the paper's first form, with a linear candidate. Its other form, for computing in log space, keeps candidates
positive: x + 0.5 above 0, sigmoid(x) below.
"""

from recurra.equations import Cell

MinGRU = Cell(
    """
    update[t]    = sigmoid(W_update @ x[t] + b_update)
    candidate[t] = W_candidate @ x[t] + b_candidate
    h[t]         = (1 - update[t]) * h[t-1] + update[t] * candidate[t]
    """,
    name="min-gru",
    title="GRU without recurrent products",
    purpose="long sequences; nearly all of its work leaves the time loop",
    paper='Feng, Tung, Ahmed, Bengio and Hajimirsadeghi, "Were RNNs all we needed?", 2024',
    variant="linear candidate, not the positive one of the log-space form",
)

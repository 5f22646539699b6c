"""Well-known cells, written out for tests of the language and of the backends; the catalogue has its own suite."""

from recurra.equations import Cell

__all__ = ["CLASSICAL"]

CLASSICAL: dict[str, Cell] = {
    "rnn": Cell("h[t] = tanh(W @ [h[t-1], x[t]] + b)"),
    "gru": Cell("""
        update[t]    = sigmoid(W_update @ [h[t-1], x[t]] + b_update)
        relevance[t] = sigmoid(W_relevance @ [h[t-1], x[t]] + b_relevance)
        candidate[t] = tanh(W_candidate @ [relevance[t] * h[t-1], x[t]] + b_candidate)
        h[t]         = update[t] * candidate[t] + (1 - update[t]) * h[t-1]
    """),
    "gru, reset after": Cell("""
        reset[t]  = sigmoid(W_reset @ x[t] + c_reset + U_reset @ h[t-1] + b_reset)
        update[t] = sigmoid(W_update @ x[t] + c_update + U_update @ h[t-1] + b_update)
        new[t]    = tanh(W_new @ x[t] + c_new + reset[t] * (U_new @ h[t-1] + b_new))
        h[t]      = (1 - update[t]) * new[t] + update[t] * h[t-1]
    """),
    "lstm": Cell("""
        update[t]    = sigmoid(W_update @ [h[t-1], x[t]] + b_update)
        forget[t]    = sigmoid(W_forget @ [h[t-1], x[t]] + b_forget)
        output[t]    = sigmoid(W_output @ [h[t-1], x[t]] + b_output)
        candidate[t] = tanh(W_candidate @ [h[t-1], x[t]] + b_candidate)
        c[t]         = forget[t] * c[t-1] + update[t] * candidate[t]
        h[t]         = output[t] * tanh(c[t])
    """),
    "peephole lstm": Cell("""
        update[t] = sigmoid(W_update @ [h[t-1], x[t]] + p_update * c[t-1] + b_update)
        forget[t] = sigmoid(W_forget @ [h[t-1], x[t]] + p_forget * c[t-1] + b_forget)
        c[t]      = forget[t] * c[t-1] + update[t] * tanh(W_cell @ [h[t-1], x[t]] + b_cell)
        output[t] = sigmoid(W_output @ [h[t-1], x[t]] + p_output * c[t] + b_output)
        h[t]      = output[t] * tanh(c[t])
    """),
    "antisymmetric": Cell(
        "h[t] = h[t-1] + step_size * tanh(W @ h[t-1] - transpose(W) @ h[t-1] - friction * h[t-1] + V @ x[t] + b)",
        constants={"step_size": 0.1, "friction": 0.01},
    ),
    "oscillators": Cell(
        """
        z[t] = z[t-1] + dt * (tanh(W @ [h[t-1], z[t-1], x[t]] + b) - g * h[t-1] - e * z[t-1])
        h[t] = h[t-1] + dt * z[t]
        """,
        constants={"dt": 0.1, "g": 1.5, "e": 0.5},
    ),
    "exponential gates, stabilised": Cell("""
        update[t]     = W_update @ [h[t-1], x[t]] + b_update
        forget[t]     = log_sigmoid(W_forget @ [h[t-1], x[t]] + b_forget)
        stabiliser[t] = maximum(forget[t] + stabiliser[t-1], update[t])
        kept[t]       = exp(forget[t] + stabiliser[t-1] - stabiliser[t])
        added[t]      = exp(update[t] - stabiliser[t])
        c[t]          = kept[t] * c[t-1] + added[t] * tanh(W_cell @ [h[t-1], x[t]] + b_cell)
        n[t]          = kept[t] * n[t-1] + added[t]
        h[t]          = sigmoid(W_output @ [h[t-1], x[t]] + b_output) * c[t] / (n[t] + 1)
    """),
    "further back": Cell("h[t] = tanh(W @ [h[t-1], h[t-3], x[t]] + 0.5 * h[t-2] + b)"),
}

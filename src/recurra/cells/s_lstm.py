"""The sLSTM of xLSTM: a memory whose input gate is an exponential, and which is read divided by what went in.

For tasks that must revise what they stored: a strong input can outweigh all the past, which a gate that ends at 1
cannot say. What is read is a weighted mean of the candidates, so it stays between -1 and 1.

Beck, Pöppel, Spanring, Auer, Prudnikova, Kopp, Klambauer, Brandstetter and Hochreiter, "xLSTM: extended long
short-term memory", NeurIPS 2024.

The forget gate may be a sigmoid or an exponential in the paper; here, as by default in its code, it is a sigmoid.
Memory and normaliser are kept divided by exp(stabiliser), so that no exponential exceeds 1; the division leaves
memory / normaliser as it is. A unit has started once its normaliser is above 0. Before that there is nothing to keep,
and the stabiliser is the input's logarithm alone, as in the paper's code: the first normaliser is then exactly 1,
no later one is smaller, and nothing overflows however large the gates. Recurrent matrices are full (one head), and
there is no convolution before the gates.

memory, normaliser and stabiliser are one state in three parts. A modifier that would keep one without the others,
such as zoneout, should be given a rate for h alone.
"""

from recurra.equations import Cell

SLSTM = Cell(
    """
    log_input[t]  = W_input @ [h[t-1], x[t]] + b_input
    log_forget[t] = log_sigmoid(W_forget @ [h[t-1], x[t]] + b_forget)
    candidate[t]  = tanh(W_candidate @ [h[t-1], x[t]] + b_candidate)
    output[t]     = sigmoid(W_output @ [h[t-1], x[t]] + b_output)
    log_kept[t]   = log_forget[t] + stabiliser[t-1]
    started[t]    = step(normaliser[t-1])
    stabiliser[t] = started[t] * maximum(log_kept[t], log_input[t]) + (1 - started[t]) * log_input[t]
    input[t]      = exp(log_input[t] - stabiliser[t])
    forget[t]     = exp(minimum(log_kept[t] - stabiliser[t], 0))
    memory[t]     = forget[t] * memory[t-1] + input[t] * candidate[t]
    normaliser[t] = forget[t] * normaliser[t-1] + input[t]
    h[t]          = output[t] * memory[t] / normaliser[t]
    """,
    initial={"b_forget": 1.0},
    name="s-lstm",
    title="sLSTM of xLSTM",
    purpose="revising what was stored: exponential input gate",
    paper='Beck et al., "xLSTM: extended long short-term memory", NeurIPS 2024',
    variant="sigmoid forget gate, one head, no convolution",
)

"""Long short-term memory: a memory that is only ever scaled and added to, with a gate for each way in and out.

For most sequence tasks, long spans above all: the gradient along the memory is multiplied by the forget gate alone.

Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997; the forget gate is that of Gers,
Schmidhuber and Cummins, "Learning to forget: continual prediction with LSTM", Neural Computation 12(10), 2000.

This is the form without peepholes that torch.nn.LSTM has, whose two biases are one here. The forget bias begins at 1
(Jozefowicz, Zaremba and Sutskever, "An empirical exploration of recurrent network architectures", ICML 2015), so
that the memory holds before it has learned to; in torch.nn.LSTM it begins near 0.
"""

from recurra.equations import Cell

LSTM = Cell(
    """
    input[t]     = sigmoid(W_input @ [h[t-1], x[t]] + b_input)
    forget[t]    = sigmoid(W_forget @ [h[t-1], x[t]] + b_forget)
    candidate[t] = tanh(W_candidate @ [h[t-1], x[t]] + b_candidate)
    output[t]    = sigmoid(W_output @ [h[t-1], x[t]] + b_output)
    memory[t]    = forget[t] * memory[t-1] + input[t] * candidate[t]
    h[t]         = output[t] * tanh(memory[t])
    """,
    initial={"b_forget": 1.0},
    name="lstm",
    title="Long short-term memory",
    purpose="most sequence tasks, long spans above all",
    paper='Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997',
    variant="forget gate (Gers et al. 2000), no peepholes; as torch.nn.LSTM",
)

"""Long short-term memory that forgets exactly what it replaces (CIFG, coupled input and forget gates).

For the tasks of the LSTM at three quarters of its cost; in a large comparison of variants it did about as well.

Greff, Srivastava, Koutník, Steunebrink and Schmidhuber, "LSTM: a search space odyssey", IEEE Transactions on Neural
Networks and Learning Systems 28(10), 2017.

The forget gate is 1 - input, as in the paper, whose cell also has peepholes; here there are none. The input bias
begins at -1, which is a forget bias of 1.
"""

from recurra.equations import Cell

CoupledLSTM = Cell(
    """
    input[t]     = sigmoid(W_input @ [h[t-1], x[t]] + b_input)
    candidate[t] = tanh(W_candidate @ [h[t-1], x[t]] + b_candidate)
    output[t]    = sigmoid(W_output @ [h[t-1], x[t]] + b_output)
    memory[t]    = (1 - input[t]) * memory[t-1] + input[t] * candidate[t]
    h[t]         = output[t] * tanh(memory[t])
    """,
    initial={"b_input": -1.0},
    name="coupled-lstm",
    title="LSTM with coupled gates (CIFG)",
    purpose="as the LSTM, at three quarters of its cost",
    paper=(
        "Greff, Srivastava, Koutník, Steunebrink and Schmidhuber, "
        '"LSTM: a search space odyssey", IEEE Transactions on Neural Networks and Learning Systems 28(10), 2017'
    ),
    variant="forget is 1 - input; no peepholes",
)

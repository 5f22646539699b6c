"""The gated network for the smallest devices: gate and candidate share their matrices.

For keyword spotting and other work in a few kilobytes: the cost of a plain network, with a gate.

Kusupati, Singh, Bhatia, Kumar, Jain and Varma, "FastGRNN: a fast, accurate, stable and tiny kilobyte sized gated
recurrent neural network", NeurIPS 2018.

The paper's zeta and nu are two numbers between 0 and 1 for the whole layer; here they are a vector each, a number a
unit, taken through sigmoid as in its code, and they begin there too (1 and -4, both biases at 1). The paper goes on
to make the matrices low-rank, sparse and quantised, which is no matter of the equations.
"""

from recurra.equations import Cell

FastGRNN = Cell(
    """
    shared[t]    = W @ [h[t-1], x[t]]
    update[t]    = sigmoid(shared[t] + b_update)
    candidate[t] = tanh(shared[t] + b_candidate)
    h[t]         = (sigmoid(zeta) * (1 - update[t]) + sigmoid(nu)) * candidate[t] + update[t] * h[t-1]
    """,
    initial={"zeta": 1.0, "nu": -4.0, "b_update": 1.0, "b_candidate": 1.0},
    name="fast-grnn",
    title="Fast gated recurrent network",
    purpose="the smallest devices; a gate for the cost of a plain network",
    paper=(
        "Kusupati, Singh, Bhatia, Kumar, Jain and Varma, "
        '"FastGRNN: a fast, accurate, stable and tiny kilobyte sized gated recurrent neural network", NeurIPS 2018'
    ),
    variant="zeta and nu are per-unit vectors; full matrices",
)

"""The independently recurrent network: each unit reads its own past and no other unit's.

For very long sequences and deep stacks: a unit's gradient over k steps is its own weight to the power k, so keeping
the weights near 1 keeps it alive. Units meet in the next layer, so use at least two.

Li, Li, Cook, Zhu and Gao, "Independently recurrent neural network (IndRNN): building a longer and deeper RNN", CVPR
2018.

The paper's own form, relu. It clips |w_recurrent| during training to 2^(1/T) over T steps; here the weights begin
uniformly between 0 and 1 and are not clipped. The input matrix begins as He et al. 2015 have it for relu.
"""

from recurra.equations import Cell

IndRNN = Cell(
    """
    h[t] = relu(W @ x[t] + w_recurrent * h[t-1] + b)
    """,
    initial={"w_recurrent": "uniform(0, 1)", "W": "he"},
    name="ind-rnn",
    title="Independently recurrent network",
    purpose="very long sequences and deep stacks; use two layers or more",
    paper=(
        "Li, Li, Cook, Zhu and Gao, "
        '"Independently recurrent neural network (IndRNN): building a longer and deeper RNN", CVPR 2018'
    ),
    variant="relu; recurrent weights begin between 0 and 1 and are not clipped",
)

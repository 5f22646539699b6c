"""The antisymmetric network: a step of a differential equation that neither grows nor forgets.

For long contexts without gates: W - transpose(W) has imaginary eigenvalues only, so the state turns and keeps its
length; the diffusion draws them a little to the left, which steadies the discrete steps.

Chang, Chen, Haber and Chi, "AntisymmetricRNN: a dynamical system view on recurrent neural networks", ICLR 2019.

The paper's first form, without its gate. `step_size` is its epsilon and `diffusion` its gamma; both are 0.1, within
the ranges it searched (0.01 to 1 and 0.001 to 1). A longer memory wants a smaller step.
"""

from recurra.equations import Cell

AntisymmetricRNN = Cell(
    """
    turn[t] = W_recurrent @ h[t-1] - transpose(W_recurrent) @ h[t-1] - diffusion * h[t-1]
    h[t]    = h[t-1] + step_size * tanh(turn[t] + W_input @ x[t] + b)
    """,
    constants={"step_size": 0.1, "diffusion": 0.1},
    name="antisymmetric-rnn",
    title="Antisymmetric recurrent network",
    purpose="long contexts without gates; stable by construction",
    paper=(
        "Chang, Chen, Haber and Chi, "
        '"AntisymmetricRNN: a dynamical system view on recurrent neural networks", ICLR 2019'
    ),
    variant="ungated; step size 0.1, diffusion 0.1",
)

"""The coupled oscillatory network: each unit is a damped oscillator, driven by the input and by the others.

For long sequences: the equations bound both the state and its gradient.

Rusch and Mishra, "Coupled oscillatory recurrent neural network (coRNN): an accurate and (gradient) stable
architecture for learning long time dependencies", ICLR 2021.

h is the paper's y, velocity its z, `time_step`, `frequency` and `damping` its dt, gamma and epsilon. The velocity
moves first and the new one moves h. Of the two discretisations in the paper this is the one whose damping reads
velocity[t-1], which is also that of its code; the other reads velocity[t]. The constants are those of its code for
sequential MNIST; it gives others for every task, and they matter.
"""

from recurra.equations import Cell

CoRNN = Cell(
    """
    force[t]    = tanh(W @ [h[t-1], velocity[t-1], x[t]] + b)
    velocity[t] = velocity[t-1] + time_step * (force[t] - frequency * h[t-1] - damping * velocity[t-1])
    h[t]        = h[t-1] + time_step * velocity[t]
    """,
    constants={"time_step": 0.042, "frequency": 2.7, "damping": 4.7},
    name="co-rnn",
    title="Coupled oscillatory network",
    purpose="long sequences, smooth signals; bounded state and gradient",
    paper=(
        "Rusch and Mishra, "
        '"Coupled oscillatory recurrent neural network (coRNN): '
        'an accurate and (gradient) stable architecture for learning long time dependencies", ICLR 2021'
    ),
    variant="explicit damping; the constants of sequential MNIST",
)

"""The leaky-integrator echo state cell: a fixed random reservoir that the input stirs.

For forecasting chaotic and periodic signals in seconds: nothing in the cell is trained, only a linear readout.

Jaeger, Lukoševičius, Popovici and Siewert, "Optimization and applications of echo state networks with
leaky-integrator neurons", Neural Networks 20(3), 2007.

The form of Lukoševičius, "A practical guide to applying echo state networks", 2012: one leak for forgetting and
stirring, no feedback from the readout. At a leak of 1 it is a plain network. The reservoir begins with a spectral
radius of 0.9; the layer that uses it says how sparse it is. Another leak: `EchoState.replace(
list(EchoState.equations), constants={"leak": 0.5})`.
"""

from recurra.equations import Cell

EchoState = Cell(
    """
    stirred[t] = tanh(W_reservoir @ h[t-1] + W_input @ x[t] + b)
    h[t]       = (1 - leak) * h[t-1] + leak * stirred[t]
    """,
    constants={"leak": 0.3},
    initial={"W_reservoir": "spectral_radius(0.9)", "W_input": "uniform(-0.5, 0.5)", "b": "uniform(-0.5, 0.5)"},
    name="echo-state",
    title="Leaky-integrator echo state cell",
    purpose="forecasting signals with a fixed reservoir and a linear readout",
    paper=(
        "Jaeger, Lukoševičius, Popovici and Siewert, "
        '"Optimization and applications of echo state networks with leaky-integrator neurons", '
        "Neural Networks 20(3), 2007"
    ),
    variant="one leak (0.3), no feedback",
)

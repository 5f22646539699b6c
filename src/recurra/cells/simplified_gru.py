"""The gated recurrent unit with its update gate alone.

For explaining what a gate does, one at a time, and as a GRU that costs a third less: in several speech tasks the
second gate was found to be redundant.

Ravanelli, Brakel, Omologo and Bengio, "Improving speech recognition by revising gated recurrent units", Interspeech
2017, which takes the reset gate out of Cho et al. 2014.

The paper goes on to change tanh for relu and to normalise, which is the Li-GRU (`li-gru`); here tanh stays. As in
Chung et al. 2014 the update gate multiplies the candidate; in Cho et al., and in torch.nn.GRU, it multiplies h[t-1].
"""

from recurra.equations import Cell

SimplifiedGRU = Cell(
    """
    update[t]    = sigmoid(W_update @ [h[t-1], x[t]] + b_update)
    candidate[t] = tanh(W_candidate @ [h[t-1], x[t]] + b_candidate)
    h[t]         = update[t] * candidate[t] + (1 - update[t]) * h[t-1]
    """,
    name="simplified-gru",
    title="Simplified gated recurrent unit",
    purpose="explaining gates one at a time; a GRU for a third less",
    paper=(
        "Ravanelli, Brakel, Omologo and Bengio, "
        '"Improving speech recognition by revising gated recurrent units", Interspeech 2017'
    ),
    variant="update gate only, tanh",
)

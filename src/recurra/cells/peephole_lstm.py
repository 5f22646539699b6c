"""Long short-term memory whose gates see the memory they guard.

For tasks of timing and counting: a gate of the plain LSTM sees the memory only through the output gate, and is blind
while that is shut.

Gers, Schraudolph and Schmidhuber, "Learning precise timing with LSTM recurrent networks", Journal of Machine Learning
Research 3, 2002.

Each gate reads its own unit's memory through one weight; the output gate sees memory[t], the others memory[t-1]. As
in Greff et al. 2017 and in ONNX (input P) the candidate and the output go through tanh, where the paper lets the
memory out as it is. The peepholes begin at 0: the cell starts as a plain LSTM, whose gates the unbounded memory
cannot push into saturation, and each weight still learns from the first step, for its gradient is the memory itself.
"""

from recurra.equations import Cell

PeepholeLSTM = Cell(
    """
    input[t]     = sigmoid(W_input @ [h[t-1], x[t]] + peephole_input * memory[t-1] + b_input)
    forget[t]    = sigmoid(W_forget @ [h[t-1], x[t]] + peephole_forget * memory[t-1] + b_forget)
    candidate[t] = tanh(W_candidate @ [h[t-1], x[t]] + b_candidate)
    memory[t]    = forget[t] * memory[t-1] + input[t] * candidate[t]
    output[t]    = sigmoid(W_output @ [h[t-1], x[t]] + peephole_output * memory[t] + b_output)
    h[t]         = output[t] * tanh(memory[t])
    """,
    initial={"b_forget": 1.0, "peephole_input": 0.0, "peephole_forget": 0.0, "peephole_output": 0.0},
    name="peephole-lstm",
    title="LSTM with peepholes",
    purpose="timing and counting: the gates see the memory",
    paper=(
        "Gers, Schraudolph and Schmidhuber, "
        '"Learning precise timing with LSTM recurrent networks", Journal of Machine Learning Research 3, 2002'
    ),
    variant="a weight a unit; the output gate sees memory[t]; as ONNX's LSTM with P",
)

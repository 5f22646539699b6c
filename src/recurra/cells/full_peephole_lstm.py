"""Long short-term memory whose gates see the memory of every unit.

For comparing with the per-unit peepholes, and for the many texts that draw the gates as reading [h, x, memory] side
by side: there each gate has a whole matrix for the memory.

Gers and Schmidhuber, "Recurrent nets that time and count", IJCNN 2000, introduced peepholes, from each memory to its
own gates; no paper of note is about the full matrices, and Graves ("Generating sequences with recurrent neural
networks", 2013) states that his are diagonal.

With diagonal matrices it is `peephole-lstm`. They stand apart from the others, so that they can begin at 0: the cell
then starts as a plain LSTM, for the reasons given there.
"""

from recurra.equations import Cell

FullPeepholeLSTM = Cell(
    """
    input[t]     = sigmoid(W_input @ [h[t-1], x[t]] + peephole_input @ memory[t-1] + b_input)
    forget[t]    = sigmoid(W_forget @ [h[t-1], x[t]] + peephole_forget @ memory[t-1] + b_forget)
    candidate[t] = tanh(W_candidate @ [h[t-1], x[t]] + b_candidate)
    memory[t]    = forget[t] * memory[t-1] + input[t] * candidate[t]
    output[t]    = sigmoid(W_output @ [h[t-1], x[t]] + peephole_output @ memory[t] + b_output)
    h[t]         = output[t] * tanh(memory[t])
    """,
    initial={"b_forget": 1.0, "peephole_input": "zeros", "peephole_forget": "zeros", "peephole_output": "zeros"},
    name="full-peephole-lstm",
    title="LSTM with full-matrix peepholes",
    purpose="comparing with per-unit peepholes: each gate sees every unit's memory",
    paper='Gers and Schmidhuber, "Recurrent nets that time and count", IJCNN 2000',
    variant="a matrix a gate; the output gate sees memory[t]",
)

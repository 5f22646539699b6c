"""Machine code for ordinary processors: every cell compiled, forward and backward, by LLVM.

- `target`: the processor that code is written for
- `mathematics`: exp, tanh and the others on vectors
- `emit`: the loops of a plan as LLVM IR
- `library`: compiled code, kept in the process and on disk
- `run`: the compiled loops as an operation that PyTorch differentiates through
"""

"""From the step graph to results: each backend renders the same graph for one target.

`reference` is plain PyTorch and is the truth that every other backend is tested against. `choose` picks one and can
say why.
"""

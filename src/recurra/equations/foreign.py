"""What papers and other libraries write, and what stands for it here; for messages.

Each remedy is a sentence that names the text to write, or says that there is none and what is done instead.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["FUNCTION_REMEDIES", "SIGN_REMEDIES", "remedy_for_function"]

_UNIT_BY_UNIT = "A product unit by unit is written a * b, one with a matrix W @ v."
_MINUS = "A minus sign is written - (the hyphen of the keyboard)."

SIGN_REMEDIES: Mapping[str, str] = {
    **dict.fromkeys("⊙∘·×∙⋅∗⊗•", _UNIT_BY_UNIT),
    **dict.fromkeys("−–—‐‑﹣－", _MINUS),
    **dict.fromkeys("÷∕⁄", "A division is written a / b."),
    **dict.fromkeys("⊕＋", "A sum is written a + b, a concatenation W @ [a, b]."),
    **dict.fromkeys("ᵀ⊤", "A transposed matrix is written transpose(W) @ v."),
    **dict.fromkeys("²³⁴⁵", "A power is written a ** 2."),
    **dict.fromkeys("ₜ₋₊⁻¹", "A time index stands in brackets: h[t], h[t-1]."),
    **dict.fromkeys("₀₁₂₃₄₅₆₇₈₉", "A number in a name is written W_1, a time index in brackets: h[t-1]."),
    **dict.fromkeys("←≔≡", "A line is written name[t] = expression."),
    **dict.fromkeys("√∛", "A square root is written sqrt(a)."),
    **dict.fromkeys("‖∥", "A norm over the units is written sqrt(mean(a * a)), up to the square root of their number."),
    **dict.fromkeys("∑∏", "There is no sum over units; mean(a) is the mean over them, in every unit."),
    **dict.fromkeys("≤≥≠", "There are no comparisons; step(a - b) is 1 where a > b, else 0."),
    **dict.fromkeys("\u201c\u201d\u2018\u2019", "There are no strings; names and numbers stand as they are."),
    **dict.fromkeys("，；", "Lines end with a new line; the parts of a concatenation are set apart by a comma (,)."),
    "\\": "LaTeX is not read: write names and functions as words, such as sigmoid(a), and a * b for \\odot.",
}
"""For signs as they are printed: what to write."""


def _say(text: str) -> dict[str, str]:
    """Rows `name name ...: remedy` as a table from each name to its remedy."""
    rows = (line.split(": ", 1) for line in text.strip().splitlines())
    return {name: remedy for names, remedy in rows for name in names.split()}


FUNCTION_REMEDIES: Mapping[str, str] = _say("""
add plus: A sum is written a + b.
sub subtract minus: A difference is written a - b.
mul multiply times hadamard: A product unit by unit is written a * b.
div divide truediv: A division is written a / b.
neg negate negative: The negative of a is written -a.
pow power: A power is written a ** 2, with a fixed number as exponent.
matmul mm bmm mv linear dense affine: A product with a learned matrix is written W @ v, with a bias W @ v + b.
dot inner einsum vdot bilinear: There is none; mean(a * b) is the dot product over the width, in every unit.
outer kron: There is none: a state is a vector; its columns can be written as states of their own.
cat concat concatenate stack hstack vstack: A concatenation stands right of a matrix: W @ [a, b].
sum nansum reduce_sum: There is none over units; mean(a) is the mean over them, in every unit.
prod cumsum cumprod logsumexp: There is none; mean(a), the mean over the units, is the one function over units.
average avg reduce_mean: The mean over the units is written mean(a).
var variance: The variance over the units is written mean(square(a - mean(a))).
std deviation: The standard deviation over the units is written sqrt(mean(square(a - mean(a)))).
norm: The norm of a over the root of its width is written sqrt(mean(square(a))).
rms_norm rmsnorm: It is written a / sqrt(mean(square(a)) + 1e-6).
batch_norm batchnorm: There is none, since a step knows no batch; layer_norm(a) normalises over the units.
layernorm normalize normalise: It is called layer_norm(a).
max amax: The greater of two is written maximum(a, b); over units there is none.
min amin: The smaller of two is written minimum(a, b); over units there is none.
clip clamp: It is written minimum(maximum(a, -1), 1), with your bounds.
softmax log_softmax sparsemax: There is none; exp(a) / mean(exp(a)) is the softmax over units times their number.
argmax argmin topk sort: There is none: no gradient passes through it.
if_else ifelse cond select: It is written where(c, a, b): a where c > 0, else b.
heaviside threshold greater: It is step(a): 1 where a > 0, else 0.
sgn signum: It is called sign(a).
absolute fabs: It is called abs(a).
logistic sigm sig expit logsig σ: It is called sigmoid(a).
logsigmoid: It is called log_sigmoid(a).
hardtanh: It is called hard_tanh(a).
hardsigmoid: It is called hard_sigmoid(a).
leakyrelu lrelu: It is called leaky_relu(a).
swish: It is called silu(a).
mish: It is written a * tanh(softplus(a)).
relu6: It is written minimum(relu(a), 6).
selu: It is written 1.0507 * (maximum(a, 0) + 1.6733 * (exp(minimum(a, 0)) - 1)).
φ ϕ ψ f g: Name the function that it stands for, such as tanh(a).
ln: The natural logarithm is written log(a).
log2 log10: It is written log(a) / log(10), with your base.
log1p: It is written log(1 + a).
expm1: It is written exp(a) - 1.
exp2: It is written exp(a * log(2)).
sqr: It is called square(a).
cube: It is written a ** 3.
rsqrt: It is written 1 / sqrt(a).
reciprocal inverse inv: It is written 1 / a, unit by unit.
sine: It is called sin(a).
cosine: It is called cos(a).
tan: It is written sin(a) / cos(a).
sinh: It is written (exp(a) - exp(-a)) / 2.
cosh: It is written (exp(a) + exp(-a)) / 2.
arctan atan atan2 arcsin asin arccos acos: There is none; tanh(a) and softsign(a) are bounded likewise.
arctanh atanh asinh acosh: There is none; it can be written with log(a) and sqrt(a).
erf erfc: There is none; gelu(a) is in the table.
floor ceil round trunc mod fmod remainder: There is none; step(a) is 1 where a > 0, else 0.
roll shift flip permute gather index_select: There is none: units are not moved; a matrix can do it, W @ a.
conv conv1d conv2d convolve: There is none; earlier values are read as a[t-1], a[t-2], each with its weight.
dropout: It belongs to the layer: Recurrent(..., dropout=, input_dropout=, state_dropout=).
zoneout: It belongs to the layer: Recurrent(..., zoneout=).
rand randn random normal uniform noise: It is a noise of the cell: Cell(..., noise={"z": Noise(...)}), read as z[t].
zeros ones full constant: A number stands for itself in every unit: write 0 or 1.
eye identity: A value stands for itself; a matrix begins as one by initial={"W": "identity"}.
detach stop_gradient stopgradient no_grad: There is none: the gradient of every line is derived whole.
attention: It is a layer, not part of a step.
embedding: It is a layer before the recurrent one.
""")
"""For functions of other libraries: what stands for them."""


def remedy_for_function(name: str) -> str | None:
    """What to write for a function of another library, however its capitals are set."""
    return FUNCTION_REMEDIES.get(name) or FUNCTION_REMEDIES.get(name.lower())

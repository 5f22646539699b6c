"""Which names are taken for misspelt ones: what fingers do, and not what people call parallel parameters."""

import re

import pytest

from recurra.equations import FUNCTIONS, Cell
from recurra.equations.foreign import FUNCTION_REMEDIES, remedy_for_function
from recurra.equations.slips import Names, slip
from recurra.errors import EquationError

SLIPS = {
    "swapped": ["alhpa", "lapha", "alpah"],
    "doubled": ["allpha", "aalpha", "alphaa"],
    "letters": ["alpa", "alha", "alphae", "alpoha"],
}
"""Of alpha."""

APART = """
    b_f b_g    b_forget b_input    W_1 W_2    w1 w2    W w    w_in w_out    W_xz W_xr    K0 Q0    beta zeta    eta theta
    alpha alpha_2    alpha_1 alpha_2    alpha1 alpha2    mu_k mu_v    gain fain    decay delay    W_hh W_xh    rate gate
    d1 d12    log_dt dt    x h    forget forget_x    mean_in mean_on    candidate alpha    beta betas_2    alpha alpha
"""


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in SLIPS.items() for name in names])
def test_one_slip_away(kind, name):
    assert slip(name, "alpha") == slip("alpha", name) == kind
    assert slip(f"b_{name}_2", "b_alpha_2") == kind
    assert slip(f"b_{name}_2", "b_alpha_3") is None
    assert Names(["beta", "alpha", "h"]).near(name) == "alpha"
    assert Names(["beta", "alpha", "h"]).near(name, ("swapped", "doubled")) == (None if kind == "letters" else "alpha")


def test_another_letter_counts_in_long_words_alone():
    assert slip("candidote", "candidate") == "letters"
    assert slip("kandidate", "candidate") is None
    assert slip("forgot", "forget") == "letters"
    assert slip("decay", "delay") is None


@pytest.mark.parametrize("pair", [line.split() for line in APART.strip().replace("\n", "    ").split("    ") if line])
def test_names_of_their_own(pair):
    assert slip(*pair) is slip(*pair[::-1]) is None
    assert Names([pair[0]]).near(pair[1]) is None


def test_no_two_functions_are_a_slip_apart():
    names = [f.name for f in FUNCTIONS.values() if not f.symbol]
    assert [(a, b) for a in names for b in names if slip(a, b)] == []


def test_a_remedy_is_for_what_is_no_function_and_names_those_that_are():
    names = {f.name for f in FUNCTIONS.values() if not f.symbol}
    assert not set(FUNCTION_REMEDIES) & names
    called = {word for remedy in FUNCTION_REMEDIES.values() for word in re.findall(r"\b([a-z_0-9]+)\(", remedy)}
    assert called <= names
    assert remedy_for_function("SoftMax") == remedy_for_function("softmax")
    assert remedy_for_function("quux") is None


@pytest.mark.parametrize(
    ("text", "constants", "meant"),
    [
        ("h[t] = (1 - alpha) * h[t-1] + alhpa * tanh(W @ x[t])", {"alpha": 0.1}, "alpha"),
        ("alpha = 0.1\nh[t] = (1 - alpha) * h[t-1] + alpa * tanh(W @ x[t])", {}, "alpha"),
        ("forget[t] = sigmoid(W @ x[t])\nh[t] = frget * h[t-1]", {}, "forget[t]"),
        ("h[t] = tanh(W_share @ x[t]) + tanh(W_shaer @ x[t])", {}, "W_share"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_one_that_was_meant(text, constants, meant):
    with pytest.raises(EquationError) as caught:
        Cell(text, constants=constants)
    assert caught.value.mend.startswith(f"Did you mean {meant}? ")


def test_parallel_names_are_parameters_of_their_own():
    text = "h[t] = tanh(W_read @ x[t] + W_reads @ h[t-1] + v_rest * h[t-1] + v_reset + b_f + b_g + w1 + w2)"
    assert set(Cell(text).parameters) == {"W_read", "W_reads", "v_rest", "v_reset", "b_f", "b_g", "w1", "w2"}

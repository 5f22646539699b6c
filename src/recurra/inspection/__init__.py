"""Inspection: what a trained or untrained network does inside, in figures, in words and in pictures.

activations         a gate or state over the tokens of a text, and which of its units are selective
gradient_flow       how much of the gradient is left at every step back from the loss, with a verdict
gradient_flow_log   an observer that measures it during training
gates               which values of a cell are gates, and how many of their units are saturated
reading             what a classifier holds after each step of a sequence, and what each step counts
pictures, charts    what draws with matplotlib
"""

from recurra.equations.gates import gates, keeping_gate
from recurra.inspection.activations import Activations, activations
from recurra.inspection.gradient_flow import GradientFlow, LayerFlow, gradient_flow, last_target_loss
from recurra.inspection.gradient_flow_log import GradientFlowLog
from recurra.inspection.pictures import check_picture
from recurra.inspection.reading import Reading, read_along
from recurra.inspection.saturation import Saturation, saturation

__all__ = [
    "Activations",
    "GradientFlow",
    "GradientFlowLog",
    "LayerFlow",
    "Reading",
    "Saturation",
    "activations",
    "check_picture",
    "gates",
    "gradient_flow",
    "keeping_gate",
    "last_target_loss",
    "read_along",
    "saturation",
]

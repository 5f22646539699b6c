"""Metrics: how good answers are.

- `metric`: what a metric is: tallies that add up, and the figure of their sum
- `chart`: what a metric shows beside a figure: a matrix of counts, curves
- `bootstrap`: the interval of a figure
- `classes`: accuracy, F1 and confusion of classes
- `edits`: what makes one sequence of another, aligned item by item
- `ranking`: how well a score tells a class from the others: ROC, precision and recall
- `recognition`: word and character error rate, and what is confused
- `reliability`: whether probabilities come true
- `spans`: precision, recall and F1 of entities, and the accuracy of tags
- `translation`: BLEU, chrF and TER
"""

from recurra.metrics.bootstrap import Bootstrap, Interval
from recurra.metrics.chart import Chart, Curve, Matrix
from recurra.metrics.metric import Metric, Row, Tally, add
from recurra.metrics.spans import (
    Span,
    conlleval_spans,
    f1_of,
    span_f1,
    span_precision,
    span_recall,
    span_tally,
    strict_spans,
    token_accuracy,
)

__all__ = [
    "Bootstrap",
    "Chart",
    "Curve",
    "Interval",
    "Matrix",
    "Metric",
    "Row",
    "Span",
    "Tally",
    "add",
    "conlleval_spans",
    "f1_of",
    "span_f1",
    "span_precision",
    "span_recall",
    "span_tally",
    "strict_spans",
    "token_accuracy",
]

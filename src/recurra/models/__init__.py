"""The shapes of the problem: networks from input to answer, as modules that read no files.

- `classifier`: many to one, one answer for a whole sequence
- `language_model`: many to many of equal length, each token predicted from those before it
"""

from recurra.models.classifier import Classifier
from recurra.models.language_model import LanguageModel

__all__ = ["Classifier", "LanguageModel"]

"""The shapes of the problem: networks from input to answer, as modules that read no files.

- `classifier`: many to one, one answer for a whole sequence
- `language_model`: many to many of equal length, each token predicted from those before it
"""

from typing import TYPE_CHECKING

from recurra.lazy import import_on_demand

if TYPE_CHECKING:
    from recurra.models.classifier import Classifier
    from recurra.models.language_model import LanguageModel
else:
    import_on_demand(__name__)

__all__ = ["Classifier", "LanguageModel"]

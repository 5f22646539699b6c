"""The shapes of the problem: networks from input to answer, as modules that read no files.

- `language_model`: many to many of equal length, each token predicted from those before it
"""

from recurra.models.language_model import LanguageModel

__all__ = ["LanguageModel"]

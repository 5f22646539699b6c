"""The settings of a language model that is trained in a moment."""

from recurra.tasks.language_modelling import LanguageModellingConfig
from recurra.tasks.settings_file import make_config

PETS = "the cat sat on the mat\nthe dog sat on the log\na cat and a dog sat\n"

TINY = {
    "cell": "rnn",
    "embedding_size": 4,
    "hidden_size": 6,
    "batch_size": 4,
    "chunk_length": 5,
    "epochs": 1,
    "learning_rate": 0.02,
}


def tiny_config(**given):
    own = {key: value for key, value in TINY.items() if not (key == "cell" and "equations" in given)}
    return make_config(LanguageModellingConfig, {}, own | {"data": "pets.txt"} | given)

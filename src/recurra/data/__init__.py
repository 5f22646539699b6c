"""Data: reading text, the vocabulary that numbers its units, and the batches that training reads.

- `text`: a file, its sentences, the part kept for validation
- `units`: how a text is cut into words, characters, bytes or byte pairs
- `vocabulary`: which units a model knows and the id of each
- `decoder`: ids to text one at a time
- `batching`: batches, sentences as batches, and the part of them that a process takes
- `streams`: a stream as batches, for truncated backpropagation through time
- `images`: files of images with labels, and their pixels as batches
- `distortion`: images moved, turned and scaled at random
- `lines`: the lines of a file, one at a time, and where an example came from
- `dataset`, `batch`, `padded`: examples of any use, side by side, those of like length together
- `labels`, `tags`: classes and their numbers, spans and the tags that write them
- `tokens`, `tagged`: the words of a raw text, and files of words with tags or spans
- `parallel`: texts and their translations
- `vectors`: pretrained word vectors
- `files`: a file that is there whole or not at all
- `mackey_glass`: the chaotic series by which forecasters are compared
"""

from typing import TYPE_CHECKING

from recurra.lazy import import_on_demand

if TYPE_CHECKING:
    from recurra.data.batch import IGNORED, Batch
    from recurra.data.batching import Batches, SentenceBatches, TokenBatch
    from recurra.data.distortion import Distortion
    from recurra.data.files import write_atomically
    from recurra.data.images import ImageBatch, ImageBatches, read_idx, read_images
    from recurra.data.mackey_glass import mackey_glass
    from recurra.data.streams import StreamBatches
    from recurra.data.text import read_text, sentences, split_validation, strip_lines
    from recurra.data.units import END, LEVELS, UNKNOWN, Level
    from recurra.data.vocabulary import Vocabulary
else:
    import_on_demand(__name__)

__all__ = [
    "END",
    "IGNORED",
    "LEVELS",
    "UNKNOWN",
    "Batch",
    "Batches",
    "Distortion",
    "ImageBatch",
    "ImageBatches",
    "Level",
    "SentenceBatches",
    "StreamBatches",
    "TokenBatch",
    "Vocabulary",
    "mackey_glass",
    "read_idx",
    "read_images",
    "read_text",
    "sentences",
    "split_validation",
    "strip_lines",
    "write_atomically",
]

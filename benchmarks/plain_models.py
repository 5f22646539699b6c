"""Models of words, texts, translations, speech and music in plain PyTorch: torch.nn's layers, the weights of ours."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
import torch.nn.functional as F
from contenders import torch_layers
from plain_inputs import PlainInputs, embedding_of
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recurra.data import IGNORED
from recurra.models import Classifier, LanguageModel
from recurra.models.music_model import MusicModel
from recurra.models.recogniser import Recogniser
from recurra.models.translator import SentencePairs, Translator
from recurra.tasks.music_generation_batches import FrameBatch
from recurra.tasks.sentiment_batches import TextBatch
from recurra.tasks.speech_recognition_batches import SpeechBatch


def _read(layer: nn.RNNBase, x: Tensor, lengths: Tensor, pack: bool = True) -> Tensor:
    """The outputs of a layer over rows of some lengths; where these are all the same, packing is left out if asked."""
    if not pack and bool((lengths == x.shape[1]).all()):
        return layer(x)[0]
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(layer(packed)[0], batch_first=True, total_length=x.shape[1])[0]


class PlainLanguageModel(nn.Module):
    """Embedding, LSTM, readout; the state goes on from batch to batch."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.embedding, self.readout = embedding_of(model.embedding.weight), copy.deepcopy(model.readout)
        self.lstm = torch_layers("lstm", model.recurrent)
        self.state: tuple[Tensor, ...] | None = None

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """The cross-entropy of tokens (B, T) and those that follow them, summed over the steps."""
        tokens, targets = batch
        outputs, state = self.lstm(self.embedding(tokens), self.state)
        self.state = tuple(part.detach() for part in state)
        return F.cross_entropy(self.readout(outputs).flatten(0, 1), targets.flatten(), reduction="sum")


class PlainClassifier(nn.Module):
    """Words, a bidirectional LSTM, its last outputs, their mean and their maximum, a readout.

    Args:
        model: Ours.
        tuned: Whether each spelling of a batch is read once, and rows of one length are not packed: over packed ones
            torch.nn's backward pass takes time that grows with the square of the length.
    """

    def __init__(self, model: Classifier, tuned: bool) -> None:
        super().__init__()
        self.tuned = tuned
        self.inputs = PlainInputs(model.encoder.inputs, once=tuned)
        self.lstm = torch_layers("lstm", model.encoder.recurrent)
        self.dropout, self.readout = nn.Dropout(model.dropout.p), copy.deepcopy(model.readout)

    def loss(self, batch: TextBatch) -> Tensor:
        """The cross-entropy summed over texts."""
        lengths, size = batch.lengths, self.lstm.hidden_size
        outputs = _read(self.lstm, self.dropout(self.inputs(batch.tokens)), lengths, pack=not self.tuned)
        inside = (torch.arange(outputs.shape[1]) < lengths[:, None]).unsqueeze(2)
        last = outputs[torch.arange(len(outputs)), lengths - 1, :size]
        mean = outputs.sum(1) / lengths[:, None]  # what lies past the end of a row is 0
        highest = outputs.masked_fill(~inside, -torch.inf).amax(1)
        pooled = torch.cat([last, outputs[:, 0, size:], mean, highest], 1)
        return F.cross_entropy(self.readout(self.dropout(pooled)), batch.targets, reduction="sum")


class Pairs(NamedTuple):
    """What a translator is trained on: sentences, and the ids y<1..T> of their translations, (B, T)."""

    pairs: SentencePairs
    targets: Tensor

    @property
    def size(self) -> int:
        """How many pieces the translations have."""
        return int((self.targets != IGNORED).sum())


class PlainTranslator(nn.Module):
    """A bidirectional GRU, a GRU, attention with a bilinear score, a second GRU, and a readout with tied weights.

    Args:
        model: Ours, of one joint vocabulary, tied weights and the decoder "deep".
        label_smoothing: The share of the target that is spread evenly, in training.
    """

    def __init__(self, model: Translator, label_smoothing: float) -> None:
        super().__init__()
        self.embedding, self.bias = embedding_of(model.target_embedding.weight), copy.deepcopy(model.bias)
        self.encoder = torch_layers("gru-reset-after", model.encoder)
        self.lower = torch_layers("gru-reset-after", model.decoder.lower)
        self.upper = torch_layers("gru-reset-after", model.decoder.upper)
        self.bridge, self.output = copy.deepcopy(model.decoder.bridge), copy.deepcopy(model.decoder.output)
        self.keys = copy.deepcopy(model.decoder.attention.memory_map)
        self.dropout, self.context_dropout = nn.Dropout(model.dropout.p), nn.Dropout(model.context_dropout.p)
        self.output_dropout = nn.Dropout(model.output_dropout.p)
        self.label_smoothing = label_smoothing

    def loss(self, batch: Pairs) -> Tensor:
        """The cross-entropy summed over the pieces of the translations."""
        lengths = batch.pairs.source_lengths
        memory = self.context_dropout(_read(self.encoder, self.dropout(self.embedding(batch.pairs.source)), lengths))
        inside = torch.arange(memory.shape[1]) < lengths[:, None]
        mean = memory.masked_fill(~inside.unsqueeze(2), 0).sum(1) / lengths[:, None]
        below, above = self.bridge(mean).tanh().unflatten(1, (2, -1)).transpose(0, 1).contiguous()
        embedded = self.dropout(self.embedding(batch.pairs.previous))
        queries, _ = self.lower(embedded, below[None])
        scores = queries @ self.keys(memory).transpose(1, 2)
        context = scores.masked_fill(~inside.unsqueeze(1), -torch.inf).softmax(2) @ memory
        top, _ = self.upper(self.dropout(torch.cat([queries, context], 2)), above[None])
        outputs = self.output_dropout(self.output(torch.cat([top, context, embedded], 2)).tanh())
        return F.cross_entropy(
            F.linear(outputs, self.embedding.weight, self.bias).flatten(0, 1),
            batch.targets.flatten(),
            reduction="sum",
            ignore_index=IGNORED,
            label_smoothing=self.label_smoothing if self.training else 0.0,
        )


class PlainRecogniser(nn.Module):
    """Two convolutions of stride 2, bidirectional LSTM layers, a readout, and the loss of CTC.

    Args:
        model: Ours.
        tuned: Whether rows of one length are not packed.
    """

    def __init__(self, model: Recogniser, tuned: bool) -> None:
        super().__init__()
        self.tuned = tuned
        self.convolutions = copy.deepcopy(model.subsampling.convolutions)
        self.norms = copy.deepcopy(model.subsampling.norms)
        for convolution in self.convolutions:
            convolution.padding = (model.subsampling.kernel_size // 2,)
        self.lstm = torch_layers("lstm", model.encoder.recurrent)
        self.dropout, self.readout = nn.Dropout(model.encoder.dropout.p), copy.deepcopy(model.readout)

    def loss(self, batch: SpeechBatch) -> Tensor:
        """-log p(y | x) summed over recordings."""
        values, lengths = batch.features, batch.lengths
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            values = F.relu(norm(convolution(values.transpose(1, 2)).transpose(1, 2)))
            lengths = (lengths + 1) // 2
            values = values * (torch.arange(values.shape[1]) < lengths[:, None])[:, :, None]
        outputs = _read(self.lstm, self.dropout(values), lengths, pack=not self.tuned)
        log_probabilities = self.readout(self.dropout(outputs)).log_softmax(2).transpose(0, 1)
        return F.ctc_loss(log_probabilities, batch.targets.clamp(min=0), lengths, batch.target_lengths, reduction="sum")


class PlainMusic(nn.Module):
    """LSTM layers over the frames of pieces, and the distribution of whole chords, which is plain PyTorch in ours, too.

    Args:
        model: Ours.
        tuned: Whether padding is read as well: it is past the end of a piece, and changes nothing before it.
    """

    def __init__(self, model: MusicModel, tuned: bool) -> None:
        super().__init__()
        self.tuned, self.memory, self.head = tuned, model.memory, copy.deepcopy(model.head)
        self.lstm = torch_layers("lstm", model.recurrent)
        self.dropout = nn.Dropout(model.dropout.p)

    def loss(self, batch: FrameBatch) -> Tensor:
        """-log p(x<1..T>) summed over pieces."""
        frames, real = batch.frames, batch.targets != IGNORED
        reach = self.head.history - self.memory.planes
        shown = [F.pad(frames, (0, 0, back, 0))[:, : frames.shape[1]] for back in range(1, reach + 1)]
        planes, scalars = self.memory.remember(frames.new_full((1, len(frames), frames.shape[2]), -1.0), frames)
        inputs = torch.cat([shown[0], planes[:, :, 0], planes[:, :, 2], scalars], 2)
        outputs = self.lstm(inputs)[0] if self.tuned else _read(self.lstm, inputs, batch.lengths)
        context = torch.cat([self.dropout(outputs), shown[0], planes[:, :, 2], scalars], 2)
        history = torch.cat([torch.stack(shown, 2), planes], 2)
        return -self.head.log_probability(context[real], history[real], frames[real]).sum()

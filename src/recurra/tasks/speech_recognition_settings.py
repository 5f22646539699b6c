"""The settings of speech recognition: the recordings, their features, the network and the search.

They are read without torch, so that the command line can list them at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from recurra.data.recording import ManifestFormat, RecordingFormat
from recurra.tasks.network_settings import NetworkSettings
from recurra.tasks.settings import DataSettings, Settings, TaskConfig
from recurra.training.settings import TrainingSettings

if TYPE_CHECKING:  # torch is imported once features are computed
    from recurra.data.features import FeatureFormat
    from recurra.data.speech_augmentation import SpeechAugmentation

__all__ = [
    "AugmentationSettings",
    "FeatureSettings",
    "RecogniserSettings",
    "RecordingSettings",
    "SpeechBatchSettings",
    "SpeechRecognitionConfig",
    "SpeechSearchSettings",
]


class RecordingSettings(DataSettings):
    """The recordings, how their files are read, and how what is said is written."""

    data: Path = Field(
        description="Recordings to train on: a table (CSV, TSV, JSON lines) of files and transcripts, a folder of them "
        "side by side, a list of Sphinx (.fileids), or a pattern of names."
    )
    valid: Path | None = Field(
        None, description="Recordings to validate on; without them, the last part of the data, speakers kept together."
    )
    format: ManifestFormat | None = Field(None, description="How they are written down; by default it is detected.")
    audio_column: str | None = Field(None, description="Column of the files of sound; by default a usual name.")
    transcript_column: str | None = Field(None, description="Column of what is said; by default a usual name.")
    group_column: str | None = Field(
        None, description="Column of what recordings belong to, such as their speaker; by default a usual name."
    )
    audio_folder: Path | None = Field(
        None, description="Where relative names of files begin; by default the folder of the manifest."
    )
    name_pattern: str | None = Field(
        None,
        description="What names of files say, such as {transcript}_{group}_{} for 7_theo_12.wav.",
        json_schema_extra={"metavar": "PATTERN"},
    )
    sphinx_features: int = Field(13, ge=1, description="Features of a frame in files of Sphinx (.mfc).")
    longest: float | None = Field(
        60.0, gt=0, description="Seconds; longer recordings are not trained on. They are counted."
    )
    unit: Literal["character", "word"] = Field("character", description="What the labels of the network are.")
    case: Literal["keep", "lower", "upper"] = Field("keep", description="How transcripts are written.")
    ngram_order: int = Field(
        3, ge=0, le=6, description="Words of the longest n-grams of the transcripts that a search can use; 0 for none."
    )
    ngram_smoothing: Literal["kneser-ney", "witten-bell"] = Field(
        "witten-bell", description="How n-grams that never came get their share."
    )
    alphabet: str | None = Field(
        None,
        description="Characters that transcripts are made of; by default those of the part to train on.",
        json_schema_extra={"metavar": "CHARACTERS"},
    )
    foreign: Literal["refuse", "leave-out"] = Field(
        "refuse", description="What becomes of characters outside the alphabet: an error, or they are left out."
    )
    unalignable: Literal["refuse", "leave-out"] = Field(
        "refuse",
        description="What becomes of recordings to train on that are too short for their transcripts: an error, or "
        "they are left out.",
    )

    @property
    def how(self) -> RecordingFormat:
        """How the files are read."""
        return RecordingFormat(
            self.format,
            self.audio_column,
            self.transcript_column,
            self.group_column,
            self.sphinx_features,
            self.audio_folder,
            self.name_pattern,
            self.longest,
        )


class FeatureSettings(Settings):
    """What is computed of sound; ready-made features are normalised alike."""

    kind: Literal["filterbank", "mfcc"] = Field(
        "filterbank", description="Features of sound: energies of mel filters, or cepstra."
    )
    rate: int = Field(16_000, ge=1000, description="Samples a second; sound of another rate is resampled.")
    filters: int = Field(40, ge=4, description="How many mel filters.")
    coefficients: int = Field(13, ge=1, description="How many cepstral coefficients.")
    window: float = Field(25.0, gt=0, description="Milliseconds of a frame.")
    step: float = Field(10.0, gt=0, description="Milliseconds from a frame to the next.")
    lowest: float = Field(20.0, ge=0, description="Hertz at which the lowest filter begins.")
    slopes: int = Field(0, ge=0, le=2, description="How often slopes over time are added to the features.")
    normalisation: Literal["none", "utterance", "global", "running"] = Field(
        "utterance",
        description="What the mean and deviation of features are of: nothing, a recording, the part to train on, or "
        "what was heard so far, as streams need it.",
    )

    @property
    def how(self) -> FeatureFormat:
        """What is computed."""
        from recurra.data.features import FeatureFormat

        return FeatureFormat(**self.model_dump())


class AugmentationSettings(Settings):
    """How recordings are changed at random while they are trained on."""

    changes_use: ClassVar[bool] = False

    speed_change: float = Field(
        0.0, ge=0, le=1, description="Share by which frames are faster or slower at most, such as 0.12."
    )
    pitch_change: float = Field(
        0.0, ge=0, le=1, description="Share by which sound is faster or slower at most, its pitch with it."
    )
    gain: float = Field(0.0, ge=0, le=100, description="Decibels by which sound is louder or softer at most.")
    noise: float = Field(0.0, ge=0, le=1, description="Share of recordings to which noise is added.")
    least_noise_ratio: float = Field(5.0, ge=-100, description="Decibels by which sound is stronger than noise: least.")
    most_noise_ratio: float = Field(25.0, le=1000, description="Decibels by which sound is stronger than noise: most.")
    noise_folder: Path | None = Field(None, description="Recordings of noise; by default it is white or pink.")
    warp_change: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share by which frequencies are higher or lower at most, as of other voices; it takes filterbanks.",
    )
    equaliser: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Decibels by which a filter is louder or softer at most, as through other microphones; it takes "
        "filterbanks.",
    )
    time_masks: int = Field(0, ge=0, description="How many stretches of frames are masked.")
    longest_time_mask: int = Field(15, ge=0, description="Most frames of one.")
    largest_time_share: float = Field(0.2, ge=0, le=1, description="Largest share of a recording that one masks.")
    feature_masks: int = Field(0, ge=0, description="How many bands of features are masked.")
    widest_feature_mask: int = Field(8, ge=0, description="Most features of one.")

    def change(self, rate: int, lowest: float) -> SpeechAugmentation:
        """What is changed.

        Args:
            rate: Samples a second.
            lowest: Hertz at which the lowest filter begins.
        """
        from recurra.data.speech_augmentation import SpeechAugmentation

        return SpeechAugmentation(
            speed=(1 / (1 + self.speed_change), 1 + self.speed_change),
            sound_speed=(1 / (1 + self.pitch_change), 1 + self.pitch_change),
            gain=self.gain,
            noise=self.noise,
            noise_ratio=(self.least_noise_ratio, self.most_noise_ratio),
            noise_folder=self.noise_folder,
            time_masks=self.time_masks,
            longest_time_mask=self.longest_time_mask,
            largest_time_share=self.largest_time_share,
            feature_masks=self.feature_masks,
            widest_feature_mask=self.widest_feature_mask,
            warp=(1 / (1 + self.warp_change), 1 + self.warp_change),
            equaliser=self.equaliser,
            rate=rate,
            lowest=lowest,
        )

    @model_validator(mode="after")
    def _the_least_is_not_more_than_the_most(self) -> Self:
        if self.least_noise_ratio > self.most_noise_ratio:
            raise ValueError(
                f"least_noise_ratio {self.least_noise_ratio:g} is above most_noise_ratio {self.most_noise_ratio:g}"
            )
        return self


class SpeechBatchSettings(Settings):
    """How the recordings are handed to the model."""

    changes_use: ClassVar[bool] = False

    batch_size: int = Field(16, ge=1, description="Recordings side by side in a step of training.")
    max_seconds: float = Field(240.0, gt=0, description="Most seconds of a batch, padding included.")
    ahead: int = Field(0, ge=0, description="Batches that a thread prepares while one is used.")
    kept_features: int = Field(512, ge=0, description="Megabytes of features that are kept for the next epoch.")


class RecogniserSettings(NetworkSettings):
    """The network."""

    cell: str | None = Field("lstm", description="Name of a cell; `recurra cells` lists them.")
    subsampling: int = Field(
        4, ge=1, le=8, description="How many frames become one before the recurrent layers: 1, 2, 4 or 8."
    )
    convolution_size: int = Field(128, ge=1, description="Width of the convolutions that subsample.")
    kernel_size: int = Field(5, ge=3, description="Frames that a convolution sees; odd.")
    hidden_size: int = Field(256, ge=1, description="Width of the recurrent layers, in each direction.")
    num_layers: int = Field(2, ge=1, description="How many recurrent layers there are.")
    bidirectional: bool = Field(True, description="Read each recording from its end to its beginning, too.")
    head: Literal["ctc", "transducer"] = Field(
        "ctc",
        description="How labels are written: each frame by itself (ctc), or each label knowing those before "
        "(transducer).",
    )
    prediction_size: int = Field(128, ge=1, description="Width of the layer of a transducer that reads its labels.")
    joint_size: int = Field(128, ge=1, description="Width in which a transducer joins sound and labels.")
    lookahead: int = Field(
        0, ge=0, le=100, description="Steps after its own that an answer waits for; takes --no-bidirectional."
    )
    dropout: float = Field(0.3, ge=0, lt=1, description="Rate of dropout on inputs, between layers and on outputs.")

    @model_validator(mode="after")
    def _the_network_can_be_built(self) -> Self:
        if self.subsampling not in (1, 2, 4, 8):
            raise ValueError(f"subsampling is {self.subsampling}; give 1, 2, 4 or 8")
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size is {self.kernel_size}; give an odd number of frames, such as 5")
        if self.lookahead and self.bidirectional:
            raise ValueError("lookahead is for a network of one direction: add --no-bidirectional")
        return self


class SpeechSearchSettings(Settings):
    """How what is said is looked for."""

    changes_use: ClassVar[bool] = False
    in_use: ClassVar[bool] = True

    beam: int = Field(1, ge=1, le=10_000, description="How many transcripts are followed at a time; 1 is greedy.")
    alternatives: int = Field(1, ge=1, description="How many transcripts are given, the best first; at most the beam.")
    lexicon: str = Field(
        "",
        description="The words that may come: trained for those of the transcripts trained on, or a file of one word a "
        "line; by default every word may. It takes a beam.",
        json_schema_extra={"metavar": "trained|FILE"},
    )
    unknown_cost: float | None = Field(
        None, ge=0, description="What a word outside the lexicon costs, in nats; by default it cannot come."
    )
    ngram_weight: float = Field(
        0.0, ge=0, description="How much the n-grams of the transcripts trained on count; 0 for not at all."
    )
    arpa: str = Field(
        "",
        description="File of n-grams in the ARPA format to use instead of those of the transcripts.",
        json_schema_extra={"metavar": "FILE"},
    )
    language_model: str = Field(
        "",
        description="Folder of a run of language-modelling that guides the search: of words, or of characters where "
        "those are the labels.",
        json_schema_extra={"metavar": "RUN"},
    )
    language_model_weight: float = Field(0.5, ge=0, description="How much it counts.")
    word_bonus: float = Field(0.0, description="What is added for each word, in nats; it makes up for the n-grams.")
    hotwords: tuple[str, ...] = Field((), description="Words or phrases that are expected.")
    hotword_bonus: float = Field(3.0, ge=0, description="What is added for each of them, in nats.")

    @model_validator(mode="after")
    def _a_beam_is_there_to_be_guided(self) -> Self:
        if self.alternatives > self.beam:
            raise ValueError(
                f"--alternatives {self.alternatives}: a beam of {self.beam} gives no more than {self.beam}; give "
                f"--beam {self.alternatives}"
            )
        for key in ("lexicon", "ngram_weight", "word_bonus", "hotwords", "unknown_cost", "arpa", "language_model"):
            if self.beam == 1 and getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"--{key.replace('_', '-')} guides a search, and --beam 1 is greedy: add --beam 50")
        if self.unknown_cost is not None and not self.lexicon:
            raise ValueError("--unknown-cost is of words outside a lexicon: add --lexicon trained")
        if self.arpa and not self.ngram_weight:
            raise ValueError("--arpa has no effect with a weight of 0: add --ngram-weight 0.5")
        return self


class SpeechRecognitionConfig(TaskConfig):
    """All settings of a recogniser's run."""

    recordings: RecordingSettings
    features: FeatureSettings = FeatureSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    batches: SpeechBatchSettings = SpeechBatchSettings()
    model: RecogniserSettings = RecogniserSettings()
    search: SpeechSearchSettings = SpeechSearchSettings()
    training: TrainingSettings = TrainingSettings(
        epochs=40,
        learning_rate=3e-3,
        weight_decay=1e-3,
        schedule="cosine",
        decay_floor=0.02,
        warmup_steps=100,
        weight_average=0.99,
        beta2=0.98,
    )

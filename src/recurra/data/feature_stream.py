"""Features of sound as it is heard, with their slopes and normalised by what was heard so far."""

from __future__ import annotations

import numpy as np

from recurra.data.audio import Samples
from recurra.data.feature_norm import Statistics, norm_of
from recurra.data.features import SLOPE_REACH, FeatureFormat, SoundFrames, with_slopes
from recurra.data.frames import Frames
from recurra.errors import SettingError

__all__ = ["FeatureStream", "FrameStream", "SlopeStream"]


class SlopeStream:
    """Features with their slopes as they come: in pieces or whole, the same numbers, `delay` frames later.

    Args:
        order: How often slopes are added, as in `with_slopes`.
    """

    def __init__(self, order: int) -> None:
        self.order, self.delay = order, order * SLOPE_REACH
        self._kept: Frames | None = None  # the frames that slopes to come are of
        self._done = 0  # how many of those were handed out with their slopes

    def push(self, frames: Frames) -> Frames:
        """The frames whose slopes are known after the next ones.

        Args:
            frames: Features, (T, F).

        Returns:
            (T', F (1 + order)).
        """
        kept = frames if self._kept is None else np.concatenate([self._kept, frames])
        return self._hand_out(kept, max(self._done, len(kept) - self.delay))

    def finish(self) -> Frames:
        """The frames that are held back at the end, of which the last stands for those to come.

        Returns:
            (T', F (1 + order)).
        """
        if self._kept is None:
            return np.zeros((0, 0), np.float32)
        return self._hand_out(self._kept, len(self._kept))

    def _hand_out(self, kept: Frames, until: int) -> Frames:
        ready = with_slopes(kept, self.order)[self._done : until]
        # What the first frame kept stands for matters to no frame to come: `delay` frames lie between them.
        cut = max(0, until - self.delay)
        self._kept, self._done = kept[cut:], until - cut
        return ready


class FrameStream:
    """Ready-made features as they come, with their slopes and normalised: as those of the whole, to the bit.

    Args:
        how: What slopes there are, how features are normalised, and the step from a frame to the next.
        statistics: Those of the part to train on.

    Attributes:
        spread: How far apart the values of a feature lie at most, of all frames that were heard.

    Raises:
        SettingError: Features are normalised by the whole recording, or the statistics are missing.
    """

    def __init__(self, how: FeatureFormat, statistics: Statistics | None = None) -> None:
        if how.normalisation == "utterance":
            raise SettingError(
                "features are normalised by the mean of the whole recording, which a stream does not know before its "
                "end; train with running or global normalisation"
            )
        self.how, self.spread = how, 0.0
        self._slopes = SlopeStream(how.slopes)
        self._norm = norm_of(how.normalisation, statistics)
        self._range: tuple[Frames, Frames] | None = None

    @property
    def delay(self) -> float:
        """Seconds from the beginning of a frame until its features are known with their slopes."""
        return (1 + self._slopes.delay) * self.how.step / 1000

    def push(self, frames: Frames) -> Frames:
        """The features that are known after the next frames, normalised.

        Args:
            frames: Features, (T, F).

        Returns:
            (T', F (1 + slopes)).
        """
        if len(frames):
            least, most = frames.min(0), frames.max(0)
            if self._range is not None:
                least, most = np.minimum(least, self._range[0]), np.maximum(most, self._range[1])
            self._range, self.spread = (least, most), float((most - least).max())
        return self._norm.push(self._slopes.push(frames))

    def finish(self) -> Frames:
        """The features that are held back at the end."""
        return self._norm.push(self._slopes.finish())


class FeatureStream(FrameStream):
    """Features of sound as it comes, as `FeatureExtractor` has them of the whole, to the bit.

    Args:
        how: What is computed.
        statistics: Those of the part to train on.

    Raises:
        SettingError: Features are normalised by the whole recording, or the statistics are missing.
    """

    def __init__(self, how: FeatureFormat, statistics: Statistics | None = None) -> None:
        super().__init__(how, statistics)
        self._sound = SoundFrames(how)

    @property
    def delay(self) -> float:
        """Seconds from the beginning of a frame until its features are known."""
        return (self.how.window + self._slopes.delay * self.how.step) / 1000

    def push(self, samples: Samples) -> Frames:
        """The features that are known after the next samples, normalised.

        Args:
            samples: The sound, at the rate of the format, (N,).

        Returns:
            (T, F (1 + slopes)).
        """
        return super().push(self._sound.push(samples))

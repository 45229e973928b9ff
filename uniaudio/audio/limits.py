"""What audio is taken: every bound on a recording in one place, each refused with value, limit and remedy."""

from __future__ import annotations

from dataclasses import dataclass

from uniaudio.errors import InvalidAudioError, LimitExceededError

MODEL_SAMPLE_RATE = 16_000
"""Samples per second of every waveform inside uniaudio."""


@dataclass(frozen=True, kw_only=True)
class AudioLimits:
    """Bounds on one recording; the defaults are what the contract promises."""

    max_encoded_bytes: int = 64 * 2**20
    max_seconds: float = 3600.0
    min_seconds: float = 0.1
    """One patch of the model: less than this leaves it nothing to read."""
    min_sample_rate: int = 4_000
    max_sample_rate: int = 192_000
    max_channels: int = 8
    max_decoded_samples: int = 3600 * 48_000 * 2
    """Over all channels, at the file's own rate: an hour of 48 kHz stereo. What a few bytes may unpack to."""

    def check_encoded_bytes(self, size_bytes: int) -> None:
        """Raises InvalidAudioError for nothing at all and LimitExceededError for too much."""
        if size_bytes == 0:
            raise InvalidAudioError(
                "the audio is empty (0 bytes); send a recording of at least "
                f"{self.min_seconds:g} s as WAV, FLAC, OGG, MP3 or raw PCM",
                value="0 bytes",
                limit="at least 1 byte",
                remedy="send a recording",
            )
        if size_bytes > self.max_encoded_bytes:
            raise LimitExceededError(
                f"the audio has {size_bytes} bytes, the limit is {self.max_encoded_bytes}; "
                "send FLAC, OGG or MP3, or cut the recording",
                value=size_bytes,
                limit=self.max_encoded_bytes,
                remedy="compress or cut the recording",
            )

    def check_layout(self, sample_rate: int, num_channels: int) -> None:
        """Raises LimitExceededError for a rate (Hz) or a channel count outside the bounds."""
        if not self.min_sample_rate <= sample_rate <= self.max_sample_rate:
            raise LimitExceededError(
                f"the sample rate is {sample_rate} Hz, allowed are {self.min_sample_rate} to "
                f"{self.max_sample_rate} Hz; resample the recording, 16000 Hz loses nothing here",
                value=sample_rate,
                limit=f"{self.min_sample_rate} to {self.max_sample_rate}",
                remedy="resample the recording, e.g. to 16000 Hz",
            )
        if not 1 <= num_channels <= self.max_channels:
            raise LimitExceededError(
                f"the audio has {num_channels} channels, allowed are 1 to {self.max_channels}; mix it down to mono",
                value=num_channels,
                limit=f"1 to {self.max_channels}",
                remedy="mix the recording down to mono",
            )

    def check_frames(self, num_frames: int, sample_rate: int, num_channels: int) -> None:
        """Raises LimitExceededError when so many sample frames last or unpack to too much."""
        seconds = num_frames / sample_rate
        if seconds > self.max_seconds:
            raise LimitExceededError(
                f"the audio lasts {seconds:.1f} s or more, the limit is {self.max_seconds:g} s; cut the recording",
                value=f"{seconds:.1f} s",
                limit=f"{self.max_seconds:g} s",
                remedy="cut the recording into shorter ones",
            )
        if num_frames * num_channels > self.max_decoded_samples:
            raise LimitExceededError(
                f"the audio unpacks to {num_frames * num_channels} samples over its {num_channels} channels or more, "
                f"the limit is {self.max_decoded_samples}; mix it down to mono or lower its rate",
                value=num_frames * num_channels,
                limit=self.max_decoded_samples,
                remedy="mix the recording down to mono or lower its sample rate",
            )

    def check_long_enough(self, num_samples: int, sample_rate: int) -> None:
        """Raises InvalidAudioError when the recording is shorter than `min_seconds`."""
        if num_samples < self.min_seconds * sample_rate:
            raise InvalidAudioError(
                f"the audio has {num_samples} samples ({1000 * num_samples / sample_rate:.2f} ms), needed are at least "
                f"{1000 * self.min_seconds:g} ms; send a longer recording",
                value=f"{1000 * num_samples / sample_rate:.2f} ms",
                limit=f"at least {1000 * self.min_seconds:g} ms",
                remedy="send a longer recording",
            )

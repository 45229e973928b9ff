"""How long a recording is, by its header alone."""

from __future__ import annotations

from pathlib import Path

import soundfile

from uniaudio.audio.formats import AudioFormat, recognise
from uniaudio.audio.limits import AudioLimits
from uniaudio.audio.pcm import PcmReader
from uniaudio.errors import InvalidAudioError

_HEAD_BYTES = 64
_UNKNOWN_FRAMES = 2**40


def probe_seconds(path: Path, format: AudioFormat, limits: AudioLimits) -> float:
    """Seconds of audio, 0 where the header does not say; refuses what can be seen to be no recording.

    What the header hides is found when the recording is read. Raises InvalidAudioError or LimitExceededError.
    """
    if format.encoding.is_raw:
        reader = PcmReader(format.encoding, format.sample_rate, format.num_channels or 1, limits)
        num_frames = path.stat().st_size // reader.frame_bytes
        limits.check_frames(num_frames, reader.sample_rate, reader.num_channels)
        return num_frames / reader.sample_rate
    with path.open("rb") as file:
        found = recognise(file.read(_HEAD_BYTES))
    try:
        info = soundfile.info(str(path))
    except soundfile.LibsndfileError as error:
        why = str(error.error_string).strip() or "the decoder stopped"
        raise InvalidAudioError(
            f"the {found.upper()} file cannot be read: {why}; send the complete file or convert it",
            value="unreadable",
            limit="a complete, undamaged file",
            remedy="send the complete file or convert it",
        ) from error
    limits.check_layout(info.samplerate, info.channels)
    if not 0 < info.frames < _UNKNOWN_FRAMES:
        return 0.0
    limits.check_frames(info.frames, info.samplerate, info.channels)
    return float(info.frames / info.samplerate)

"""Typed clients of the services: `SpeechClient`, and `AsyncSpeechClient` for asyncio.

    from uniaudio.client import SpeechClient

    with SpeechClient() as client:
        edited = client.edit(Path("in.wav"), "make it 1.5 times faster", output_format="wav")
        Path("out.wav").write_bytes(edited.read())
        print(edited.report.plan.summary)

Answers that are one message come back as that message (see protos/uniaudio/v1); audio comes back in pieces.
"""

from __future__ import annotations

from uniaudio.client.aio import AsyncSpeechClient
from uniaudio.client.aio_jobs import AsyncJobsClient
from uniaudio.client.aio_streams import AsyncEditStream, AsyncSpeechStream
from uniaudio.client.aio_voices import AsyncVoicesClient
from uniaudio.client.audio import OUTPUT_FORMATS, AudioPiece, AudioSource, OutputFormat
from uniaudio.client.channel import DEFAULT_ADDRESS, DEFAULT_TIMEOUT_SECONDS
from uniaudio.client.events import EditEvent, EditPlan, EditReport, Progress, ReasoningText, SynthesizeReport
from uniaudio.client.job_requests import (
    JOB_STATES,
    EditItem,
    EditJob,
    EditJobItem,
    EditResult,
    EditStep,
    JobState,
    UploadedRecording,
    batch,
    edit_step,
    has_ended,
    job_filter,
    state_of,
)
from uniaudio.client.jobs import JobsClient
from uniaudio.client.latents import Latents, Letters
from uniaudio.client.requests import Engine, Normalization, sampling
from uniaudio.client.streams import EditStream, SpeechStream
from uniaudio.client.sync import SpeechClient
from uniaudio.client.voice_export import ExportedVoice
from uniaudio.client.voice_requests import Consent, Voice, consent
from uniaudio.client.voices import VoicesClient

__all__ = [
    "DEFAULT_ADDRESS",
    "DEFAULT_TIMEOUT_SECONDS",
    "JOB_STATES",
    "OUTPUT_FORMATS",
    "AsyncEditStream",
    "AsyncJobsClient",
    "AsyncSpeechClient",
    "AsyncSpeechStream",
    "AsyncVoicesClient",
    "AudioPiece",
    "AudioSource",
    "Consent",
    "EditEvent",
    "EditItem",
    "EditJob",
    "EditJobItem",
    "EditPlan",
    "EditReport",
    "EditResult",
    "EditStep",
    "EditStream",
    "Engine",
    "ExportedVoice",
    "JobState",
    "JobsClient",
    "Latents",
    "Letters",
    "Normalization",
    "OutputFormat",
    "Progress",
    "ReasoningText",
    "SpeechClient",
    "SpeechStream",
    "SynthesizeReport",
    "UploadedRecording",
    "Voice",
    "VoicesClient",
    "batch",
    "consent",
    "edit_step",
    "has_ended",
    "job_filter",
    "sampling",
    "state_of",
]

"""Requests as people send them, one for each method that does something: what odd values are put into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from tests.fakes_speech import tone
from tests.orchestrator_house import live_requests, wav
from uniaudio.client import AsyncSpeechClient, batch
from uniaudio.v1 import jobs_pb2, provenance_pb2, speech_pb2, tokenizer_pb2, voices_pb2

_LOUDER = "make it 3 dB louder"
_CONSENT = voices_pb2.Consent(
    given_by="Ada", give_time=Timestamp(seconds=900_000), purpose="reading", evidence="I agree"
)


async def fine_requests(jobs: AsyncSpeechClient) -> Mapping[str, Sequence[Message]]:
    """By the names of methods; of a client's stream all messages. Some name a job that was made for it."""
    job = await jobs.jobs.create(batch([wav(1.0).content], [_LOUDER]))
    recording_id = job.items[0].spec.recording_id
    one_each: list[tuple[str, Message]] = [
        *_speech(),
        *_jobs(job.job_id, recording_id),
        *_voices(),
        *_tokens(),
        ("Verify", provenance_pb2.VerifyRequest(audio=wav(1.0))),
    ]
    upload = jobs_pb2.UploadRecordingRequest
    streams: dict[str, Sequence[Message]] = {
        "StreamTranscribe": live_requests(tone(0.5)),
        "UploadRecording": [
            upload(config=jobs_pb2.UploadRecordingConfig()),
            upload(content=wav(1.0).content),
        ],
        "StreamEncode": [tokenizer_pb2.StreamEncodeRequest(waveform=tone(0.5).tobytes(), last=True)],
        "StreamDecode": [tokenizer_pb2.StreamDecodeRequest(latents=_latents(), last=True)],
    }
    return {**{name: (request,) for name, request in one_each}, **streams}


def _speech() -> list[tuple[str, Message]]:
    transcribe = speech_pb2.TranscribeRequest(audio=wav(1.0))
    return [
        ("Transcribe", transcribe),
        ("TranscribeProgressively", speech_pb2.TranscribeProgressivelyRequest(transcribe=transcribe)),
        ("Synthesize", speech_pb2.SynthesizeRequest(text="Hello there.")),
        ("Edit", speech_pb2.EditRequest(audio=wav(1.0), instruction=_LOUDER)),
    ]


def _jobs(job_id: str, recording_id: str) -> list[tuple[str, Message]]:
    step = jobs_pb2.EditStep(instruction=_LOUDER)
    item = jobs_pb2.EditJobItemSpec(recording_id=recording_id, edits=[step])
    return [
        ("CreateEditJob", jobs_pb2.CreateEditJobRequest(items=[item])),
        ("GetEditJob", jobs_pb2.GetEditJobRequest(job_id=job_id)),
        ("ListEditJobs", jobs_pb2.ListEditJobsRequest(page_size=10)),
        ("WatchEditJob", jobs_pb2.WatchEditJobRequest(job_id=job_id)),
        ("DownloadEditResult", jobs_pb2.DownloadEditResultRequest(job_id=job_id)),
    ]


def _voices() -> list[tuple[str, Message]]:
    create = voices_pb2.CreateVoiceRequest(voice_id="ada", audio=wav(1.0), transcript="hi", consent=_CONSENT)
    return [
        ("CreateVoice", create),
        ("GetVoice", voices_pb2.GetVoiceRequest(voice_id="ada")),
        ("ListVoices", voices_pb2.ListVoicesRequest(page_size=10)),
        ("RevokeVoice", voices_pb2.RevokeVoiceRequest(voice_id="ada")),
        ("DeleteVoice", voices_pb2.DeleteVoiceRequest(voice_id="ada")),
        ("ExportVoice", voices_pb2.ExportVoiceRequest(voice_id="ada")),
    ]


def _tokens() -> list[tuple[str, Message]]:
    return [
        ("Encode", tokenizer_pb2.EncodeRequest(waveform=tone(0.5).tobytes())),
        ("Decode", tokenizer_pb2.DecodeRequest(latents=_latents())),
    ]


def _latents() -> bytes:
    return np.zeros((10, 4), np.float32).tobytes()

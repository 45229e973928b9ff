"""Both services, faked in this process: they answer at once, record what came, and fail when told to.

with serve(FakeServices()) as fake:
    SpeechClient(fake.address)
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np

from uniaudio.errors import UniaudioError
from uniaudio.runtime.status import DETAILS_KEY, to_rich_status, to_status_code
from uniaudio.v1 import (
    audio_pb2,
    edits_pb2,
    llm_pb2,
    speech_pb2,
    speech_pb2_grpc,
    tokenizer_pb2,
    tokenizer_pb2_grpc,
)

MODEL = audio_pb2.ModelInfo(
    name="fake-model",
    revision="0123456789ab",
    trained=False,
    notice="The weights are random: this means nothing.",
)
LATENT_DIM = 4
HOP_LENGTH = 320
NUM_SAMPLES = 3200
_MESSAGE_BYTES = 80 << 20


class FakeServices(speech_pb2_grpc.SpeechServiceServicer, tokenizer_pb2_grpc.TokenizerServiceServicer):
    """Answers with fixed words and a fixed tone; `failures[method]` are raised first, one a call."""

    def __init__(self) -> None:
        self.address = ""
        self.requests: list[Any] = []
        self.metadata: dict[str, Any] = {}
        self.authorizations: list[str | bytes | None] = []
        self.failures: dict[str, list[UniaudioError]] = {}
        self.model = MODEL
        self.load: speech_pb2.Load | None = None
        self.edited = edits_pb2.EditReport()
        """What reports of edits say beside what all of them say."""
        self.cancelled = threading.Event()
        self.wait_after_first_piece: Callable[[grpc.ServicerContext], None] | None = None

    def forget(self) -> None:
        """As it was made: nothing came, nothing fails."""
        self.requests.clear()
        self.failures.clear()
        self.load = None
        self.edited.Clear()
        self.cancelled.clear()
        self.wait_after_first_piece = None

    def GetInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._arrived("GetInfo", request, context)
        return speech_pb2.GetInfoResponse(
            version="9.9.9",
            model=self.model,
            tokenizer=self.model,
            sample_rate=16000,
            max_audio_seconds=3600,
            max_audio_bytes=64 << 20,
            max_text_characters=20000,
            load=self.load,
        )

    def Transcribe(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._arrived("Transcribe", request, context)
        return speech_pb2.TranscribeResponse(
            request_id=request.request_id or "made-by-server",
            text="hello there",
            language=request.language or "English",
            audio_seconds=0.2,
            segments=[
                speech_pb2.TranscriptSegment(
                    time_range=audio_pb2.TimeRange(start_seconds=0, end_seconds=0.2),
                    text="hello there",
                    truncated="without end" in request.context_phrases,
                )
            ],
            model=self.model,
        )

    def TranscribeProgressively(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        transcript = self.Transcribe(request.transcribe, context)
        self._note_cancel(context)
        for number, text in enumerate(("hello", " there")):
            if number == 1 and self.wait_after_first_piece is not None:
                self.wait_after_first_piece(context)
            yield speech_pb2.TranscribeProgressivelyResponse(text_delta=text)
        yield speech_pb2.TranscribeProgressivelyResponse(transcript=transcript)

    def StreamTranscribe(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        num_bytes = 0
        for request in requests:
            self._arrived("StreamTranscribe", request, context)
            if request.audio_content:
                num_bytes += len(request.audio_content)
                segment = speech_pb2.TranscriptSegment(text=f"heard {num_bytes}")
                yield speech_pb2.StreamTranscribeResponse(segment=segment, model=self.model)
        segment = speech_pb2.TranscriptSegment(text=f"all {num_bytes}")
        yield speech_pb2.StreamTranscribeResponse(segment=segment, final=True, model=self.model)

    def Synthesize(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        self._arrived("Synthesize", request, context)
        for piece in self._pieces(request.output_format, context):
            yield speech_pb2.SynthesizeResponse(audio=piece)
        yield speech_pb2.SynthesizeResponse(
            report=speech_pb2.SynthesizeReport(
                request_id="made-by-server",
                spoken_text=request.text,
                audio_seconds=0.2,
                first_audio_seconds=0.01,
                finish_reason=llm_pb2.FINISH_REASON_STOP,
                seed=request.sampling.seed,
                warnings=[self.model.notice],
                model=self.model,
            )
        )

    def Edit(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        self._arrived("Edit", request, context)
        plan = edits_pb2.EditPlan(
            instruction=request.instruction,
            kind=edits_pb2.EDIT_KIND_SPEED,
            engine=edits_pb2.EDIT_ENGINE_EXACT,
            value=2.0,
            summary="Twice as fast, same pitch.",
        )
        yield speech_pb2.EditResponse(plan=plan)
        if request.validate_only:
            return
        yield speech_pb2.EditResponse(progress=speech_pb2.EditProgress(stage="speaking", fraction=0.5))
        yield speech_pb2.EditResponse(reasoning_text="hello ")
        yield speech_pb2.EditResponse(reasoning_text="there")
        for piece in self._pieces(request.output_format, context):
            yield speech_pb2.EditResponse(audio=piece)
        check = edits_pb2.EditCheck(
            name="duration_ratio",
            verdict=edits_pb2.CHECK_VERDICT_PASSED,
            expected=0.5,
            measured=0.5001,
            tolerance=0.01,
        )
        report = edits_pb2.EditReport(
            request_id="made-by-server",
            plan=plan,
            checks=[check],
            source_seconds=0.4,
            result_seconds=0.2,
            warnings=[self.model.notice],
            model=self.model,
        )
        report.MergeFrom(self.edited)
        yield speech_pb2.EditResponse(report=report)

    def GetTokenizer(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._arrived("GetTokenizer", request, context)
        return tokenizer_pb2.GetTokenizerResponse(
            sample_rate=16000, hop_length=HOP_LENGTH, latent_dim=LATENT_DIM, model=self.model
        )

    def Encode(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._arrived("Encode", request, context)
        latents = latents_of(np.frombuffer(request.waveform, "<f4"))
        return tokenizer_pb2.EncodeResponse(
            latents=latents.tobytes(), num_frames=len(latents), latent_dim=LATENT_DIM, model=self.model
        )

    def Decode(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._arrived("Decode", request, context)
        waveform = waveform_of(np.frombuffer(request.latents, "<f4").reshape(-1, LATENT_DIM))
        return tokenizer_pb2.DecodeResponse(waveform=waveform.tobytes(), sample_rate=16000, model=self.model)

    def Spell(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._arrived("Spell", request, context)
        latents = np.frombuffer(request.latents, "<f4").reshape(-1, LATENT_DIM)
        return tokenizer_pb2.SpellResponse(
            log_probabilities=latents[:, :3].tobytes(),
            num_frames=len(latents),
            alphabet="ab",
            model=self.model,
        )

    def StreamEncode(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        for request in requests:
            self._arrived("StreamEncode", request, context)
            latents = latents_of(np.frombuffer(request.waveform, "<f4"))
            yield tokenizer_pb2.StreamEncodeResponse(
                latents=latents.tobytes(), num_frames=len(latents), last=request.last
            )

    def StreamDecode(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        for request in requests:
            self._arrived("StreamDecode", request, context)
            waveform = waveform_of(np.frombuffer(request.latents, "<f4").reshape(-1, LATENT_DIM))
            yield tokenizer_pb2.StreamDecodeResponse(waveform=waveform.tobytes(), last=request.last)

    def _arrived(self, method: str, request: Any, context: grpc.ServicerContext) -> None:
        self.requests.append(request)
        self.metadata = dict(context.invocation_metadata())
        self.authorizations.append(dict(context.invocation_metadata()).get("authorization"))
        if self.failures.get(method):
            error = self.failures[method].pop(0)
            status = to_rich_status(error)
            context.set_trailing_metadata(((DETAILS_KEY, status.SerializeToString()),))
            context.abort(to_status_code(error), status.message)

    def _note_cancel(self, context: grpc.ServicerContext) -> None:
        context.add_callback(lambda: self.cancelled.set() if not context.is_active() else None)

    def _pieces(
        self, asked: audio_pb2.AudioFormat, context: grpc.ServicerContext
    ) -> Iterator[audio_pb2.AudioChunk]:
        """The tone in two pieces; WAV begins with a header of open length, other files are mere marks."""
        first, second = np.split(tone(), 2)
        rate = asked.sample_rate or 16000
        written = audio_pb2.AudioFormat(encoding=asked.encoding, sample_rate=rate, num_channels=1)
        head = wav_header(rate) if asked.encoding == audio_pb2.AUDIO_ENCODING_WAV else b""
        self._note_cancel(context)
        yield audio_pb2.AudioChunk(format=written, content=head + _written(first, asked.encoding))
        if self.wait_after_first_piece is not None:
            self.wait_after_first_piece(context)
        yield audio_pb2.AudioChunk(
            format=written, content=_written(second, asked.encoding), start_seconds=0.1
        )


def tone() -> np.ndarray:
    """0.2 s of 440 Hz at 16 kHz, float32."""
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(NUM_SAMPLES) / 16000)).astype("<f4")


def latents_of(waveform: np.ndarray) -> np.ndarray:
    """One row a frame, filled with the frame's mean."""
    num_frames = -(-len(waveform) // HOP_LENGTH)
    padded = np.zeros(num_frames * HOP_LENGTH, np.float32)
    padded[: len(waveform)] = waveform
    means = padded.reshape(num_frames, HOP_LENGTH).mean(axis=1, keepdims=True)
    return np.repeat(means, LATENT_DIM, axis=1).astype("<f4")


def waveform_of(latents: np.ndarray) -> np.ndarray:
    """Each row's first value, held for a frame."""
    return np.repeat(latents[:, 0], HOP_LENGTH).astype("<f4")


def wav_header(sample_rate: int) -> bytes:
    """A header for mono 16-bit samples whose length is not known yet."""
    layout = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate, 2 * sample_rate, 2, 16)
    return (
        struct.pack("<4sI4s", b"RIFF", 0xFFFFFFFF, b"WAVE")
        + layout
        + struct.pack("<4sI", b"data", 0xFFFFFFFF)
    )


def _written(samples: np.ndarray, encoding: audio_pb2.AudioEncoding) -> bytes:
    if encoding == audio_pb2.AUDIO_ENCODING_PCM_F32LE:
        return samples.tobytes()
    return (samples * 32767).astype("<i2").tobytes()


@contextmanager
def serve(services: FakeServices) -> Iterator[FakeServices]:
    """`services` on a free loopback port, its address in `address`."""
    options = [
        ("grpc.max_receive_message_length", _MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MESSAGE_BYTES),
    ]
    server = grpc.server(ThreadPoolExecutor(max_workers=4), options=options)
    speech_pb2_grpc.add_SpeechServiceServicer_to_server(services, server)
    tokenizer_pb2_grpc.add_TokenizerServiceServicer_to_server(services, server)
    services.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield services
    finally:
        server.stop(grace=None).wait(timeout=10)

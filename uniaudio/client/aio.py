"""The asyncio client: one method per thing the services do, deadlines by default."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from types import TracebackType
from typing import Literal, Self

import grpc
import numpy as np
from numpy.typing import NDArray

from uniaudio.client import latents as wire
from uniaudio.client import requests
from uniaudio.client.access import Access, RequestId, Token
from uniaudio.client.aio_calls import AsyncCalls
from uniaudio.client.aio_jobs import AsyncJobsClient
from uniaudio.client.aio_streams import AsyncEditStream, AsyncSpeechStream, messages_of
from uniaudio.client.aio_voices import AsyncVoicesClient
from uniaudio.client.audio import AudioSource, OutputFormat, samples_of
from uniaudio.client.channel import (
    DEFAULT_ADDRESS,
    DEFAULT_TIMEOUT_SECONDS,
    PROVENANCE_SERVICE,
    SPEECH_SERVICE,
    STREAM_TIMEOUT_SECONDS,
    TOKENIZER_SERVICE,
)
from uniaudio.client.latents import Latents, Letters
from uniaudio.v1 import llm_pb2, provenance_pb2, speech_pb2, tokenizer_pb2


class AsyncSpeechClient:
    """Transcribes, speaks, edits and tokenises recordings through running services.

        async with AsyncSpeechClient("127.0.0.1:50051") as client:
            print((await client.transcribe(Path("hello.wav"))).text)

    `token` (or what gives the one of the moment) says who calls. `credentials` connect over TLS, to servers whose
    certificates name them, or name `server_name`. `request_id` gives the id of the moment, for who serves many.

    `timeout_seconds` bounds every call, and each method takes its own. Failed calls raise
    `uniaudio.errors`: InvalidInputError and its kin for what can never work, UnavailableError,
    QueueFullError and DeadlineError for what may work later. Calls that answer once and change nothing
    are sent up to four times while the service is unavailable. Belongs to one event loop.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        tokenizer_address: str = "",
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        token: Token = "",
        credentials: grpc.ChannelCredentials | None = None,
        server_name: str = "",
        request_id: RequestId = str,
    ) -> None:
        self._calls = AsyncCalls(
            address, tokenizer_address, timeout_seconds, Access(token, credentials, server_name, request_id)
        )

    @property
    def jobs(self) -> AsyncJobsClient:
        """Edits as durable jobs: many, long ones, and those that must outlive this process."""
        return AsyncJobsClient(self._calls)

    @property
    def voices(self) -> AsyncVoicesClient:
        """Voices that may be imitated, kept with their consent."""
        return AsyncVoicesClient(self._calls)

    async def check_ready(self, *, timeout_seconds: float = 5.0) -> None:
        """Returns where requests would be answered now, which needs no token. Raises UnavailableError otherwise."""
        await self._calls.check_serving(timeout_seconds)

    async def info(self, *, timeout_seconds: float | None = None) -> speech_pb2.GetInfoResponse:
        """What is loaded and what is allowed."""
        answer: speech_pb2.GetInfoResponse = await self._calls.once(
            SPEECH_SERVICE, "GetInfo", speech_pb2.GetInfoRequest(), timeout_seconds
        )
        return answer

    async def transcribe(
        self,
        audio: AudioSource,
        *,
        sample_rate: int | None = None,
        context_phrases: Sequence[str] = (),
        language: str = "",
        request_id: str = "",
        timeout_seconds: float | None = None,
    ) -> speech_pb2.TranscribeResponse:
        """The words of a recording: a path, a file's bytes, or an array with its `sample_rate` in Hz."""
        request = requests.transcribe_request(
            audio,
            sample_rate=sample_rate,
            context_phrases=context_phrases,
            language=language,
            request_id=request_id,
        )
        answer: speech_pb2.TranscribeResponse = await self._calls.once(
            SPEECH_SERVICE, "Transcribe", request, timeout_seconds
        )
        return answer

    def transcribe_progressively(
        self,
        audio: AudioSource,
        *,
        sample_rate: int | None = None,
        context_phrases: Sequence[str] = (),
        language: str = "",
        request_id: str = "",
        timeout_seconds: float | None = None,
    ) -> AsyncGenerator[speech_pb2.TranscribeProgressivelyResponse, None]:
        """The same while it is written: `text_delta` again and again, then the `transcript`."""
        request = requests.transcribe_request(
            audio,
            sample_rate=sample_rate,
            context_phrases=context_phrases,
            language=language,
            request_id=request_id,
        )
        progressive = speech_pb2.TranscribeProgressivelyRequest(transcribe=request)
        return messages_of(
            self._calls.open(SPEECH_SERVICE, "TranscribeProgressively", progressive, timeout_seconds)
        )

    def stream_transcribe(
        self,
        pieces: AsyncIterable[bytes],
        *,
        sample_rate: int,
        sample_type: Literal["int16", "float32"] = "int16",
        context_phrases: Sequence[str] = (),
        language: str = "",
        interim_results: bool = True,
        request_id: str = "",
        timeout_seconds: float = STREAM_TIMEOUT_SECONDS,
    ) -> AsyncIterator[speech_pb2.StreamTranscribeResponse]:
        """Texts of live audio as they become known; `pieces` are raw mono samples, at most 1 MiB each."""
        config = requests.live_config(
            sample_rate=sample_rate,
            sample_type=sample_type,
            context_phrases=context_phrases,
            language=language,
            interim_results=interim_results,
            request_id=request_id,
        )

        async def messages() -> AsyncIterator[speech_pb2.StreamTranscribeRequest]:
            yield config
            async for piece in pieces:
                yield speech_pb2.StreamTranscribeRequest(audio_content=piece)

        return messages_of(self._calls.open(SPEECH_SERVICE, "StreamTranscribe", messages(), timeout_seconds))

    def synthesize(
        self,
        text: str,
        *,
        prompt_audio: AudioSource | None = None,
        prompt_sample_rate: int | None = None,
        prompt_text: str = "",
        voice_id: str = "",
        normalization: requests.Normalization = "auto",
        sampling: llm_pb2.SamplingOptions | None = None,
        output_format: OutputFormat = "pcm_f32",
        output_sample_rate: int | None = None,
        text_in_manifest: bool = False,
        request_id: str = "",
        timeout_seconds: float | None = None,
    ) -> AsyncSpeechStream:
        """Speech of `text`, in the voice of `prompt_audio` or of one of `voices`; `sampling()` makes the options."""
        request = requests.synthesize_request(
            text,
            prompt_audio=prompt_audio,
            prompt_sample_rate=prompt_sample_rate,
            prompt_text=prompt_text,
            voice_id=voice_id,
            normalization=normalization,
            options=sampling,
            output_format=output_format,
            output_sample_rate=output_sample_rate,
            text_in_manifest=text_in_manifest,
            request_id=request_id,
        )
        call = self._calls.open(SPEECH_SERVICE, "Synthesize", request, timeout_seconds)
        return AsyncSpeechStream(call, output_format)

    def edit(
        self,
        audio: AudioSource,
        instruction: str,
        *,
        sample_rate: int | None = None,
        engine: requests.Engine = "auto",
        transcript: str = "",
        regenerate_untouched: bool = False,
        validate_only: bool = False,
        sampling: llm_pb2.SamplingOptions | None = None,
        output_format: OutputFormat = "pcm_f32",
        output_sample_rate: int | None = None,
        text_in_manifest: bool = False,
        request_id: str = "",
        timeout_seconds: float | None = None,
    ) -> AsyncEditStream:
        """The recording, changed as `instruction` says; `validate_only` answers the plan alone."""
        request = requests.edit_request(
            audio,
            instruction,
            sample_rate=sample_rate,
            engine=engine,
            transcript=transcript,
            regenerate_untouched=regenerate_untouched,
            validate_only=validate_only,
            options=sampling,
            output_format=output_format,
            output_sample_rate=output_sample_rate,
            text_in_manifest=text_in_manifest,
            request_id=request_id,
        )
        call = self._calls.open(SPEECH_SERVICE, "Edit", request, timeout_seconds)
        return AsyncEditStream(call, output_format)

    async def verify_audio(
        self,
        audio: AudioSource,
        *,
        manifest: str = "",
        sample_rate: int | None = None,
        request_id: str = "",
        timeout_seconds: float | None = None,
    ) -> provenance_pb2.VerifyResponse:
        """Whether a recording carries the watermark, and whether `manifest` is signed and describes it."""
        request = requests.verify_request(audio, manifest, sample_rate=sample_rate, request_id=request_id)
        answer: provenance_pb2.VerifyResponse = await self._calls.once(
            PROVENANCE_SERVICE, "Verify", request, timeout_seconds
        )
        return answer

    async def provenance_keys(self, *, timeout_seconds: float | None = None) -> str:
        """The public keys of signed manifests, a JSON Web Key Set."""
        answer: provenance_pb2.GetKeysResponse = await self._calls.once(
            PROVENANCE_SERVICE, "GetKeys", provenance_pb2.GetKeysRequest(), timeout_seconds
        )
        return answer.jwks_json

    async def tokenizer_info(
        self, *, timeout_seconds: float | None = None
    ) -> tokenizer_pb2.GetTokenizerResponse:
        """Sizes of the tokenizer's model."""
        answer: tokenizer_pb2.GetTokenizerResponse = await self._calls.once(
            TOKENIZER_SERVICE, "GetTokenizer", tokenizer_pb2.GetTokenizerRequest(), timeout_seconds
        )
        return answer

    async def encode(
        self,
        audio: AudioSource,
        *,
        sample_rate: int | None = None,
        sample: bool = False,
        seed: int = 0,
        timeout_seconds: float | None = None,
    ) -> Latents:
        """Latents `(num_frames, latent_dim)` of a recording: the posterior's mean, or a sample of it."""
        waveform = await asyncio.to_thread(wire.model_waveform, audio, sample_rate)
        options = wire.encode_options(sample=sample, seed=seed)
        if len(waveform) <= wire.MAX_UNARY_SAMPLES:
            request = tokenizer_pb2.EncodeRequest(waveform=waveform.astype("<f4").tobytes(), options=options)
            answer = await self._calls.once(TOKENIZER_SERVICE, "Encode", request, timeout_seconds)
            return wire.latents_from(answer.latents, answer.num_frames)
        call = self._calls.open(
            TOKENIZER_SERVICE, "StreamEncode", wire.encode_pieces(waveform, options), timeout_seconds
        )
        answers = [answer async for answer in messages_of(call)]
        content = b"".join(answer.latents for answer in answers)
        return wire.latents_from(content, sum(answer.num_frames for answer in answers))

    async def decode(
        self, latents: NDArray[np.generic], *, timeout_seconds: float | None = None
    ) -> NDArray[np.float32]:
        """The waveform `(num_samples,)` of latents, float32 at the tokenizer's rate (16 kHz)."""
        checked = wire.checked_latents(latents)
        if len(checked) <= wire.MAX_UNARY_FRAMES:
            request = tokenizer_pb2.DecodeRequest(latents=checked.astype("<f4").tobytes())
            answer = await self._calls.once(TOKENIZER_SERVICE, "Decode", request, timeout_seconds)
            return samples_of(answer.waveform, "pcm_f32")
        call = self._calls.open(
            TOKENIZER_SERVICE, "StreamDecode", wire.decode_pieces(checked), timeout_seconds
        )
        content = b"".join([answer.waveform async for answer in messages_of(call)])
        return samples_of(content, "pcm_f32")

    async def spell(self, latents: NDArray[np.generic], *, timeout_seconds: float | None = None) -> Letters:
        """How likely each of up to a minute's latents speaks each letter, by models with a letter ear, as nano has."""
        request = tokenizer_pb2.SpellRequest(latents=wire.checked_latents(latents).astype("<f4").tobytes())
        return wire.letters_from(await self._calls.once(TOKENIZER_SERVICE, "Spell", request, timeout_seconds))

    async def close(self) -> None:
        """Cancels what is running and closes the connections."""
        await self._calls.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

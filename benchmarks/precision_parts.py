"""What a checkpoint makes of a test set in one precision: transcripts, logits, speech, recordings there and back."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from uniaudio.checkpoint import Checkpoint
from uniaudio.engine.engine import Engine
from uniaudio.engine.events import FinishEvent, PatchEvent
from uniaudio.engine.packed_model import PackedSpeechModel
from uniaudio.engine.request import GenerationRequest, Speak, Understand
from uniaudio.engine.speech_model import AnySpeechModel, SpeechModel
from uniaudio.errors import InvalidInputError
from uniaudio.evaluation.judges import TextJudge
from uniaudio.evaluation.recordings import Waveform, read_recording, write_recording
from uniaudio.evaluation.suites.synthetic_data import SpeechRow, read_speech
from uniaudio.evaluation.suites.synthetic_speech import with_prompts
from uniaudio.llm.prompt import understanding_prompt
from uniaudio.nn.native.packed import Precision
from uniaudio.tokenizer import AudioTokenizer
from uniaudio.tokenizer.packed import pack_tokenizer

T = TypeVar("T")


@dataclass(frozen=True)
class HeldOut:
    """Recordings with their words, and sentences `(row, voice, the voice's words)` to be said."""

    recordings: Sequence[SpeechRow]
    sentences: Sequence[tuple[SpeechRow, Path, str]]


@dataclass(frozen=True)
class Coded:
    """Recordings as latents `(num_frames, latent_dim)`, and decoded again."""

    latents: Sequence[Tensor]
    waveforms: Sequence[Waveform]


@dataclass(frozen=True)
class Sentence:
    """What is to be said, after a voice's latents `(num_frames, latent_dim)` and words."""

    text: str
    voice: Tensor
    voice_text: str


@dataclass(frozen=True)
class Answers:
    """Of one model: replies to recordings, logits `(n, V)` of replies given to it, latents of its speech."""

    replies: Sequence[str]
    logits: Sequence[Tensor]
    speech: Sequence[Tensor]


def read_held_out(folder: Path, limit: int | None) -> HeldOut:
    """At most `limit` recordings and as many sentences, spread evenly over those of the folder."""
    rows = read_speech(folder)
    recordings = _spread([row for row in rows if "transcribe" in row.tasks], limit)
    prompted = list(with_prompts([row for row in rows if "speak" in row.tasks], rows))
    if not (recordings and prompted):
        raise InvalidInputError(
            f"{folder} has no speech.jsonl with recordings to transcribe and sentences to speak; name a folder "
            "that `python -m training.data.test_set` wrote",
            value=folder,
            limit="at least one recording of each task",
            remedy="name a test set",
        )
    return HeldOut(recordings, _spread(prompted, limit))


def _spread(items: Sequence[T], limit: int | None) -> list[T]:
    count = min(len(items), limit or len(items))
    return [items[number * len(items) // count] for number in range(count)]


def load_tokenizer(folder: Path, precision: str) -> AudioTokenizer:
    """Encoder and decoder, by the CPU kernels, as the tokenizer service loads them."""
    tokenizer = AudioTokenizer.from_checkpoint(
        Checkpoint(folder), parts=("encoder", "decoder"), dtype=getattr(torch, precision)
    )
    pack_tokenizer(tokenizer, Precision[precision.upper()])
    return tokenizer


def load_model(folder: Path, precision: str) -> PackedSpeechModel:
    """The speech model, by the CPU kernels, as the LLM service loads it."""
    # What will be held in whole numbers is rounded once, from what the checkpoint holds.
    dtype = torch.float32 if precision == "int8" else getattr(torch, precision)
    model = SpeechModel.from_checkpoint(Checkpoint(folder), dtype=dtype)
    return PackedSpeechModel.pack(model, Precision[precision.upper()])


@torch.inference_mode()
def code(tokenizer: AudioTokenizer, rows: Sequence[SpeechRow], what: str) -> Coded:
    """The rows' recordings there and back; waveforms are as long as the recordings."""
    latents, waveforms = [], []
    for row in each(rows, what):
        recording = read_recording(row.audio)
        latents.append(encode(tokenizer, recording))
        waveforms.append(decode(tokenizer, latents[-1])[: len(recording)])
    return Coded(latents, waveforms)


@torch.inference_mode()
def encode(tokenizer: AudioTokenizer, waveform: Waveform) -> Tensor:
    """The posterior's mean `(num_frames, latent_dim)` of samples `(num_samples,)`."""
    return tokenizer.encode(torch.from_numpy(waveform)[None]).mean[0]


@torch.inference_mode()
def decode(tokenizer: AudioTokenizer, latents: Tensor) -> Waveform:
    """Samples `(num_samples,)` of latents `(num_frames, latent_dim)`."""
    waveform: Waveform = tokenizer.decode(latents[None])[0].numpy()
    return waveform


def read_sentences(tokenizer: AudioTokenizer, held_out: HeldOut) -> list[Sentence]:
    """What is to be said, with the voices encoded."""
    return [
        Sentence(row.text, encode(tokenizer, read_recording(voice)), words)
        for row, voice, words in each(held_out.sentences, "voices")
    ]


def answer(
    model: PackedSpeechModel,
    recordings: Sequence[Tensor],
    sentences: Sequence[Sentence],
    name: str,
    replies: Sequence[str] | None = None,
) -> Answers:
    """All answers of a model called `name`; logits are of the given replies, else of its own."""
    written = transcribe(model, recordings, f"{name}: transcripts")
    pairs = list(zip(recordings, replies or written, strict=True))
    logits = [forced_logits(model, latents, reply) for latents, reply in each(pairs, f"{name}: logits")]
    return Answers(written, logits, speak(model, sentences, f"{name}: speech"))


def transcribe(model: PackedSpeechModel, recordings: Sequence[Tensor], what: str) -> list[str]:
    """The engine's replies to latents of recordings."""
    with closing(Engine(model)) as engine:
        requests = [
            GenerationRequest(request_id=str(number), task=Understand(), latents=latents)
            for number, latents in enumerate(recordings)
        ]
        return [_text(engine, request) for request in each(requests, what)]


def _text(engine: Engine[PackedSpeechModel], request: GenerationRequest) -> str:
    return next(event.text for event in engine.generate(request) if isinstance(event, FinishEvent))


def speak(model: PackedSpeechModel, sentences: Sequence[Sentence], what: str) -> list[Tensor]:
    """Latents `(num_frames, latent_dim)` of the engine's speech; a sentence's number is its seed."""
    with closing(Engine(model)) as engine:
        requests = [
            GenerationRequest(
                request_id=str(number),
                task=Speak(text=sentence.text, prompt_text=sentence.voice_text),
                latents=sentence.voice,
                sampling=replace(engine.preferred_sampling, seed=number),
            )
            for number, sentence in enumerate(sentences)
        ]
        return [torch.cat(list(_patches(engine, request))) for request in each(requests, what)]


def _patches(engine: Engine[PackedSpeechModel], request: GenerationRequest) -> Iterator[Tensor]:
    return (event.latents for event in engine.generate(request) if isinstance(event, PatchEvent))


@torch.inference_mode()
def forced_logits(model: AnySpeechModel, latents: Tensor, reply: str) -> Tensor:
    """What each token of a reply to a recording, and the end after it, would be chosen from: `(n, V)`."""
    tokenizer = model.text_tokenizer
    prompt = understanding_prompt(tokenizer, len(latents) // model.patch_size)
    told = replace(prompt, token_ids=(*prompt.token_ids, *tokenizer.encode(reply)))
    state = model.new_state()
    embeddings = model.embed_prompt(told, [latents], state)
    hidden: Tensor = model.language_model(embeddings, [len(told)], [state.language], model.audio_mask(told))
    return model.logits(hidden[len(prompt) - 1 :])


def hear(
    judge: TextJudge,
    tokenizer: AudioTokenizer,
    speech: Sequence[Tensor],
    rows: Sequence[SpeechRow],
    what: str,
) -> list[str]:
    """What a recogniser hears in decoded speech `(num_frames, latent_dim)` that says the rows' texts."""
    heard = []
    with tempfile.TemporaryDirectory() as folder:
        for latents, row in each(list(zip(speech, rows, strict=True)), what):
            path = write_recording(Path(folder) / "heard.wav", decode(tokenizer, latents))
            heard.append(judge.hear(path, row.language))
    return heard


def each(items: Sequence[T], what: str) -> Iterable[T]:
    """The items, with a bar of how far they are."""
    return track(items, description=what, console=Console(stderr=True), transient=True)

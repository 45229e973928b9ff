"""The steps that `engine.py` measures: ours for any number of streams, the published one for one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.published import Cache, PublishedDecoder, PublishedModel
from uniaudio.checkpoint import Checkpoint
from uniaudio.engine.engine import Engine
from uniaudio.engine.events import Event, PatchEvent
from uniaudio.engine.packed_model import PackedSpeechModel
from uniaudio.engine.request import GenerationRequest, SamplingOptions, Speak
from uniaudio.engine.speech_model import AnySpeechModel, SpeechModel
from uniaudio.llm.solver import SolverOptions
from uniaudio.nn.native.packed import Precision
from uniaudio.tokenizer import AudioTokenizer
from uniaudio.tokenizer.packed import pack_tokenizer

PROMPT_POSITIONS = 128
# 3 s of voice, of which a patch is 100 ms.
VOICE_PATCHES = 30
OPTIONS = SolverOptions()
_BYTES = {"float32": 4, "bfloat16": 2, "int8": 1}


@dataclass(frozen=True)
class Case:
    """One row: `step` makes `amount` of what is counted, `published` makes `published_amount` of it."""

    what: str
    num_streams: int
    precision: str
    step: Callable[[], None]
    published: Callable[[], None]
    amount: float
    published_amount: float
    bytes_read: float


@dataclass(frozen=True)
class Models:
    """One checkpoint, plain and packed in every precision."""

    plain: SpeechModel
    packed: dict[str, PackedSpeechModel]
    plain_decoder: AudioTokenizer
    decoders: dict[str, AudioTokenizer]

    def first_audio_lines(self) -> list[str]:
        """Milliseconds from submission to the first patch, with a new voice and with a known one."""
        out = [
            "| first patch, ms | new voice | the same again | known voice, new text |",
            "|---|---|---|---|",
        ]
        for name, model in self.packed.items():
            engine = Engine(model)
            voice = torch.randn(VOICE_PATCHES * model.patch_size, model.latent_dim)
            waits = first_patch_waits(engine, voice)
            engine.close()
            out.append(f"| {name} | " + " | ".join(f"{1000 * wait:.0f}" for wait in waits) + " |")
        return out


def load_models(directory: Path, precisions: Sequence[str]) -> Models:
    """Everything that is measured."""
    checkpoint = Checkpoint(directory)
    plain = SpeechModel.from_checkpoint(checkpoint)

    def decoder() -> AudioTokenizer:
        return AudioTokenizer.from_checkpoint(checkpoint, parts=("decoder",))

    decoders = {name: decoder() for name in precisions if name != "int8"}
    for name, tokenizer in decoders.items():
        pack_tokenizer(tokenizer, Precision[name.upper()])
    packed = {name: PackedSpeechModel.pack(plain, Precision[name.upper()]) for name in precisions}
    return Models(plain, packed, decoder(), decoders)


def cases_of(models: Models, kinds: Sequence[str], streams: Sequence[int]) -> list[Case]:
    """A case for every kind, number of streams and precision."""
    makers = {"text": _text_cases, "speech": _speech_cases, "decode": _decode_cases}
    return [case for kind in kinds for case in makers[kind](models, streams)]


def _text_cases(models: Models, streams: Sequence[int]) -> list[Case]:
    published = PublishedModel(models.plain)
    cache = Cache()
    published.language_step(torch.randn(1, PROMPT_POSITIONS, models.plain.hidden_size), cache)

    def publish() -> None:
        published.next_token(published.language_step(published.embed_token(5), cache))

    return [
        Case(
            "text",
            count,
            name,
            text_step(model, count),
            publish,
            count,
            1,
            _text_bytes(models.plain, name, count),
        )
        for name, model in models.packed.items()
        for count in streams
    ]


def text_step(model: AnySpeechModel, count: int) -> Callable[[], None]:
    """One token of every one of `count` streams, after a prompt."""
    states = [model.new_state() for _ in range(count)]
    language = [state.language for state in states]
    prompt = torch.randn(PROMPT_POSITIONS * count, model.hidden_size).to(model.device, model.input_dtype)
    model.language_model(prompt, [PROMPT_POSITIONS] * count, language)
    # Each stream writes its own tokens, so that experts are met as they would be.
    tokens = torch.randint(0, 400, (count,))

    def step() -> None:
        hidden = model.step(model.embed_tokens(tokens), states)
        model.logits(hidden).argmax(-1).tolist()

    return step


def _text_bytes(model: SpeechModel, precision: str, count: int) -> float:
    """What a step must read: every weight of its rows, each once."""
    head = model.language_model.config.vocab_size * model.hidden_size
    return (weights_met(model, count) + head) * _BYTES[precision]


def weights_met(model: SpeechModel, count: int) -> float:
    """How many weights of the language model's layers a position of each of `count` streams meets, each once."""
    config = model.language_model.config
    layers = sum(parameter.numel() for parameter in model.language_model.layers.parameters())
    experts = 3 * config.hidden_size * config.moe_intermediate_size * config.num_experts * config.num_layers
    met = 1 - (1 - config.top_k / config.num_experts) ** count
    return layers - experts + met * experts


def _speech_cases(models: Models, streams: Sequence[int]) -> list[Case]:
    published = PublishedModel(models.plain)
    cache, semantic = Cache(), Cache()
    size, dim = models.plain.patch_size, models.plain.latent_dim
    published.language_step(torch.randn(1, PROMPT_POSITIONS, models.plain.hidden_size), cache)
    patch, noise = torch.randn(1, size, dim), torch.randn(OPTIONS.num_steps, size, dim)

    def publish() -> None:
        hidden = published.language_step(published.embed_patch(patch, semantic), cache)
        published.stops(hidden[0])
        published.sample_patch(hidden[0], patch, noise, OPTIONS)

    return [
        Case("speech", count, name, speech_step(model, count), publish, count, 1, 0)
        for name, model in models.packed.items()
        for count in streams
    ]


def speech_step(model: AnySpeechModel, count: int) -> Callable[[], None]:
    """One patch of every one of `count` streams, after a prompt."""
    states = [model.new_state() for _ in range(count)]
    prompt = torch.randn(PROMPT_POSITIONS * count, model.hidden_size).to(model.device, model.input_dtype)
    model.language_model(prompt, [PROMPT_POSITIONS] * count, [state.language for state in states])
    patches = torch.randn(count, model.patch_size, model.latent_dim)
    steps = torch.randn(OPTIONS.num_steps - 1, count, model.patch_size, model.latent_dim)

    def step() -> None:
        hidden = model.step(model.embed_patches(patches, states), states)
        model.stop_probabilities(hidden)
        model.sample_patches(hidden, patches, patches, steps, OPTIONS)

    return step


def _decode_cases(models: Models, streams: Sequence[int]) -> list[Case]:
    size, dim = models.plain.patch_size, models.plain.latent_dim
    seconds = size * models.plain_decoder.hop_length / models.plain_decoder.sample_rate
    latents = torch.randn(size, dim)
    # As in the published measurement, streams are 10 s long.
    num_chunks = round(10 / seconds)
    cases = []
    for name, tokenizer in models.decoders.items():
        for count in streams:
            ours, theirs = (
                _decode_step(tokenizer, count, latents, num_chunks),
                _published_decode(models.plain_decoder, latents, num_chunks),
            )
            cases.append(Case("decode", count, name, ours, theirs, count * seconds, seconds, 0))
    return cases


def _decode_step(tokenizer: AudioTokenizer, count: int, latents: Tensor, length: int) -> Callable[[], None]:
    states = [tokenizer.new_decoder_state() for _ in range(count)]
    num_done = 0

    def step() -> None:
        nonlocal states, num_done
        if num_done == length:
            states, num_done = [tokenizer.new_decoder_state() for _ in range(count)], 0
        tokenizer.decode_stream([latents] * count, states, [False] * count)
        num_done += 1

    return step


def _published_decode(tokenizer: AudioTokenizer, latents: Tensor, length: int) -> Callable[[], None]:
    decoder, num_done = PublishedDecoder(tokenizer), 0

    def step() -> None:
        nonlocal decoder, num_done
        if num_done == length:
            decoder, num_done = PublishedDecoder(tokenizer), 0
        decoder.decode(latents)
        num_done += 1

    return step


def first_patch_waits(engine: Engine[Any], voice: Tensor) -> list[float]:
    """Seconds to the first patch: with the voice, the same again, and with another text."""
    texts = ("The day was cold and bright.",) * 2 + ("We speak of other things today.",)
    return [first_patch_seconds(engine, text, voice, f"r{index}") for index, text in enumerate(texts)]


def first_patch_seconds(engine: Engine[Any], text: str, voice: Tensor, name: str) -> float:
    """From a request's submission to its first patch."""
    arrived = threading.Event()
    seconds = 0.0
    start = time.perf_counter()

    def on_event(event: Event) -> None:
        nonlocal seconds
        if isinstance(event, PatchEvent) and event.index == 0:
            seconds = time.perf_counter() - start
            arrived.set()

    task = Speak(text=text, prompt_text="This is me.", min_patches=1, max_patches=1)
    engine.submit(
        GenerationRequest(request_id=name, task=task, latents=voice, sampling=SamplingOptions(seed=1)),
        on_event,
    )
    if not arrived.wait(60):
        raise TimeoutError("no patch within 60 s")
    return seconds

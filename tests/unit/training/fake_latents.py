"""Latents that need no tokenizer: random ones, known by index."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from tests.unit.training.small_model import FLOW_HEAD, LANGUAGE_MODEL
from training.data.latent_folder import EditEntry, StoredPosterior
from training.data.utterance import Span
from training.objectives.speech import SpeechModules
from training.recipes.nano_vocabulary import nano_text_tokenizer
from uniaudio.llm.flow_head import FlowHead, StopHead
from uniaudio.llm.model import LanguageModel
from uniaudio.llm.patching import LinearPooling
from uniaudio.llm.text_tokenizer import TextTokenizer
from uniaudio.tokenizer.semantic import SemanticModule

LATENT_DIM, PATCH, HIDDEN = FLOW_HEAD.latent_dim, FLOW_HEAD.patch_size, LANGUAGE_MODEL.hidden_size
UNIFIED_DIM = 16
TEXTS = ("he went home", "she sang", "we saw it", "they slept well", "you came", "i know")


def posterior(seed: int, num_frames: int) -> StoredPosterior:
    rng = np.random.default_rng(seed)
    mean = rng.standard_normal((num_frames, LATENT_DIM), dtype=np.float32)
    return StoredPosterior(mean, np.full_like(mean, 0.1))


@dataclass(frozen=True)
class FakeCorpus:
    """Utterance i of `size` has 15 + 5 (i mod 3) frames; two voices take turns."""

    size: int = 6
    latent_dim: int = LATENT_DIM

    def __len__(self) -> int:
        return self.size

    def num_frames(self, index: int) -> int:
        return 15 + 5 * (index % 3)

    def text(self, index: int) -> str:
        return TEXTS[index % len(TEXTS)]

    def voice(self, index: int) -> str:
        return f"voice {index % 2}"

    def language(self, index: int) -> str:
        return "English"

    def words(self, index: int) -> tuple[Span, ...]:
        words = self.text(index).split()
        step = self.num_frames(index) * 320 // len(words)
        return tuple(Span(word, at * step, (at + 1) * step) for at, word in enumerate(words))

    def posterior(self, index: int, num_frames: int | None = None) -> StoredPosterior:
        whole = posterior(index, self.num_frames(index))
        return StoredPosterior(whole.mean[:num_frames], whole.std[:num_frames])


@dataclass(frozen=True)
class FakeEdits:
    """Even edits insert a word and have a plan and a region, every fourth cut far off; odd ones denoise."""

    size: int = 4
    latent_dim: int = LATENT_DIM

    def __len__(self) -> int:
        return self.size

    def entry(self, index: int) -> EditEntry:
        if index % 2:
            return EditEntry(
                kind="denoise",
                instruction="denoise the audio",
                plan_text="",
                source_frames=20,
                target_frames=20,
                source_text="he went home",
                target_text="he went home",
            )
        return EditEntry(
            kind="insert",
            instruction="insert 'so' at the end",
            plan_text="<cot_text>she sang<edit><framePatch></edit></cot_text>",
            source_frames=20,
            target_frames=30,
            source_text="she sang",
            target_text="she sang so",
            target_region=(21, 28),
            boundary_error_seconds=0.004 if index % 4 else 0.03,
            target_words=(Span("she", 0, 1600), Span("so", 6720, 8960)),
        )

    def source(self, index: int) -> StoredPosterior:
        return posterior(100 + index, self.entry(index).source_frames)

    def target(self, index: int) -> StoredPosterior:
        return posterior(200 + index, self.entry(index).target_frames)


def text_tokenizer() -> TextTokenizer:
    return TextTokenizer(nano_text_tokenizer())


def speech_modules(seed: int = 0, auxiliary_width: int = 0) -> SpeechModules:
    torch.manual_seed(seed)
    language = LanguageModel(replace(LANGUAGE_MODEL, vocab_size=400))
    flow = replace(FLOW_HEAD, mlp_ratio=4.0)
    return SpeechModules(
        language=language,
        pooling=LinearPooling(UNIFIED_DIM, HIDDEN, PATCH),
        flow_head=FlowHead(flow),
        stop_head=StopHead(HIDDEN),
        semantic=SemanticModule(torch.nn.Linear(LATENT_DIM, 12), UNIFIED_DIM, 2, 2),
        auxiliary=torch.nn.Linear(HIDDEN, PATCH * auxiliary_width) if auxiliary_width else None,
    )

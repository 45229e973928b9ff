"""A small LLM that reads unified embeddings and writes what was said, letter by letter.

It is how the unified stage's alignment loss is measured: the published projection is not described, so this
one pools patches as the large model does (model specification 4.1, 8.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from training.stages.characters import ALPHABETS, BEGIN, END, NUM_CHARACTERS
from uniaudio.errors import InvalidInputError
from uniaudio.llm.config import LanguageModelConfig
from uniaudio.llm.model import LanguageModel
from uniaudio.llm.patching import LinearPooling


def letter_model(
    hidden_size: int = 192, num_layers: int = 4, num_heads: int = 4, vocab_size: int = NUM_CHARACTERS
) -> LanguageModelConfig:
    """A language model over letters with one expert, which is a dense one."""
    return LanguageModelConfig(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        num_layers=num_layers,
        num_heads=num_heads,
        num_kv_heads=num_heads,
        head_dim=hidden_size // num_heads,
        num_experts=1,
        top_k=1,
        moe_intermediate_size=2 * hidden_size,
        rope_theta=10000.0,
    )


@dataclass(frozen=True, kw_only=True)
class ReaderConfig:
    """Sizes of the reader; `unified_dim` is the teacher's and the student's width.

    It spells in lower-case letters, or in the bytes of any writing; a transcript has at most `max_letters`.
    """

    unified_dim: int
    patch_size: int = 5
    alphabet: Literal["letters", "bytes"] = "letters"
    max_letters: int = 120
    language_model: LanguageModelConfig = field(default_factory=letter_model)

    def __post_init__(self) -> None:
        needed = ALPHABETS[self.alphabet].size
        if self.language_model.vocab_size < needed:
            raise InvalidInputError(
                f"the reader's vocab_size is {self.language_model.vocab_size}; {self.alphabet} need {needed}"
            )


class TranscriptReader(nn.Module):
    """Unified embeddings of utterances to their transcripts' log-likelihood, and to transcripts."""

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        self.config, self._alphabet = config, ALPHABETS[config.alphabet]
        self.pooling = LinearPooling(config.unified_dim, config.language_model.hidden_size, config.patch_size)
        self.llm = LanguageModel(config.language_model)
        with torch.no_grad():
            # Beside pooled audio, letters drawn with deviation 1 would be all that is seen.
            self.llm.word_embeddings.weight.mul_(0.1)

    def forward(self, unified: Tensor, lengths: Sequence[int], texts: Sequence[str]) -> Tensor:
        """Summed cross-entropy of every letter and the end, given what was heard and the letters before.

        Args:
            unified: `(sum(lengths), unified_dim)`, the frames of all utterances one after the other.
            texts: their transcripts, spelled in the reader's alphabet.
        """
        letters = [self._alphabet.encode(text) for text in texts]
        heard = self._hear(unified, lengths)
        given = [[BEGIN, *ids] for ids in letters]
        written = self._embed([i for ids in given for i in ids], unified.device)
        written_pieces = torch.split(written, [len(ids) for ids in given])
        pieces = [piece for pair in zip(heard, written_pieces, strict=True) for piece in pair]
        totals = [len(h) + len(w) for h, w in zip(heard, written_pieces, strict=True)]
        hidden = self.llm(torch.cat(pieces), totals)
        kept = [item[-len(ids) :] for item, ids in zip(torch.split(hidden, totals), given, strict=True)]
        labels = torch.tensor([i for ids in letters for i in (*ids, END)], device=unified.device)
        return nn.functional.cross_entropy(self.llm.logits(torch.cat(kept)), labels, reduction="sum")

    @torch.no_grad()
    def transcribe(
        self, unified: Tensor, lengths: Sequence[int], max_letters: int | None = None
    ) -> list[str]:
        """The likeliest next letter, one after the other, to the end or `max_letters` (the configured most)."""
        heard = self._hear(unified, lengths)
        caches = [self.llm.new_cache() for _ in lengths]
        begin = self._embed([BEGIN], unified.device)
        prompts = [torch.cat((piece, begin.to(piece.dtype))) for piece in heard]
        hidden = self.llm(torch.cat(prompts), [len(prompt) for prompt in prompts], caches)
        last = torch.tensor([len(prompt) for prompt in prompts]).cumsum(0) - 1
        ids = self.llm.logits(hidden[last.to(hidden.device)]).argmax(-1)
        written: list[list[int]] = [[] for _ in lengths]
        running = list(range(len(lengths)))
        for _ in range(max_letters or self.config.max_letters):
            going = [(i, letter) for i, letter in zip(running, ids.tolist(), strict=True) if letter != END]
            if not going:
                break
            for i, letter in going:
                written[i].append(letter)
            running = [i for i, _ in going]
            embedded = self._embed([letter for _, letter in going], unified.device)
            hidden = self.llm(embedded, [1] * len(running), [caches[i] for i in running])
            ids = self.llm.logits(hidden).argmax(-1)
        return [self._alphabet.decode(letters) for letters in written]

    def _hear(self, unified: Tensor, lengths: Sequence[int]) -> list[Tensor]:
        """Pooled patches of every utterance; frames after its last whole patch are dropped."""
        size = self.config.patch_size
        whole = [length // size * size for length in lengths]
        frames = torch.split(unified, list(lengths))
        kept = torch.cat([item[:count] for item, count in zip(frames, whole, strict=True)])
        return list(torch.split(self.pooling(kept), [count // size for count in whole]))

    def _embed(self, ids: Sequence[int], device: torch.device) -> Tensor:
        return self.llm.embed(torch.tensor(list(ids), dtype=torch.long, device=device))

"""A speech model in the CPU kernels' layout: the same numbers to rounding, several times faster."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from uniaudio.engine.paged_model import PagedSpeechModel
from uniaudio.engine.request import EngineConfig
from uniaudio.engine.speech_model import AnySpeechModel, SpeechModel
from uniaudio.errors import UnavailableError
from uniaudio.llm.flow_head import StopHead
from uniaudio.llm.packed import PackedFlowHead, PackedLanguageModel
from uniaudio.llm.patching import LinearPooling
from uniaudio.nn.native.packed import Affine, PackedMatrix, Precision
from uniaudio.tokenizer.packed import PackedSemantic

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PackedSpeechModel(AnySpeechModel):
    """A speech model whose parts are packed. Its sums never depend on what is computed beside them."""

    language_model: PackedLanguageModel
    pooling: PackedPooling
    flow_head: PackedFlowHead
    stop_head: PackedStopHead
    semantic: PackedSemantic

    is_batch_invariant: ClassVar[bool] = True

    @classmethod
    def pack(
        cls,
        model: SpeechModel,
        precision: Precision = Precision.FLOAT32,
        *,
        max_positions: int | None = None,
    ) -> PackedSpeechModel:
        """The model with its parts packed; the plain parts can then be dropped.

        Whole numbers of a byte are for the language model alone: what latents pass through stays in
        bfloat16, because its error is heard. Projector and stop head are small and stay exact.

        Args:
            max_positions: what all sequences together may come to hold; None knows no limit.

        Raises:
            UnavailableError: the kernels cannot be built here.
        """
        heard = Precision.BFLOAT16 if precision is Precision.INT8 else precision
        return cls(
            language_model=PackedLanguageModel(model.language_model, precision, max_positions=max_positions),
            pooling=PackedPooling(model.pooling),
            flow_head=PackedFlowHead(model.flow_head, heard),
            stop_head=PackedStopHead(model.stop_head),
            semantic=PackedSemantic(model.semantic, heard),
            text_tokenizer=model.text_tokenizer,
            patch_config=model.patch_config,
            info=model.info,
        )

    @property
    def input_dtype(self) -> torch.dtype:
        """The kernels round for themselves."""
        return torch.float32


def fast_form(model: AnySpeechModel, config: EngineConfig) -> AnySpeechModel:
    """The model as the engine runs it: packed on a CPU where the kernels can be built, over pools on a GPU.

    Raises UnavailableError where weights in whole numbers are wanted and there are no kernels, or a GPU has no memory
    for the positions.
    """
    if not isinstance(model, SpeechModel) or not config.use_kernels:
        return model
    if config.precision == "int8" and model.device.type != "cpu":
        raise UnavailableError(
            f"weights in whole numbers need the CPU kernels, and the model is on {model.device}; take bfloat16 there",
            value=f"int8 on {model.device}",
            limit="int8 on a CPU alone",
            remedy="set UNIAUDIO_LLM_DTYPE to bfloat16",
        )
    if model.device.type == "cuda":
        return PagedSpeechModel.of(model, max_positions=config.max_kv_positions)
    if model.device.type != "cpu":
        return model
    names = {torch.float32: "float32", torch.bfloat16: "bfloat16"}
    precision = Precision[(config.precision or names[model.dtype]).upper()]
    try:
        return PackedSpeechModel.pack(model, precision, max_positions=config.max_kv_positions)
    except UnavailableError as error:
        if precision is Precision.INT8:
            raise
        logger.warning("the model runs by torch's own products, several times slower: %s", error)
        return model


class PackedPooling:
    """Does what `LinearPooling` does."""

    def __init__(self, pooling: LinearPooling) -> None:
        self._norm = (pooling.norm.weight.detach().float().contiguous(), pooling.norm.eps)
        self._linear = PackedMatrix(Affine(pooling.linear.weight, pooling.linear.bias), Precision.FLOAT32)
        self._patch_size = pooling.patch_size

    def __call__(self, unified_embeddings: Tensor) -> Tensor:
        """Embeddings `(N, H)` of whole patches of frames `(N * patch_size, unified_dim)`."""
        frames = self._linear(unified_embeddings, norm=self._norm)
        patches = frames.view(-1, self._patch_size, frames.shape[-1])
        total = patches[:, 0].clone()
        for index in range(1, self._patch_size):
            total += patches[:, index]
        return total / self._patch_size


class PackedStopHead:
    """Does what `StopHead` does."""

    def __init__(self, head: StopHead) -> None:
        self._linear = PackedMatrix(Affine(head.weight, head.bias), Precision.FLOAT32)

    def __call__(self, hidden: Tensor) -> Tensor:
        """Two logits `(B, 2)`; index 1 means that speech has ended."""
        return self._linear(hidden)

    def probability(self, hidden: Tensor) -> Tensor:
        """Stop probability `(B,)`, float32, of hidden states `(B, H)`."""
        pairs = self._linear(hidden).tolist()
        return torch.tensor([1 / (1 + math.exp(min(other - stop, 700.0))) for other, stop in pairs])

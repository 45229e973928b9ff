"""`StepModel` on uniaudio.tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from services.tokenizer.model import (
    DecodeStep,
    EncodeStep,
    Floats,
    FramePosteriors,
    SpellStep,
    Step,
    StepResult,
)
from uniaudio.checkpoint import Checkpoint
from uniaudio.errors import UnavailableError, UniaudioError
from uniaudio.nn.native.packed import Precision
from uniaudio.nn.native.threads import take_threads_from_torch
from uniaudio.runtime.logging import get_logger
from uniaudio.tokenizer import AudioTokenizer
from uniaudio.tokenizer.ear import load_ear
from uniaudio.tokenizer.packed import pack_tokenizer
from uniaudio.v1 import audio_pb2

log = get_logger(__name__)

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class TorchStepModel:
    """The encoder, the low-level decoder and, where there is one, the letter ear of a checkpoint, without gradients."""

    def __init__(
        self, directory: Path, *, device: str, dtype: str, num_threads: int, reproducible: bool = False
    ) -> None:
        torch.set_num_threads(num_threads)
        self._reproducible = reproducible
        checkpoint = Checkpoint(directory)
        self._model = AudioTokenizer.from_checkpoint(
            checkpoint, parts=("encoder", "decoder"), dtype=_DTYPES[dtype], device=device
        )
        self._model.eval()
        if device == "cpu":
            self._pack(Precision[dtype.upper()])
        self._device = device
        ear = load_ear(directory)
        self._ear = None if ear is None else ear.to(device)
        self.alphabet = "" if ear is None else ear.config.alphabet
        self.sample_rate = self._model.sample_rate
        self.hop_length = self._model.hop_length
        self.latent_dim = self._model.latent_dim
        info = checkpoint.info
        self.info = audio_pb2.ModelInfo(
            name=info.name, revision=info.revision, trained=info.trained, notice=info.notice
        )

    def _pack(self, precision: Precision) -> None:
        try:
            pack_tokenizer(self._model, precision)
        except UnavailableError as error:
            log.warning("computing by torch's own products, more slowly", reason=error.message)
        else:
            take_threads_from_torch()

    def new_encoder_state(self) -> Any:
        return self._model.new_encoder_state()

    def new_decoder_state(self) -> Any:
        return self._model.new_decoder_state()

    @torch.inference_mode()
    def run(self, steps: Sequence[Step]) -> Sequence[StepResult | UniaudioError]:
        """One result per step, as `StepModel.run` says."""
        if self._reproducible:
            # Matrix products round a row differently with the number of rows beside it.
            return [result for step in steps for result in self._run_packed([step])]
        return self._run_packed(steps)

    def _run_packed(self, steps: Sequence[Step]) -> Sequence[StepResult | UniaudioError]:
        """All encode steps in one forward pass, all decode steps in another; the ear hears one by one."""
        results: dict[int, StepResult | UniaudioError] = {}
        encodes: list[tuple[int, EncodeStep, Tensor]] = []
        decodes: list[tuple[int, DecodeStep, Tensor]] = []
        for i, step in enumerate(steps):
            try:
                if isinstance(step, EncodeStep):
                    waveform = self._to_device(step.waveform)
                    self._model.check_encode_chunk(waveform, step.state)
                    encodes.append((i, step, waveform))
                elif isinstance(step, SpellStep):
                    results[i] = self._spell(step)
                else:
                    latents = self._to_device(step.latents)
                    self._model.check_decode_chunk(latents, step.state)
                    decodes.append((i, step, latents))
            except UniaudioError as error:  # this stream's own; the others go on
                results[i] = error
        if encodes:
            posteriors = self._model.encode_stream(
                [waveform for _, _, waveform in encodes],
                [step.state for _, step, _ in encodes],
                [step.last for _, step, _ in encodes],
            )
            for (i, _, _), posterior in zip(encodes, posteriors, strict=True):
                results[i] = FramePosteriors(mean=_to_numpy(posterior.mean), std=_to_numpy(posterior.std))
        if decodes:
            waveforms = self._model.decode_stream(
                [latents for _, _, latents in decodes],
                [step.state for _, step, _ in decodes],
                [step.last for _, step, _ in decodes],
            )
            for (i, _, _), decoded in zip(decodes, waveforms, strict=True):
                results[i] = _to_numpy(decoded)
        return [results[i] for i in range(len(steps))]

    def _spell(self, step: SpellStep) -> Floats:
        assert self._ear is not None, "without an alphabet nothing is asked"
        return _to_numpy(self._ear.hear(self._to_device(step.latents)))

    def _to_device(self, values: Floats) -> Tensor:
        return torch.from_numpy(values).to(self._device)


def _to_numpy(values: Tensor) -> Floats:
    array: Floats = values.float().cpu().numpy()
    return array

"""From a checkpoint folder to a running engine."""

from __future__ import annotations

from typing import Any

import torch

from services.llm.settings import LlmSettings
from uniaudio.checkpoint import Checkpoint
from uniaudio.engine.engine import Engine
from uniaudio.engine.request import EngineConfig
from uniaudio.engine.speech_model import SpeechModel
from uniaudio.nn.native.library import kernels_reason
from uniaudio.nn.native.threads import take_threads_from_torch
from uniaudio.v1 import audio_pb2


def load_engine(settings: LlmSettings) -> tuple[Engine[Any], audio_pb2.ModelInfo]:
    """The engine and what its model is called; raises CheckpointError where the folder does not fit."""
    if settings.num_threads:
        torch.set_num_threads(settings.num_threads)
    checkpoint = Checkpoint(settings.model_dir)
    # What will be held in whole numbers is rounded once, from what the checkpoint holds.
    dtype = torch.float32 if settings.dtype == "int8" else getattr(torch, settings.dtype)
    model = SpeechModel.from_checkpoint(checkpoint, dtype=dtype, device=settings.device)
    info = audio_pb2.ModelInfo(
        name=checkpoint.info.name,
        revision=checkpoint.info.revision,
        trained=checkpoint.info.trained,
        notice=checkpoint.info.notice,
    )
    engine = Engine(model, engine_config(settings))
    if settings.device == "cpu" and settings.use_kernels and kernels_reason() is None:
        take_threads_from_torch()
    return engine, info


def engine_config(settings: LlmSettings) -> EngineConfig:
    """The engine's limits as the environment sets them."""
    return EngineConfig(
        max_running=settings.max_running,
        max_waiting=settings.max_waiting,
        max_kv_positions=settings.max_kv_positions,
        max_frames=settings.max_frames,
        max_deadline_seconds=settings.max_deadline_seconds,
        drop_surplus_patch=settings.drop_surplus_patch,
        force_audio=settings.force_audio,
        reproducible=settings.reproducible,
        precision=settings.dtype,
        use_kernels=settings.use_kernels,
    )

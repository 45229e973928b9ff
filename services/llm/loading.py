"""From a checkpoint folder to a running engine, or to the experts of one rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from services.llm.settings import LlmSettings, RankSettings
from services.llm.sign_of_life import SignOfLife
from uniaudio.checkpoint import Checkpoint
from uniaudio.engine.engine import Engine
from uniaudio.engine.ranks.first import FirstRank
from uniaudio.engine.ranks.follower import serve_experts
from uniaudio.engine.ranks.held import load_rank_experts, model_identity, runs_kernels
from uniaudio.engine.ranks.link import RankGroup
from uniaudio.engine.request import EngineConfig
from uniaudio.engine.speech_model import SpeechModel
from uniaudio.errors import StartupError
from uniaudio.llm.config import LanguageModelConfig
from uniaudio.nn.held_experts import held_experts
from uniaudio.nn.native.threads import take_threads_from_torch
from uniaudio.v1 import audio_pb2


@dataclass(frozen=True)
class Loaded:
    """A running engine, what its model is called, and the ranks that it asks for experts."""

    engine: Engine[Any]
    info: audio_pb2.ModelInfo
    ranks: FirstRank | None

    def check(self) -> None:
        """Returns while all ranks are there; RankLostError says which is not."""
        if self.ranks is not None:
            self.ranks.check()


def load_engine(settings: LlmSettings, ranks: RankSettings | None = None) -> Loaded:
    """The engine, once its ranks are there.

    Raises CheckpointError where the folder does not fit, StartupError where a rank does not come in time.
    """
    ranks = ranks or RankSettings()
    if settings.num_threads:
        torch.set_num_threads(settings.num_threads)
    checkpoint, device = Checkpoint(settings.model_dir), torch.device(settings.device)
    first = None
    if ranks.count > 1:
        num_experts = LanguageModelConfig.from_config(checkpoint.config).num_experts
        first = FirstRank(_group(settings, ranks), num_experts, device)
    # What will be held in whole numbers is rounded once, from what the checkpoint holds.
    dtype = torch.float32 if settings.dtype == "int8" else getattr(torch, settings.dtype)
    share = None if first is None else first.share
    model = SpeechModel.from_checkpoint(checkpoint, dtype=dtype, device=device, share=share)
    info = audio_pb2.ModelInfo(
        name=checkpoint.info.name,
        revision=checkpoint.info.revision,
        trained=checkpoint.info.trained,
        notice=checkpoint.info.notice,
        takes=checkpoint.info.takes,
        readings=checkpoint.info.readings,
        window_seconds=checkpoint.info.window_seconds,
        names_letters=checkpoint.info.names_letters,
        patch_frames=model.patch_size,
    )
    engine = Engine(model, engine_config(settings))
    if runs_kernels(device, settings.use_kernels):
        take_threads_from_torch()
    if first is not None:
        first.form(_identity(checkpoint, settings), seconds=settings.start_seconds)
    return Loaded(engine, info, first)


def serve_rank(settings: LlmSettings, ranks: RankSettings) -> None:
    """Holds this rank's experts for rank 0, one group after the other; never returns.

    Raises CheckpointError where the folder does not fit, UnavailableError where rank 0 cannot be found.
    """
    if not 0 < ranks.rank < ranks.count:
        raise StartupError(
            f"RANK={ranks.rank} of WORLD_SIZE={ranks.count}: ranks from 1 on hold experts; rank 0 is "
            "`python -m services.llm`",
            reason="INVALID_SETTING",
            value=ranks.rank,
            limit=f"1 to {ranks.count - 1}",
        )
    sign = SignOfLife(ranks)
    sign.clear()
    if settings.num_threads:
        torch.set_num_threads(settings.num_threads)
    checkpoint, device = Checkpoint(settings.model_dir), torch.device(settings.device)
    num_experts = LanguageModelConfig.from_config(checkpoint.config).num_experts
    experts = load_rank_experts(
        checkpoint,
        held_experts(num_experts, ranks.rank, ranks.count),
        precision=settings.dtype,
        device=device,
        use_kernels=settings.use_kernels,
    )
    if runs_kernels(device, settings.use_kernels):
        take_threads_from_torch()
    serve_experts(
        _group(settings, ranks),
        _identity(checkpoint, settings),
        experts,
        join_seconds=settings.start_seconds,
        live=sign.touch,
    )


def engine_config(settings: LlmSettings) -> EngineConfig:
    """The engine's limits as the environment sets them."""
    return EngineConfig(
        max_running=settings.max_running,
        max_waiting=settings.max_waiting,
        max_kv_positions=settings.max_kv_positions,
        max_step_positions=settings.max_step_positions,
        max_step_positions_beside_speech=settings.max_step_positions_beside_speech,
        max_lead_seconds=settings.max_lead_seconds,
        batch_patience_seconds=settings.batch_patience_seconds,
        max_kept_positions=settings.max_kept_positions,
        max_kept_patches=settings.max_kept_patches,
        max_frames=settings.max_frames,
        max_deadline_seconds=settings.max_deadline_seconds,
        drop_surplus_patch=settings.drop_surplus_patch,
        force_audio=settings.force_audio,
        reproducible=settings.reproducible,
        precision=settings.dtype,
        use_kernels=settings.use_kernels,
    )


def _group(settings: LlmSettings, ranks: RankSettings) -> RankGroup:
    return RankGroup(
        rank=ranks.rank,
        count=ranks.count,
        host=ranks.host,
        port=ranks.port,
        timeout_seconds=settings.rank_timeout_seconds,
    )


def _identity(checkpoint: Checkpoint, settings: LlmSettings) -> str:
    return model_identity(
        checkpoint,
        precision=settings.dtype,
        device=torch.device(settings.device),
        use_kernels=settings.use_kernels,
    )

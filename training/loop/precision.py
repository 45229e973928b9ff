"""In which precision a run computes: what its recipe asks for, where the device can multiply in it."""

from __future__ import annotations

import logging

import torch

from training.config import Precision

logger = logging.getLogger(__name__)


def precision_on(device: torch.device, wanted: Precision) -> Precision:
    """`wanted`, but float32 on processors on which torch emulates bfloat16, a hundred times slower than float32."""
    if wanted == "float32" or device.type != "cpu" or _cpu_multiplies_bfloat16():
        return wanted
    logger.warning(
        "this processor lacks AVX-512, and bfloat16 would be a hundred times slower on it: training in float32"
    )
    return "float32"


def _cpu_multiplies_bfloat16() -> bool:
    supported: bool = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return supported

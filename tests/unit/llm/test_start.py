"""What a start must not cost."""

from __future__ import annotations

import subprocess
import sys

MAKE = """
import sys
import torch
from uniaudio.llm.config import LanguageModelConfig
from uniaudio.llm.model import LanguageModel

sizes = dict(num_layers=1, num_heads=2, num_kv_heads=1, head_dim=8, num_experts=2, top_k=1)
with torch.device("meta"):
    LanguageModel(LanguageModelConfig(vocab_size=9, hidden_size=16, moe_intermediate_size=8, **sizes))
print("sympy" in sys.modules)
"""


def test_a_model_without_memory_is_made_without_torchs_compiler() -> None:
    """Its import takes a second and 40 MB, and draws nothing."""
    made = subprocess.run(
        [sys.executable, "-c", MAKE], capture_output=True, text=True, check=True, timeout=120
    )
    assert made.stdout.strip() == "False"

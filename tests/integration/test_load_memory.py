"""Loading needs the weights' own memory and a staging buffer, not a second copy of the file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

MIB = 2**20
CHILD = """
import json, sys, torch
from pathlib import Path
from torch import nn
from uniaudio.checkpoint import Checkpoint, load_parameters

def memory(name):
    return int(Path("/proc/self/status").read_text().partition(name + ":")[2].split()[0]) * 1024

with torch.device("meta"):
    module = nn.ParameterList(nn.Parameter(torch.empty(4096, 4096)) for _ in range(6))
before = memory("VmRSS")
load_parameters(module, Checkpoint(sys.argv[1]), lambda name: name, dtype=getattr(torch, sys.argv[2]))
print(json.dumps([memory("VmHWM") - before, sum(p.nbytes for p in module)]))
"""


def test_peak_is_the_weights_and_a_staging_buffer(tmp_path: Path, root: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    for number in range(3):
        weights = {str(2 * number + i): torch.zeros(4096, 4096, dtype=torch.bfloat16) for i in range(2)}
        save_file(weights, tmp_path / f"model-{number}.safetensors")
    for dtype in ("bfloat16", "float32"):
        done = subprocess.run(
            [sys.executable, "-c", CHILD, tmp_path, dtype],
            check=True,
            capture_output=True,
            text=True,
            timeout=100,
            env=os.environ | {"PYTHONPATH": str(root)},
        )
        grown, size = json.loads(done.stdout)
        assert size == 6 * 4096 * 4096 * (2 if dtype == "bfloat16" else 4)
        assert grown < size + 128 * MIB

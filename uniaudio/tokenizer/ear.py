"""The letter ear: which letter each latent speaks, by itself and the ones beside it alone.

It knows no words and no text, so what is garbled it hears as garbled, where a language model hears what would have
made sense. `ear.json` and `ear.safetensors` beside a checkpoint's own files hold it; the published release has none.
"""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uniaudio.errors import CheckpointError, InvalidInputError
from uniaudio.nn.depthwise import DepthwiseBlock

CONFIG_FILE, WEIGHTS_FILE = "ear.json", "ear.safetensors"
BLANK = 0
"""The column of "no letter"."""
_KIND = "uniaudio-letter-ear"


@dataclass(frozen=True, kw_only=True)
class EarConfig:
    """Sizes; of each latent it hears the first `num_channels`, and `alphabet` are the letters that it tells apart."""

    num_channels: int
    alphabet: str = " '" + string.ascii_lowercase
    width: int = 184
    hidden: int = 368
    num_blocks: int = 3
    kernel_size: int = 9

    def __post_init__(self) -> None:
        for name in ("num_channels", "width", "hidden", "num_blocks", "kernel_size"):
            if getattr(self, name) < 1:
                raise InvalidInputError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.kernel_size % 2 == 0:
            raise InvalidInputError(f"kernel_size is {self.kernel_size}; an odd one is needed")
        if len(set(self.alphabet)) != len(self.alphabet) or not self.alphabet:
            raise InvalidInputError(f"the alphabet is {self.alphabet!r}; give every letter once")

    @property
    def num_outputs(self) -> int:
        """Columns of what is heard: no letter, then those of the alphabet."""
        return 1 + len(self.alphabet)


class LetterEar(nn.Module):
    """Latents `(B, T, latent_dim)` of `lengths` `(B,)` to how likely each letter is, `(B, T, num_outputs)`, logarithms.

    A recording is heard alike alone and beside longer ones.
    """

    def __init__(self, config: EarConfig) -> None:
        super().__init__()
        self.config = config
        self.entry = nn.Conv1d(config.num_channels, config.width, 5, padding=2)
        self.blocks = nn.ModuleList(
            DepthwiseBlock(config.width, config.hidden, config.kernel_size) for _ in range(config.num_blocks)
        )
        self.norm = nn.LayerNorm(config.width)
        self.exit = nn.Linear(config.width, config.num_outputs)

    def forward(self, latents: Tensor, lengths: Tensor) -> Tensor:
        mask = (torch.arange(latents.shape[1], device=latents.device) < lengths[:, None])[:, None]
        x = nn.functional.gelu(self.entry(latents[..., : self.config.num_channels].transpose(1, 2) * mask))
        for block in self.blocks:
            x = block(x * mask)
        out: Tensor = self.exit(self.norm(x.transpose(1, 2))).float().log_softmax(-1)
        return out

    @torch.inference_mode()
    def hear(self, latents: Tensor) -> Tensor:
        """One recording's `(num_frames, num_outputs)`, from latents `(num_frames, latent_dim)`."""
        out: Tensor = self(latents[None], torch.tensor([len(latents)], device=latents.device))[0]
        return out


def load_ear(directory: Path) -> LetterEar | None:
    """The ear of a checkpoint's folder, float32; None where there is none, CheckpointError for a broken one."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = directory / CONFIG_FILE
    if not path.is_file():
        return None
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        if described.get("kind") != _KIND:
            raise CheckpointError(f"{path} is no {_KIND}: take it away, or the right one", path=path)
        ear = LetterEar(EarConfig(**described["net"]))
        ear.load_state_dict(
            {key: value.float() for key, value in load_file(directory / WEIGHTS_FILE).items()}
        )
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        RuntimeError,
        SafetensorError,
        InvalidInputError,
    ) as error:
        raise CheckpointError(
            f"the ear in {directory} cannot be read ({error}): take {CONFIG_FILE} and {WEIGHTS_FILE} of one release",
            path=path,
        ) from error
    return ear.eval().requires_grad_(False)


def save_ear(directory: Path, ear: LetterEar, about: Mapping[str, Any]) -> None:
    """Writes both files, weights in bfloat16; `about` says how it was trained."""
    from safetensors.torch import save_file

    weights = {key: value.detach().to(torch.bfloat16).contiguous() for key, value in ear.state_dict().items()}
    save_file(weights, directory / WEIGHTS_FILE)
    content = json.dumps({"kind": _KIND, "net": asdict(ear.config), "about": dict(about)}, indent=2)
    (directory / CONFIG_FILE).write_text(content + "\n", encoding="utf-8")

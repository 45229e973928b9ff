"""Runs every golden of a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError

from uniaudio.errors import InvalidInputError, UniaudioError
from uniaudio.nn.held_experts import ExpertShare
from uniaudio.verify.golden import Golden, StoredGolden
from uniaudio.verify.materials import Materials
from uniaudio.verify.model_checks import check_flow_head, check_language_model, check_pooling
from uniaudio.verify.procedure_checks import check_editing, check_speaking, check_understanding
from uniaudio.verify.report import Row, Verdict, VerifyReport
from uniaudio.verify.text_checks import check_normalization, check_prompts, check_resampling
from uniaudio.verify.tokenizer_checks import check_decode, check_encode, check_unify

Check = Callable[[Golden, Materials], None]
OnRow = Callable[[Row], None]

CHECKS: dict[str, Check] = {
    "01_vae_encode": check_encode,
    "02_unified_embedding": check_unify,
    "03_vae_decode": check_decode,
    "04_llm": check_language_model,
    "05_flow_head": check_flow_head,
    "06_linear_pooling": check_pooling,
    "07_understanding": check_understanding,
    "08_tts": check_speaking,
    "09_edit": check_editing,
    "10_prompts": check_prompts,
    "11_resample": check_resampling,
    "12_text_normalization": check_normalization,
}


def verify(
    directory: Path | str,
    *,
    window_keys: int | None = None,
    use_kernels: bool = False,
    share: ExpertShare | None = None,
    on_row: OnRow | None = None,
) -> VerifyReport:
    """Compares every tensor and text of `DIR/golden` with what this code computes.

    Args:
        directory: holds `checkpoint/`, `audio/` and `golden/`.
        window_keys: keys that a query of a windowed backbone sees (2.2); None finds out which of the
            two published readings the goldens were made with.
        use_kernels: run the tokenizer's backbones and whole procedures by the CPU kernels, as the
            services do, instead of by plain modules.
        share: the experts that are held here, where other ranks hold the rest.
        on_row: called with each row as it is found.

    Raises InvalidInputError if there is nothing to verify, CheckpointError if the checkpoint cannot
    be opened. Everything later becomes a row.
    """
    directory = Path(directory)
    goldens = directory / "golden"
    files = sorted(path for path in goldens.glob("*") if path.is_file()) if goldens.is_dir() else []
    if not files:
        raise InvalidInputError(
            f"{goldens} holds no goldens; name a folder with checkpoint/, audio/ and golden/"
        )
    notes: list[str] = []
    window_keys = window_keys or _find_window(directory, notes)
    materials = Materials(directory, window_keys=window_keys, use_kernels=use_kernels, share=share)
    rows: list[Row] = []
    for name in dict.fromkeys(path.stem for path in files):
        found = _run(goldens, name, [p for p in files if p.stem == name], materials)
        rows += found
        for row in found if on_row is not None else ():
            on_row(row)  # type: ignore[misc]  # not None in this branch
    absent = [name for name in CHECKS if name not in {row.golden for row in rows}]
    if absent:
        notes.append("not in this folder: " + ", ".join(absent))
    return VerifyReport(tuple(rows), tuple(notes))


@torch.no_grad()
def _run(goldens: Path, name: str, files: list[Path], materials: Materials) -> list[Row]:
    strange = [path.name for path in files if path.suffix not in (".safetensors", ".json")]
    if name not in CHECKS or strange:
        return [Row(name, "", Verdict.UNKNOWN, detail="no check here knows this file")]
    try:
        golden = StoredGolden(goldens, name)
    except (OSError, ValueError, SafetensorError) as error:
        return [Row(name, "", Verdict.FAILED, detail=f"cannot be read: {error}")]
    try:
        CHECKS[name](golden, materials)
    except Exception as error:  # noqa: BLE001  a golden that cannot run is a row; the others still run
        return [*golden.rows(), Row(name, "", Verdict.FAILED, detail=f"{type(error).__name__}: {error}")]
    return list(golden.rows())


@torch.no_grad()
def _find_window(directory: Path, notes: list[str]) -> int | None:
    """The published reading of a windowed encoder that golden 01 was made with; None for the release's.

    The reference saw one key more on a GPU than on a processor, so a golden can be of either kind.
    """
    materials = Materials(directory)
    nominal = materials.tokenizer.config.encoder.sliding_window
    path = directory / "golden" / "01_vae_encode.safetensors"
    if nominal is None or not path.is_file():
        return None
    gaps: dict[int | None, float] = {}
    for window_keys in (None, nominal):
        golden = StoredGolden(path.parent, path.stem)
        try:
            check_encode(golden, Materials(directory, window_keys=window_keys))
        except (LookupError, UniaudioError):
            return None  # the golden itself will say what is wrong
        gaps[window_keys] = max((row.difference or 0.0 for row in golden.rows()), default=0.0)
    chosen = min(gaps, key=lambda keys: gaps[keys])
    notes.append(f"attention window: {chosen or nominal + 1} keys (nominal {nominal})")
    return chosen

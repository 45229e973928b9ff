"""Makes `golden_own/`: a very small model with random weights, and what this code computes with it.

Run `python -m tests.parity.make_golden_own` after a change that is meant to change numbers, and only
once every published golden passes. Events are arranged, so that every way a generation can end is
recorded: some rows of the text head and the stop head are set so that they fire at chosen steps.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from uniaudio.engine.speech_model import SpeechModel
from uniaudio.errors import ModelOutputError
from uniaudio.random_model import default_config, write_random_checkpoint
from uniaudio.random_vocabulary import SPECIAL_TOKENS, train_text_tokenizer
from uniaudio.verify.golden import NewGolden
from uniaudio.verify.materials import Materials
from uniaudio.verify.record import blank_golden, record, write_recordings
from uniaudio.verify.run import CHECKS

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "golden_own"
SEED = 11
HOP_LENGTH = 80
PATCH_SIZE = 4
LATENT_DIM = 8
ENDINGS = ("<|endoftext|>", "<gen_audio>")
# Per case: number of ids made, and the one that ends them.
TEXT_ENDS = {
    "07_understanding": {"asr": (6, ENDINGS[0]), "asr_lang": (8, "")},
    "09_edit": {"edit_cot": (4, ENDINGS[1]), "edit_nocot": (3, ENDINGS[1])},
}
# Per case: patches after which the stop head must be quiet, and after which it must fire.
STOPS = {
    "08_tts": {"tts_zh": ((17, 18), (3, 8, 19)), "tts_en": (tuple(range(17, 25)), (5,))},
    "09_edit": {"edit_cot": ((16,), (4, 17)), "edit_nocot": ((), (1, 16))},
}


def small_config() -> dict[str, Any]:
    """A twelfth of a million parameters, unlike the release wherever the format allows it."""
    tokenizer = train_text_tokenizer()
    token_ids = {name: tokenizer.token_to_id(name) for name in SPECIAL_TOKENS}
    config = default_config(tokenizer.get_vocab_size(), token_ids)
    config["uniaudio"]["name"] = "uniaudio-golden"
    config["llm_config"] |= {
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "num_experts": 5,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 16,
        "num_shared_experts": 1,
    }
    backbone = {
        "hidden_size": 24,
        "intermediate_size": 32,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "num_hidden_layers": 2,
        "max_window_layers": 1,
    }
    audio = config["audio_tokenizer_config"]
    for part in ("enc_kwargs", "dec_kwargs"):
        audio[part]["backbone"] |= backbone
        audio[part]["latent_dim"] = LATENT_DIM
    audio["enc_kwargs"] |= {"input_dim": HOP_LENGTH, "hop_size": HOP_LENGTH}
    audio["dec_kwargs"]["output_dim"] = HOP_LENGTH
    audio["semantic_module_kwargs"]["whisper_encoder"] = {"n_state": 16, "n_head": 2, "n_layer": 2}
    config["ditar_config"] = {"hidden_size": 24, "depth": 2, "num_heads": 2, "mlp_ratio": 2.0}
    return config


def write_checkpoint(directory: Path) -> None:
    """The small model with its framing; weights are stored in half precision's values."""
    write_random_checkpoint(directory, SEED, config=small_config(), dtype=torch.bfloat16)
    path = directory / "preprocessor_config.json"
    framing = {"hop_size": HOP_LENGTH, "patch_size": PATCH_SIZE, "sampling_rate": 16000}
    path.write_text(json.dumps({"audio_tokenizer_args": framing}, indent=2) + "\n", encoding="utf-8")


def arrange_text(folder: Path) -> None:
    """Sets the text head's rows of the two tokens that end a text, so that they win where planned."""
    model_file = folder / "checkpoint" / "model.safetensors"
    weights = load_file(model_file)
    head = weights["model.lm_head.weight"]
    materials = Materials(folder)
    end_id, gen_audio_id = (materials.model.text_tokenizer.special_id(name) for name in ENDINGS)
    head[[end_id, gen_audio_id]] = 0
    save_file(weights, model_file)
    materials = Materials(folder)
    hidden, best, wins = [], [], []
    for name, cases in TEXT_ENDS.items():
        settings = blank_golden(name, SEED).document()
        for case, (num_steps, ending) in cases.items():
            golden = NewGolden(name, document={case: settings[case]}, seed=SEED)
            # Without its ending token an edit fails, after its inputs are recorded: all we need.
            with contextlib.suppress(ModelOutputError):
                CHECKS[name](golden, materials)
            states, logits = greedy(materials.model, golden.tensors, case, num_steps)
            hidden.append(states)
            best.append(logits.max(-1).values)
            wins += [""] * (num_steps - 1) + [ending]
    states, scores = torch.cat(hidden), torch.cat(best)
    for token_id, ending in ((end_id, ENDINGS[0]), (gen_audio_id, ENDINGS[1])):
        offsets = torch.tensor([2.0 if win == ending else -3.0 for win in wins])
        head[token_id] = solve_row(states, scores + offsets).to(head.dtype)
    save_file(weights, model_file)


def greedy(
    model: SpeechModel, tensors: dict[str, Tensor], case: str, num_steps: int
) -> tuple[Tensor, Tensor]:
    """Hidden states `(n, H)` and logits `(n, V)` that the first n ids of a case are chosen from."""
    state, embeddings = model.new_state(), tensors[f"{case}.prefill_embeds"][0]
    mask = torch.zeros(len(embeddings), dtype=torch.bool)
    if f"{case}.generated_ids" in tensors:  # understanding: the audio router listens
        start, length = tensors[f"{case}.audio_placeholder_loc_lens"].flatten().tolist()
        mask[start : start + length] = True
    hidden = model.language_model(embeddings, [len(embeddings)], [state.language], mask)[-1:]
    states = [hidden]
    while len(states) < num_steps:
        chosen = model.logits(states[-1]).argmax(-1)
        states.append(model.step(model.embed_tokens(chosen), [state]))
    return torch.cat(states), model.logits(torch.cat(states))


def arrange_stops(folder: Path) -> None:
    """Sets the stop head, so that it fires early where it must be ignored and late where planned."""
    model_file = folder / "checkpoint" / "model.safetensors"
    weights = load_file(model_file)
    for name, value in (("weight", 0.0), ("bias", 0.0)):
        weights[f"stop_head.{name}"].fill_(value)
    weights["stop_head.bias"][0] = 9.0
    save_file(weights, model_file)
    materials = Materials(folder)
    hidden, wanted = [], []
    for name, cases in STOPS.items():
        golden = blank_golden(name, SEED)
        CHECKS[name](golden, materials)
        for case, (quiet, firing) in cases.items():
            conditions = golden.tensors[f"{case}.z"][0]
            hidden.append(conditions[[*quiet, *firing]])
            wanted += [-2.0] * len(quiet) + [2.0] * len(firing)
    states = torch.cat(hidden)
    with_bias = torch.cat((states, torch.ones(len(states), 1)), 1)
    row = solve_row(with_bias, torch.tensor(wanted)).to(torch.bfloat16)
    weights["stop_head.weight"][1], weights["stop_head.bias"][1] = row[:-1], row[-1]
    weights["stop_head.bias"][0] = 0.0
    save_file(weights, model_file)


def solve_row(states: Tensor, wanted: Tensor) -> Tensor:
    """The smallest row `(H,)` with the wanted product with each of `(n, H)`."""
    assert len(states) <= states.shape[1], "more events than the width can tell apart"
    return (
        torch.linalg.lstsq(states.double(), wanted.double()[:, None], driver="gelsd").solution[:, 0].float()
    )


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary, torch.no_grad():
        folder = Path(temporary) / "golden_own"
        write_checkpoint(folder / "checkpoint")
        write_recordings(Materials(folder), SEED)
        arrange_text(folder)
        arrange_stops(folder)
        record(folder, seed=SEED)
        shutil.rmtree(FOLDER, ignore_errors=True)
        shutil.copytree(folder, FOLDER)


if __name__ == "__main__":
    main()

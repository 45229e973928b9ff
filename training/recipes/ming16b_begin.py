"""What `ming16b` begins with: a text model and the tokenizer of `mingtok` as one folder in the released layout.

    python -m training.recipes.mingtok_release TOKENIZER --work WORK
    python -m training.recipes.ming16b_begin WORK/data/ming16b/model --text-model TEXT --tokenizer TOKENIZER

TEXT is a text model as its own release lays it out: `config.json`, `tokenizer.json` and safetensors of a
BailingMoeForCausalLM. The special tokens that its vocabulary lacks are added; their rows must be there. The routers
of audio begin as those of text; what neither gives (pooling, stop head, flow head) is drawn from the seed, the flow
head on request taken from a run that trained one on speech alone, whatever the width of its language model was.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from tokenizers import AddedToken, Tokenizer
from torch import nn

from training.recipes import ming16b_sizes
from training.release.config import Identity, preprocessor_config, release_config
from training.release.export import export_model
from training.release.finished import refusals_told
from training.release.joined import JoinedCheckpoints
from training.weights import StoredWeights, fill_modules, flat_weights
from uniaudio.checkpoint import Checkpoint, read_json
from uniaudio.errors import InvalidInputError
from uniaudio.llm.config import FlowHeadConfig, LanguageModelConfig
from uniaudio.llm.flow_head import FlowHead, StopHead
from uniaudio.llm.patching import LinearPooling
from uniaudio.llm.text_tokenizer import TextTokenizer, read_tokenizer
from uniaudio.random_vocabulary import SPECIAL_TOKENS
from uniaudio.tokenizer.config import TokenizerConfig

_MAX_FILE_BYTES = 5_000_000_000
_PREPROCESSOR = "preprocessor_config.json"
_OWN_FIELDS = ("uniaudio", "torch_dtype")  # of the tokenizer's folder, not of the tokenizer
_CONDITION = "flow_head.condition_embedding.weight"
IDENTITY = Identity(
    name="ming16b-begin",
    trained=False,
    notice="A text model and a speech tokenizer side by side: it has not learnt to listen or to speak.",
)


def begin_ming16b(
    out: Path,
    text_model: Path,
    tokenizer: Path,
    *,
    flow_head_run: Path | None = None,
    flow_head: FlowHeadConfig = ming16b_sizes.FLOW_HEAD,
    seed: int = 0,
) -> Path:
    """Writes the checkpoint folder.

    Args:
        flow_head_run: `weights.safetensors` of a run whose flow head has these sizes.
        flow_head: sizes; both widths that it stands between are those of the two folders.

    Raises CheckpointError or InvalidInputError where a folder is not what it should be, or they do not fit.
    """
    if out.resolve() in (text_model.resolve(), tokenizer.resolve()):
        raise InvalidInputError(f"{out} is one of the folders to read; name another one to write")
    text, speech = Checkpoint(text_model), Checkpoint(tokenizer)
    language = replace(LanguageModelConfig.from_config({"llm_config": text.config}), multi_gate=True)
    audio = TokenizerConfig.from_config(speech.config, _preprocessor(tokenizer))
    head = replace(flow_head, latent_dim=audio.latent_dim, condition_dim=language.hidden_size)
    vocabulary = _vocabulary(text_model, language.vocab_size)
    config = release_config(
        tokenizer=audio,
        language_model=language,
        flow_head=head,
        end_token_id=TextTokenizer(vocabulary).end_id,
    )
    config["audio_tokenizer_config"] = {k: v for k, v in speech.config.items() if k not in _OWN_FIELDS}
    return export_model(
        out,
        flat_weights(_fresh_modules(head, audio, flow_head_run, seed)),
        config,
        preprocessor_config(audio, head.patch_size),
        vocabulary,
        IDENTITY,
        base=JoinedCheckpoints(text, speech),
        max_shard_bytes=_MAX_FILE_BYTES,
    )


def _preprocessor(folder: Path) -> dict[str, object] | None:
    path = folder / _PREPROCESSOR
    return read_json(path) if path.is_file() else None


def _vocabulary(folder: Path, num_rows: int) -> Tokenizer:
    """The text model's tokenizer with every special token of the prompts."""
    tokenizer = read_tokenizer(folder)
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special}
    needed = [name for name in SPECIAL_TOKENS if name not in known and "reserved" not in name]
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in needed])
    num_ids = TextTokenizer(tokenizer).num_ids
    if num_ids > num_rows:
        raise InvalidInputError(
            f"{folder} has {num_rows} embedding rows, {num_ids} are needed with {len(needed)} special tokens more; "
            "lengthen its embeddings and its head first"
        )
    return tokenizer


def _fresh_modules(
    head: FlowHeadConfig, audio: TokenizerConfig, flow_head_run: Path | None, seed: int
) -> dict[str, nn.Module]:
    """What stands between language model and tokenizer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        flow_head = FlowHead(head)
        pooling = LinearPooling(audio.unified_dim, head.condition_dim, head.patch_size)
        stop_head = StopHead(head.condition_dim)
    if flow_head_run is not None:
        _take_flow_head(flow_head, StoredWeights(flow_head_run))
    return {"flow_head": flow_head, "pooling": pooling, "stop_head": stop_head}


def _take_flow_head(flow_head: FlowHead, stored: StoredWeights) -> None:
    """All of a trained flow head, but not how it reads a language model of another width."""
    own = flat_weights({"flow_head": flow_head})
    given = {name: stored[name] for name in own if name in stored}
    if _CONDITION in given and given[_CONDITION].shape != own[_CONDITION].shape:
        given[_CONDITION] = own[_CONDITION]
    fill_modules({"flow_head": flow_head}, given)


def main(
    out: Annotated[Path, typer.Argument(help="Folder to write: WORK/data/ming16b/model.")],
    text_model: Annotated[Path, typer.Option(help="Folder of the text model.")],
    tokenizer: Annotated[Path, typer.Option(help="Folder of the tokenizer, as mingtok_release writes it.")],
    flow_head: Annotated[
        Path | None,
        typer.Option(help="weights.safetensors of a run that trained a flow head on speech alone."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what neither folder gives.")] = 0,
) -> None:
    """Write what ming16b begins with."""
    with refusals_told():
        folder = begin_ming16b(out, text_model, tokenizer, flow_head_run=flow_head, seed=seed)
        typer.echo(f"written: {folder}")


if __name__ == "__main__":
    typer.run(main)

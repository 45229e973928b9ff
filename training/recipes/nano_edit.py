"""nano's edit fine-tuning: triplets of all kinds, drawn and encoded once, on top of the language model."""

from __future__ import annotations

from dataclasses import dataclass, replace

from training.config import BuildContext, OptimizerConfig
from training.data.latent_folder import LatentFolder
from training.data.latents import encode_edits
from training.data.triplet_recordings import TripletRecordings
from training.data.triplets.corpus import TripletCorpusConfig, write_corpus
from training.data.triplets.source import Synthetic
from training.monitors.watched import WatchedLanguage
from training.recipes.nano_language import DRAW, FLOW, LOSS, latents_folder, ready_ground
from training.stages.edit import EditStageConfig, edit_cycle
from training.stages.edit_evaluation import EditEvaluationConfig
from training.stages.language import LanguageConfig
from training.stages.language_evaluation import LanguageEvaluationConfig
from uniaudio.tokenizer.model import AudioTokenizer


@dataclass(frozen=True, kw_only=True)
class EditRun:
    """What edit fine-tuning begins with, and the triplets that it practises on, by `drawn_voices` too."""

    tokenizer_run: str
    semantic_run: str
    continues: str
    triplets: TripletCorpusConfig
    processes: int = 2
    gate_boundaries: int = 500
    items: int = 12
    plan_items: int = 32
    edit_steps: int = 2
    speech_steps: int = 1
    num_draws: int = FLOW.num_draws
    factors: tuple[float, ...] = ()
    drawn_voices: int = 0
    new_semantic: bool = False
    own_share: float = 0.0
    train_semantic: bool = False
    understanding_items: int = 24
    speech_items: int = 12
    num_transcripts: int = 24
    num_sentences: int = 2
    num_edits: int = 11
    num_cut: int = 12  # each is made whole, which is slow where weights are sharded

    def short(self) -> EditRun:
        """The same, in a minute."""
        return replace(
            self,
            triplets=replace(self.triplets, count=22, held_out_count=11),
            gate_boundaries=40,
            num_transcripts=1,
            num_sentences=1,
            num_edits=1,
            num_cut=2,
        )


def build_edit(context: BuildContext, run: EditRun, optimizer: OptimizerConfig) -> WatchedLanguage:
    """The stage, watched as the language model's own stages are."""
    tokenizer, ground = ready_ground(
        context, run.tokenizer_run, run.semantic_run, run.continues, run.factors, run.new_semantic
    )
    config = EditStageConfig(
        language=LanguageConfig(loss=LOSS, train_semantic=run.train_semantic),
        draw=replace(DRAW, flow=replace(FLOW, num_draws=run.num_draws), own_share=run.own_share),
        cycle=edit_cycle(
            edits=run.items,
            plans=run.plan_items,
            edit_steps=run.edit_steps,
            speech_steps=run.speech_steps,
            understanding=run.understanding_items,
            speech=run.speech_items,
        ),
    )
    train, held_out = (_encoded_edits(context, tokenizer, run, split) for split in ("train", "dev"))
    looks = (
        LanguageEvaluationConfig(
            num_loss_steps=0, num_transcripts=run.num_transcripts, num_sentences=run.num_sentences
        ),
        EditEvaluationConfig(num_edits=run.num_edits, num_cut=run.num_cut),
    )
    return ground.edit_stage((train, held_out), config, looks, optimizer, context.seed)


def _encoded_edits(
    context: BuildContext, tokenizer: AudioTokenizer, run: EditRun, split: str
) -> LatentFolder:
    """A split of the triplets as latents; drawn and encoded the first time."""
    work = context.runs.parent
    manifest = write_corpus(
        work / ("triplets-drawn" if run.drawn_voices else "triplets"),
        run.triplets,
        Synthetic(drawn_voices=run.drawn_voices),
        processes=run.processes,
        gate_boundaries=run.gate_boundaries,
    )
    recordings = TripletRecordings.open(manifest, split)
    return encode_edits(recordings, tokenizer, latents_folder(context, run.tokenizer_run) / f"edits-{split}")

"""S0: encoder and decoder learn to reconstruct speech; the semantic module takes no part (8.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import soxr
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from training.config import BuildContext, OptimizerConfig
from training.data.pipeline import Stretch
from training.data.spoken import SYNTHETIC, Corpora, SpokenCorpus
from training.objectives.cepstral_anchor import mel_cepstrum
from training.objectives.spectral import magnitude_and_complex_loss, mel_loss, waveform_loss
from training.stage import Evaluation, Player, Share, StepLoss, item_generator
from training.stages.listening import reconstruction_scores
from training.weights import StoredWeights, fill_modules
from uniaudio.tokenizer.config import TokenizerConfig
from uniaudio.tokenizer.model import AudioTokenizer
from uniaudio.tokenizer.posterior import Posterior

_INPUT_GAIN = 10.0
_INITIAL_SCALE = -2.0  # before softplus: a deviation of 0.13


class Adversary(Protocol):
    """Discriminators with their losses; absent in runs that reconstruct only."""

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The discriminators."""

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """What the discriminators minimise; `fake` carries no gradient."""

    def generator_losses(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Adversarial and feature matching loss of the generator."""


@dataclass(frozen=True, kw_only=True)
class AcousticConfig:
    """Crops, weights of the losses, and how the latent is ordered.

    The published run is mel 15, adversarial 1, feature matching 1, KL 1e-4. Small models also take
    spectra, the waveform, a cepstral anchor on the first `num_anchored` channels, and *nesting*: in half
    of the items, channels from `num_content` on are replaced by noise and only magnitudes count, so the
    first ones carry what is heard and the decoder bears any phase. `speed` plays half of the crops up to
    that factor faster or slower, pitch and all, so that more voices are known than there are.

    With `polish` the latents stay as they are: only what follows the decoder's first layer learns, which
    the language model and the semantic module, trained on these latents, do not notice. An adversary sees
    `adversarial_items` of a share's items, all if None.
    """

    batch_size: int = 8
    segment_frames: int = 32
    speed: float = 1.0
    mel_weight: float = 1.0
    spectrum_weight: float = 5.0
    waveform_weight: float = 1.0
    kl_weight: float = 5e-4
    anchor_weight: float = 0.0
    num_anchored: int = 0
    num_content: int | None = None  # None: no nesting
    polish: bool = False
    adversarial_items: int | None = None
    adversarial_weight: float = 1.0
    feature_matching_weight: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class AcousticBatch:
    """Crops `(B, num_samples)` and the noise of the step."""

    waveform: Tensor
    posterior_noise: Tensor  # (B, T, C)
    replaced_noise: Tensor  # (B, T, C)
    nested: Tensor  # (B,), bool


@dataclass(frozen=True, kw_only=True)
class _Crop:
    """A stretch that is played `factor` times faster, and how loud."""

    stretch: Stretch
    factor: float
    gain: float

    def played(self, waveform: Tensor, num_samples: int, sample_rate: int) -> Tensor:
        """Exactly `(num_samples,)` of it, silence after its end."""
        if self.factor != 1:
            fast = soxr.resample(waveform.cpu().numpy(), sample_rate * self.factor, sample_rate, "QQ")
            waveform = torch.from_numpy(fast).to(waveform.device)
        waveform = waveform[:num_samples] * self.gain
        return pad(waveform, (0, num_samples - len(waveform)))


class AcousticStage:
    """Reconstruction of random crops. Held-out sentences are its examination."""

    def __init__(
        self,
        config: AcousticConfig,
        tokenizer: AudioTokenizer,
        train: SpokenCorpus,
        held_out: SpokenCorpus,
        optimizer: OptimizerConfig,
        adversary: Adversary | None = None,
    ) -> None:
        self.config, self.tokenizer, self.adversary = config, tokenizer, adversary
        self.train, self.held_out = train, held_out
        self.modules: dict[str, nn.Module] = {"encoder": tokenizer.encoder, "decoder": tokenizer.decoder}
        if config.polish:
            for part in (tokenizer.encoder, tokenizer.decoder.projection):
                part.requires_grad_(False)
        self.players: Sequence[Player] = [
            Player(name="generator", modules=dict(self.modules), optimizer=optimizer)
        ]
        if adversary is not None:
            rival = Player(name="discriminator", modules=adversary.modules, optimizer=optimizer)
            self.players = [rival, *self.players]
            self.modules |= adversary.modules

    def batch(self, step: int, share: Share) -> AcousticBatch:
        """Random crops of random utterances, each decided by (seed, step, its number)."""
        config, hop = self.config, self.tokenizer.hop_length
        shape = (config.segment_frames, self.tokenizer.latent_dim)
        num_samples = config.segment_frames * hop
        crops, noises, replaced, nested = [], [], [], []
        for item in share.of(range(config.batch_size)):
            rng = item_generator(config.seed, step, item)
            crops.append(self._crop(rng, num_samples, step * config.batch_size + item))
            noises.append(rng.standard_normal(shape, dtype=np.float32))
            replaced.append(rng.standard_normal(shape, dtype=np.float32))
            nested.append(config.num_content is not None and item % 2 == 1)
        loaded = self.train.load([crop.stretch for crop in crops])
        waveforms = [
            crop.played(waveform[:length], num_samples, self.tokenizer.sample_rate)
            for crop, waveform, length in zip(crops, loaded.waveforms, loaded.lengths.tolist(), strict=True)
        ]
        drawn = (torch.from_numpy(np.stack(values)) for values in (noises, replaced, nested))
        return AcousticBatch(torch.stack(waveforms), *drawn)

    def _crop(self, rng: np.random.Generator, num_samples: int, number: int) -> _Crop:
        index, factor = int(rng.integers(len(self.train))), 1.0
        if self.config.speed > 1 and rng.random() < 0.5:
            factor = float(np.exp(rng.uniform(-1, 1) * np.log(self.config.speed)))
        needed = round(num_samples * factor)
        start = int(rng.integers(max(1, self.train.num_samples(index) - needed)))
        # Levels differ in life: up to 12 dB softer.
        gain = float(np.float32(10 ** (-rng.uniform(0, 12) / 20)))
        stretch = Stretch(index=index, start=start, stop=start + needed, number=number)
        return _Crop(stretch=stretch, factor=factor, gain=gain)

    def loss(self, player: str, batch: AcousticBatch, step: int) -> StepLoss:
        """The generator's reconstruction (and adversarial) loss, or the discriminators' own."""
        share = len(batch.waveform) / self.config.batch_size
        if player == "discriminator":
            assert self.adversary is not None
            with torch.no_grad():
                _, estimate = self._reconstruct(batch)
            seen = slice(self.config.adversarial_items)
            value = self.adversary.discriminator_loss(batch.waveform[seen], estimate[seen]) * share
            return StepLoss(value=value, metrics={"discriminator": value.detach()})
        return self._generator_loss(batch, share)

    def _generator_loss(self, batch: AcousticBatch, share: float) -> StepLoss:
        config = self.config
        posterior, estimate = self._reconstruct(batch)
        target = batch.waveform
        whole = (~batch.nested).float()
        magnitude, complex_ = magnitude_and_complex_loss(estimate, target)
        parts = {
            "mel": config.mel_weight * mel_loss(estimate, target, self.tokenizer.sample_rate),
            "magnitude": config.spectrum_weight * magnitude,
            "complex": config.spectrum_weight * whole * complex_,
            "waveform": config.waveform_weight * whole * waveform_loss(estimate, target),
        }
        terms = {name: part.mean() for name, part in parts.items()}
        if not config.polish:
            terms |= self._latent_terms(posterior, target)
        if self.adversary is not None:
            seen = slice(config.adversarial_items)
            adversarial, matching = self.adversary.generator_losses(target[seen], estimate[seen])
            terms["adversarial"] = config.adversarial_weight * adversarial
            terms["feature_matching"] = config.feature_matching_weight * matching
        value = torch.stack(list(terms.values())).sum() * share
        metrics = {name: term.detach() * share for name, term in terms.items()}
        seconds = target.numel() / self.tokenizer.sample_rate
        return StepLoss(value=value, metrics=metrics | {"audio_seconds": torch.tensor(seconds)})

    def _latent_terms(self, posterior: Posterior, target: Tensor) -> dict[str, Tensor]:
        """What the encoder alone is asked for."""
        config, tokenizer = self.config, self.tokenizer
        terms = {"kl": config.kl_weight * posterior.kl()}
        if config.anchor_weight:
            wanted = mel_cepstrum(target, tokenizer.hop_length, config.num_anchored, tokenizer.sample_rate)
            error = (posterior.mean[..., : config.num_anchored] - wanted).square().mean()
            terms["anchor"] = config.anchor_weight * error
        return terms

    def _reconstruct(self, batch: AcousticBatch) -> tuple[Posterior, Tensor]:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.polish):
            posterior = self.tokenizer.encode(batch.waveform)
        latents = posterior.sample(batch.posterior_noise)
        if self.config.num_content is not None:
            content = torch.arange(latents.shape[-1], device=latents.device) < self.config.num_content
            keep = content | ~batch.nested[:, None, None]
            latents = torch.where(keep, latents, batch.replaced_noise)
        return posterior, self.tokenizer.decode(latents)

    def after_step(self, step: int) -> Mapping[str, float]:
        """Nothing is done between steps."""
        return {}

    def evaluate(self, step: int) -> Evaluation:
        """PESQ and STOI of held-out sentences, decoded from the posterior's mean; four are kept to hear."""
        hop, rate = self.tokenizer.hop_length, self.tokenizer.sample_rate
        device = next(self.tokenizer.encoder.parameters()).device
        references, outputs = [], []
        for index in range(min(24, len(self.held_out))):
            waveform = self.held_out.load([Stretch(index=index)]).waveforms
            waveform = waveform[:, : waveform.shape[1] // hop * hop]
            mean = self.tokenizer.encode(waveform.to(device)).mean
            references.append(waveform[0].cpu().numpy())
            outputs.append(self.tokenizer.decode(mean)[0].float().cpu().numpy())
        audio = {f"held-out {i}": outputs[i] for i in range(min(4, len(outputs)))}
        return Evaluation(metrics=reconstruction_scores(references, outputs), audio=audio, sample_rate=rate)

    def state(self) -> Mapping[str, Any]:
        """Nothing but weights."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Nothing to take back."""


def build_acoustic(
    context: BuildContext,
    config: AcousticConfig,
    sizes: TokenizerConfig,
    optimizer: OptimizerConfig,
    *,
    continues: str | None = None,
    adversary: Adversary | None = None,
    corpora: Corpora = SYNTHETIC,
) -> AcousticStage:
    """The stage with fresh weights, or with those of the run that it `continues`."""
    torch.manual_seed(context.seed)
    tokenizer = AudioTokenizer(sizes, parts=("encoder", "decoder"))
    if continues is None:
        initialise(tokenizer)
    else:
        modules = {"encoder": tokenizer.encoder, "decoder": tokenizer.decoder}
        fill_modules(modules, StoredWeights(context.weights_of(continues)))
    tokenizer.to(context.device)
    train, held_out = (corpora.open(context, split) for split in ("train", "dev"))
    return AcousticStage(config, tokenizer, train, held_out, optimizer, adversary)


@torch.no_grad()
def initialise(tokenizer: AudioTokenizer) -> None:
    """Scales that let phase be found: without them a small model learns magnitudes first, then nothing.

    Speech is quiet, so its projection would drown in what the first attention layer adds to it; and a
    posterior that begins with a deviation of 0.7 would drown what the encoder has to say.
    """
    tokenizer.encoder.frame_projection.weight.mul_(_INPUT_GAIN)
    tokenizer.encoder.output.bias[tokenizer.latent_dim :].fill_(_INITIAL_SCALE)

"""The acoustic stage: parts of shares add up, nesting and polishing do what they say."""

import numpy as np
import pytest
import torch

from tests.spoken_corpus import WhistledCorpus
from tests.unit.training.stages.shares import assert_shares_add_up
from training.config import OptimizerConfig
from training.objectives.adversarial import Adversary
from training.objectives.discriminators import DiscriminatorConfig
from training.stage import Share
from training.stages.acoustic import AcousticConfig, AcousticStage, initialise
from uniaudio.tokenizer.config import BackboneConfig, TokenizerConfig
from uniaudio.tokenizer.model import AudioTokenizer

BACKBONE = BackboneConfig(
    hidden_size=16, intermediate_size=32, num_layers=1, num_heads=2, num_kv_heads=2, head_dim=8
)
SIZES = TokenizerConfig(
    sample_rate=16000,
    input_dim=320,
    hop_length=320,
    latent_dim=8,
    unified_dim=16,
    num_semantic_layers=1,
    num_semantic_heads=2,
    encoder=BACKBONE,
    decoder=BACKBONE,
)


def make_stage(adversary=None, **config):
    torch.manual_seed(0)
    tokenizer = AudioTokenizer(SIZES, parts=("encoder", "decoder"))
    initialise(tokenizer)
    corpus = WhistledCorpus(seed=0)
    settings = AcousticConfig(batch_size=4, segment_frames=8, **config)
    return AcousticStage(settings, tokenizer, corpus, corpus, OptimizerConfig(learning_rate=1e-3), adversary)


@pytest.mark.parametrize("config", [{}, {"num_content": 4}, {"anchor_weight": 0.5, "num_anchored": 4}])
def test_losses_of_shares_add_up(config):
    stage = make_stage(**config)
    assert_shares_add_up(stage, "generator", 3, count=2)


def test_a_batch_depends_on_seed_and_step_alone():
    first, again, later = (make_stage().batch(step, Share()) for step in (5, 5, 6))
    torch.testing.assert_close(first.waveform, again.waveform)
    assert not torch.equal(first.waveform, later.waveform)


def test_crops_played_at_other_speeds_fill_their_frames():
    batch = make_stage(speed=1.3).batch(0, Share())
    assert batch.waveform.shape == (4, 8 * 320)
    assert torch.isfinite(batch.waveform).all()


def test_nested_items_do_not_read_the_last_channels():
    stage = make_stage(num_content=4)
    batch = stage.batch(0, Share())
    assert batch.nested.tolist() == [False, True, False, True]
    with torch.no_grad():
        _, before = stage._reconstruct(batch)
        stage.tokenizer.encoder.output.bias[4:8] += 1.0
        _, after = stage._reconstruct(batch)
    torch.testing.assert_close(after[batch.nested], before[batch.nested])
    assert not torch.allclose(after[~batch.nested], before[~batch.nested])


def test_it_learns_to_reconstruct():
    stage = make_stage()
    optimizer = torch.optim.Adam([p for m in stage.modules.values() for p in m.parameters()], lr=3e-3)
    losses = []
    for step in range(40):
        loss = stage.loss("generator", stage.batch(step, Share()), step).value
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_polishing_leaves_latents_alone_and_hears_an_adversary():
    small = DiscriminatorConfig(periods=(2, 3), fft_sizes=(64,))
    stage = make_stage(Adversary(small), polish=True, adversarial_items=2)
    assert [player.name for player in stage.players] == ["discriminator", "generator"]
    batch = stage.batch(0, Share())
    stage.loss("generator", batch, 0).value.backward()
    tokenizer = stage.tokenizer
    assert all(p.grad is None for p in tokenizer.encoder.parameters())
    assert all(p.grad is None for p in tokenizer.decoder.projection.parameters())
    assert tokenizer.decoder.head.out.weight.grad.abs().sum() > 0
    metrics = stage.loss("generator", batch, 0).metrics
    assert {"adversarial", "feature_matching"} <= set(metrics)
    assert "kl" not in metrics
    assert stage.loss("discriminator", batch, 0).value.requires_grad

"""The waveform head's known answers (model specification 2.7, 2.8, appendix C)."""

from __future__ import annotations

import pytest
import torch

from uniaudio.tokenizer.istft_head import IstftHead


@pytest.fixture
def head() -> IstftHead:
    """Every frame has log-magnitude 0 and phase 0.01 k in bin k."""
    head = IstftHead(dim=4, hop_length=320).requires_grad_(False)
    head.out.weight.zero_()
    head.out.bias.copy_(torch.cat((torch.zeros(641), 0.01 * torch.arange(641))))
    return head


def test_known_waveform(head: IstftHead) -> None:
    waveform = head(torch.zeros(3, 4))
    assert waveform.shape == (960,)
    expected = {
        0: 8.464102743e-5,
        1: -8.425002731e-5,
        100: 5.157745510e-5,
        319: -2.096678535e-5,
        320: 2.085286735e-5,
        480: -9.105634272e-7,
        640: -2.270047413e-5,
        959: 8.666714920e-5,
    }
    found = {index: waveform[index].item() for index in expected}
    assert found == pytest.approx(expected, abs=2e-8)
    assert waveform.abs().sum().item() == pytest.approx(0.032075247496, abs=1e-6)


def test_streamed_lengths(head: IstftHead) -> None:
    state = head.new_state()
    pieces = [head.stream(torch.zeros(5, 4), [5], [state], [index == 3])[0] for index in range(4)]
    assert [len(piece) for piece in pieces] == [1120, 1600, 1600, 2080]
    torch.testing.assert_close(torch.cat(pieces), head(torch.zeros(20, 4)), atol=1e-7, rtol=0)


def test_magnitude_is_capped(head: IstftHead) -> None:
    head.out.bias[:641] = 50.0
    loud = head(torch.zeros(3, 4))
    head.out.bias[:641] = torch.tensor(100.0).log()
    torch.testing.assert_close(loud, head(torch.zeros(3, 4)), atol=1e-6, rtol=1e-5)

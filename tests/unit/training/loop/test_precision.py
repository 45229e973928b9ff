"""A run computes in what its recipe asks for, unless the processor would have to emulate it."""

import logging

import pytest
import torch

from training.loop import precision
from training.loop.precision import precision_on

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(params=[True, False], ids=["with AVX-512", "without"])
def has_avx512(request, monkeypatch):
    monkeypatch.setattr(precision, "_cpu_multiplies_bfloat16", lambda: request.param)
    return request.param


def test_bfloat16_is_kept_where_it_pays(has_avx512, caplog):
    with caplog.at_level(logging.WARNING):
        assert precision_on(CPU, "bfloat16") == ("bfloat16" if has_avx512 else "float32")
    assert ("training in float32" in caplog.text) is not has_avx512


def test_float32_and_gpus_are_left_alone(has_avx512, caplog):
    with caplog.at_level(logging.WARNING):
        assert precision_on(CPU, "float32") == "float32"
        assert precision_on(GPU, "bfloat16") == "bfloat16"
    assert not caplog.text

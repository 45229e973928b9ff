"""What is measured on a GPU runs on a CPU at a small size, so that it is whole when there is one."""

from __future__ import annotations

import argparse

import torch

from benchmarks.engine_gpu import bytes_of_step, random_model, report


def test_a_small_model_is_measured_on_a_processor() -> None:
    options = argparse.Namespace(device="cpu", size="small", streams=[1, 2], seconds=0.0, max_positions=1024)
    told = list(report(options))
    rows = [line.split("|") for line in told if line.startswith(("| text", "| speech"))]
    assert [(row[1].strip(), row[2].strip()) for row in rows] == [
        ("text", "1"),
        ("text", "2"),
        ("speech", "1"),
        ("speech", "2"),
    ]
    assert any(line.startswith("First patch, ms") for line in told)


def test_more_streams_meet_more_experts() -> None:
    model = random_model(torch.device("cpu"), "small")
    (text, speech), (more_text, more_speech) = (bytes_of_step(model, count, 10) for count in (1, 8))
    assert text < more_text
    assert speech < more_speech
    every = 2 * sum(parameter.numel() for parameter in model.language_model.parameters())
    assert more_text < every

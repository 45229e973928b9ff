"""What pooling costs is told at each look of a run, from what the other run was looked at."""

import json

import pytest

from training.experiments.pooling_look import PoolingLook
from training.run_folder import RunFolder
from training.stage import Evaluation


def looked_at(tmp_path, wer):
    folders = {size: RunFolder(tmp_path / str(size)) for size in (1, 5)}
    folders[1].path.mkdir()
    looks = [
        {"evaluation/understanding/text": text, "evaluation/understanding/wer": wer} for text in (0.2, 0.05)
    ]
    lines = [json.dumps({"step": step, **look}) for step, look in zip((100, 200), looks, strict=True)]
    folders[1].metrics.write_text("\n".join(lines) + "\n")
    metrics = {"understanding/text": 0.08, "understanding/wer": wer}
    return PoolingLook(lambda step: Evaluation(metrics=metrics), 5, folders)(200)


def test_a_cost_is_told_in_metrics_and_picture(tmp_path):
    look = looked_at(tmp_path, wer=0.3)
    assert look.metrics["understanding/text"] == 0.08
    assert look.metrics["pooling/cost"] == pytest.approx(0.6)
    assert look.metrics["signature/costly_pooling"] == 1.0
    assert look.figures["signature/costly_pooling"].startswith(b"\x89PNG")


def test_while_neither_model_understands_there_is_no_alarm(tmp_path):
    look = looked_at(tmp_path, wer=0.9)
    assert look.metrics["pooling/cost"] == pytest.approx(0.6)
    assert look.metrics["signature/costly_pooling"] == 0.0

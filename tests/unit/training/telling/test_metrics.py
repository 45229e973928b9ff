"""What steps measure becomes means, quotients and rates, and reaches files, TensorBoard and a collector."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.run_folder import RunFolder
from training.stage import Evaluation
from training.telling.metric_window import MetricWindow, shown
from training.telling.metrics import Telemetry, open_sinks


def png() -> bytes:
    stream = BytesIO()
    Image.new("RGB", (4, 3), "red").save(stream, "PNG")
    return stream.getvalue()


def test_parts_add_up_to_means_quotients_and_rates() -> None:
    ranks = []
    for rank in range(2):
        window = MetricWindow()
        for step in range(4):
            for _microbatch in range(2):
                window.add({"loss": torch.tensor(0.25), "items": torch.tensor(3.0)})
                window.add({"correct": torch.tensor(float(rank)), "correct/count": torch.tensor(2.0)})
            if step % 2 == 0:
                window.add({"speech": torch.tensor(5.0)})
            window.add_step(0.5)
        ranks.append(window.take())
        assert window.take().num_steps == 0
    values = shown(ranks)
    assert values == {
        "loss": 1.0,  # four shares a step
        "items_per_second": 24.0,
        "correct": 0.25,
        "speech": 10.0,  # over the two steps that had it
        "steps_per_second": 2.0,
    }


def test_a_quotient_of_nothing_is_left_out() -> None:
    window = MetricWindow()
    window.add({"correct": 0.0, "correct/count": 0.0})
    window.add_step(1.0)
    assert shown([window.take()]) == {"steps_per_second": 1.0}


def test_files_hold_what_was_logged_and_shown(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    evaluation = Evaluation(
        metrics={"wer": 0.25},
        audio={"sample": np.linspace(-1.5, 1.5, 1600, dtype=np.float32)},
        figures={"alignment": png()},
    )
    for start in (0, 10):  # killed after step 20, begun again after step 10
        sinks = open_sinks("toy", folder, start)
        for sink in sinks:
            sink.log(start + 10, {"loss": 0.5 + start})
            sink.show(start + 10, evaluation)
            sink.close()
    with folder.metrics.open("a") as file:
        file.write('{"step": 2')  # cut off by a kill
    folder.forget_metrics_after(15)
    lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    assert [(line["step"], line.get("loss")) for line in lines] == [(10, 0.5), (10, None)]
    assert lines[1]["evaluation/wer"] == 0.25

    events = EventAccumulator(str(folder.tensorboard)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(10, 0.5), (20, 10.5)]
    assert events.Audio("sample")[0].sample_rate == 16000
    assert (events.Images("alignment")[0].width, events.Images("alignment")[0].height) == (4, 3)


def test_a_collector_gets_every_metric() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    Telemetry("toy", provider.get_meter("test")).log(7, {"loss": 0.5})
    data = reader.get_metrics_data()
    assert data is not None
    points = {
        metric.name: next(iter(metric.data.data_points))
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
    }
    assert points["training.step"].value == 7
    assert points["training.metric"].value == pytest.approx(0.5)
    assert points["training.metric"].attributes == {"run": "toy", "name": "loss"}
    provider.shutdown()

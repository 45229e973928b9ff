"""Where a run's numbers go: a JSON line, TensorBoard, and OpenTelemetry where an endpoint is configured."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Protocol

import numpy as np
from opentelemetry.metrics import Meter
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from training.run_folder import RunFolder
from training.stage import Evaluation
from uniaudio.runtime.telemetry import get_meter, is_telemetry_on


class MetricSink(Protocol):
    """Takes what the loop measures; `step` counts finished steps."""

    def log(self, step: int, values: Mapping[str, float]) -> None: ...

    def show(self, step: int, evaluation: Evaluation) -> None: ...

    def close(self) -> None: ...


class JsonLines:
    """One object a line: `step`, `time` (seconds since 1970), and the values by name.

    Values of an evaluation are named `evaluation/<name>`.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._file.write(json.dumps({"step": step, "time": round(time.time(), 3), **values}) + "\n")
        self._file.flush()

    def show(self, step: int, evaluation: Evaluation) -> None:
        self.log(step, named_evaluation(evaluation))

    def close(self) -> None:
        self._file.close()


class TensorBoard:
    """Event files: scalars, recordings and figures; events after `start` of an earlier try are hidden."""

    def __init__(self, folder: Path, start: int) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=start + 1 if start else None)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def show(self, step: int, evaluation: Evaluation) -> None:
        self.log(step, named_evaluation(evaluation))
        for name, waveform in evaluation.audio.items():
            # It would print a line about what it clips.
            self._writer.add_audio(name, np.clip(waveform, -1, 1), step, evaluation.sample_rate)
        for name, png in evaluation.figures.items():
            with Image.open(BytesIO(png)) as image:
                pixels = np.asarray(image.convert("RGB"))
            self._writer.add_image(name, pixels, step, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class Telemetry:
    """Gauges `training.step` and `training.metric` with the run and the metric's name as attributes."""

    def __init__(self, run: str, meter: Meter | None = None) -> None:
        meter = meter or get_meter()
        self._run = run
        self._step = meter.create_gauge("training.step", "{step}", "Finished steps of the run.")
        self._metric = meter.create_gauge("training.metric", "1", "A metric of the run, as last logged.")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._step.set(step, {"run": self._run})
        for name, value in values.items():
            self._metric.set(value, {"run": self._run, "name": name})

    def show(self, step: int, evaluation: Evaluation) -> None:
        self.log(step, named_evaluation(evaluation))

    def close(self) -> None:
        return None


def open_sinks(run: str, folder: RunFolder, start: int) -> list[MetricSink]:
    """Every place that this process reports to; a run that begins again at `start` forgets what came after."""
    folder.forget_metrics_after(start)
    sinks: list[MetricSink] = [JsonLines(folder.metrics), TensorBoard(folder.tensorboard, start)]
    if is_telemetry_on():
        sinks.append(Telemetry(run))
    return sinks


def named_evaluation(evaluation: Evaluation) -> dict[str, float]:
    """The numbers of an evaluation under the names that reports read."""
    return {f"evaluation/{name}": value for name, value in evaluation.metrics.items()}

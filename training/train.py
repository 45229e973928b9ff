"""`python -m training.train <recipe>`: trains a recipe's runs in order, on one process or under torchrun.

Started again it goes on where it stopped, whatever stopped it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

import training.recipes
from training.checkpoints.store import open_store
from training.config import BuildContext, Recipe, TrainConfig
from training.exit_codes import AGAIN, DONE, FAILED, REFUSED
from training.loop.trainer import Trainer
from training.ranks.ranks import Ranks, joined_ranks
from training.run_folder import RunFolder
from training.stage import Stage
from training.telling.progress import Silent, progress_for
from uniaudio.errors import DeadlineError, InvalidInputError, StartupError, UnavailableError, UniaudioError
from uniaudio.runtime.logging import setup_logging
from uniaudio.runtime.telemetry import setup_telemetry
from uniaudio.stack.stop_signals import StopSignals

CONTINUE = "run the same command again to continue from the last checkpoint"

HELP = """Train a recipe's runs in order. Started again, it goes on where it stopped.

Under torchrun the runs are spread over its ranks; ranks on several machines share the work folder.

The first SIGINT or SIGTERM finishes the step and saves, the second leaves at once.

Exit codes: 0 done · 1 failed · 2 wrong usage ·
3 the configuration was refused · 75 interrupted, or the store was away: run the same command again to continue.
"""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where runs lie: `work/runs/<name>`, `work/data`, and the store of their checkpoints."""

    work: Path
    store: str

    def folder(self, run: str) -> RunFolder:
        return RunFolder(self.work / "runs" / run)

    def context(self, seed: int, ranks: Ranks) -> BuildContext:
        """What stages are built with here."""
        return BuildContext(
            seed=seed, device=str(ranks.device), data=self.work / "data", runs=self.work / "runs"
        )


def find_recipe(name: str) -> Callable[..., Recipe]:
    """The function `name` of `training/recipes/<name>.py`; dashes count as underscores."""
    found = _recipe_of(name.replace("-", "_"))
    if found is None:
        modules = sorted(module.name for module in iter_modules(training.recipes.__path__))
        known = ", ".join(module for module in modules if _recipe_of(module) is not None)
        raise typer.BadParameter(f"there is no recipe {name!r}; there are: {known}")
    return found


def _recipe_of(module_name: str) -> Callable[..., Recipe] | None:
    """A module's function of its own name; None where there is none (modules that recipes share)."""
    if not module_name.isidentifier() or find_spec(f"training.recipes.{module_name}") is None:
        return None
    recipe: Callable[..., Recipe] | None = getattr(
        import_module(f"training.recipes.{module_name}"), module_name, None
    )
    return recipe


def train_run(config: TrainConfig, place: Place, ranks: Ranks, stop: StopSignals, console: Console) -> bool:
    """Trains one run unless it has finished; False when it was asked to stop."""
    folder = place.folder(config.name)
    if ranks.first(folder.finished_step()) >= config.num_steps:
        if ranks.is_first:
            console.print(
                f"{config.name}: finished before, {folder.weights}", highlight=False, soft_wrap=True
            )
        return True
    torch.manual_seed(config.seed)
    stage = built_in_turn(config, place.context(config.seed, ranks), ranks)
    return train_stage(config, stage, place, ranks, lambda: stop.requested, console)


def train_stage(
    config: TrainConfig,
    stage: Stage,
    place: Place,
    ranks: Ranks,
    stop: Callable[[], bool],
    console: Console,
) -> bool:
    """Trains a stage that has been built, from its last checkpoint on; False when `stop` ended it early."""
    folder = place.folder(config.name)
    folder.path.mkdir(parents=True, exist_ok=True)
    holder = ranks.first(f"{socket.gethostname()}-{os.getpid()}")
    progress = progress_for(config.name, config.num_steps, console) if ranks.is_first else Silent()
    with open_store(f"{place.store.rstrip('/')}/{config.name}", holder=holder) as store:
        trainer = Trainer(
            config,
            stage,
            folder=folder,
            store=store,
            progress=progress,
            ranks=ranks,
            stop=stop,
        )
        return trainer.train()


def built_in_turn(config: TrainConfig, context: BuildContext, ranks: Ranks) -> Stage:
    """The run's stage, the first rank's first: a corpus or latents that it writes the others find whole."""
    if not ranks.is_first:
        ranks.wait_for_making()
        return config.build(context)
    stage = config.build(context)
    ranks.wait_for_making()
    return stage


def train(
    recipe: Annotated[str, typer.Argument(help="The recipe's name, a file of training/recipes.")],
    work: Annotated[
        Path | None,
        typer.Option(
            help="Folder of data and runs.", envvar="UNIAUDIO_WORK", show_default="~/.cache/uniaudio/training"
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            help="Where checkpoints go: a folder or s3://bucket/prefix.", show_default="WORK/checkpoints"
        ),
    ] = None,
    only: Annotated[str | None, typer.Option(help="Train this run alone.")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of every run, instead of the recipe's.")
    ] = None,
    list_runs: Annotated[bool, typer.Option("--list", help="List the recipe's runs and stop.")] = False,
    short: Annotated[bool, typer.Option(help="The recipe's short form, which shows that it works.")] = False,
) -> None:
    """The command; its help is `HELP`."""
    work = (work or Path("~/.cache/uniaudio/training")).expanduser().resolve()
    place = Place(work=work, store=store or str(work / "checkpoints"))
    console = Console(stderr=True)
    setup_logging("training")
    try:
        runs = chosen_runs(find_recipe(recipe)(short=short), only, steps)
        if list_runs:
            Console().print(table_of(runs, place))
            return
        code = _train_all(runs, place, console)
    except UniaudioError as error:
        console.print(f"error: {error.message}", markup=False, highlight=False, soft_wrap=True)
        code = exit_code_of(error)
        if code == AGAIN:
            console.print(CONTINUE)
    except KeyboardInterrupt:  # the second signal
        console.print(f"left at once, nothing more was saved; {CONTINUE}")
        code = AGAIN
    raise typer.Exit(code)


def chosen_runs(runs: Recipe, only: str | None, steps: int | None) -> Recipe:
    """The recipe's runs after `--only` and `--steps`."""
    if only is not None and only not in {run.name for run in runs}:
        raise typer.BadParameter(
            f"there is no run {only!r}; there are: {', '.join(run.name for run in runs)}"
        )
    chosen = (run for run in runs if only in (None, run.name))
    return tuple(run if steps is None else replace(run, num_steps=steps) for run in chosen)


def exit_code_of(error: UniaudioError) -> int:
    """What the command ends with: 75 where trying again may help, 3 where the configuration must change."""
    if isinstance(error, (UnavailableError, DeadlineError)):
        return AGAIN
    return REFUSED if isinstance(error, (InvalidInputError, StartupError)) else FAILED


def table_of(runs: Recipe, place: Place) -> Table:
    """The runs, their steps, what they need, and how far they are."""
    table = Table("run", "steps", "needs", "state")
    for run in runs:
        done = place.folder(run.name).finished_step()
        state = f"finished at step {done}" if done else "not finished"
        table.add_row(run.name, str(run.num_steps), ", ".join(run.needs), state)
    return table


def _train_all(runs: Recipe, place: Place, console: Console) -> int:
    stop_telemetry = setup_telemetry("training")
    try:
        with StopSignals() as stop, joined_ranks() as ranks:
            stop.on_again = _give_up
            for run in runs:
                if not train_run(run, place, ranks, stop, console):
                    if ranks.is_first:
                        console.print(f"{run.name} was stopped and is saved; {CONTINUE}")
                    return AGAIN
        return DONE
    finally:
        stop_telemetry()


def _give_up() -> None:
    raise KeyboardInterrupt


app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
app.command(help=HELP, context_settings={"help_option_names": ["-h", "--help"]})(train)

if __name__ == "__main__":
    app()

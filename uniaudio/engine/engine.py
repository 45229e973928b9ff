"""Runs the LLM for many callers: submit, a stream of events, cancel, stats.

One thread steps all running sequences together. Everything a caller can do from another thread only
leaves a note (a queued sequence, a cancel flag) that the stepping thread reads before its next step,
so the runner and its tensors are never touched by two threads.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from uniaudio.engine.budget import audio_seconds_of, budget_of
from uniaudio.engine.events import Event, FailureEvent, FinishEvent, StartEvent
from uniaudio.engine.noise import SeededNoise
from uniaudio.engine.request import (
    Edit,
    EngineConfig,
    Follow,
    GenerationRequest,
    Priority,
    SamplingOptions,
    Speak,
    check_request,
)
from uniaudio.engine.scheduler import Scheduler
from uniaudio.engine.sequence import Sequence, StepResult, Vocabulary
from uniaudio.errors import (
    CancelledByCallerError,
    UnavailableError,
    UniaudioError,
)

logger = logging.getLogger(__name__)

OnEvent = Callable[[Event], None]


class Runner(Protocol):
    """What the engine needs of a model; `ModelRunner` is the real one."""

    latent_dim: int
    patch_size: int
    frame_rate: float
    vocabulary: Vocabulary
    preferred_sampling: SamplingOptions

    def prompt(self, request: GenerationRequest) -> tuple[Any, int]:
        """The request's prompt and its number of positions; called in the caller's thread."""
        ...

    def start(self, sequence: Sequence) -> None:
        """Prepares `sequence.model_state`, from what the sequence has made so far.

        An exception fails this sequence alone.
        """
        ...

    def step(self, sequences: SequenceOf[Sequence]) -> list[StepResult | Exception]:
        """Moves every sequence on: by a token, a patch, or the `share` that it may read.

        An exception in the list fails its sequence.
        """
        ...


@dataclass(frozen=True)
class EngineStats:
    """A moment of the engine, and its totals since the start."""

    num_running: int = 0
    num_waiting: int = 0
    waiting_audio_seconds: float = 0.0  # recordings and expected speech of those
    kv_positions: int = 0  # held by running sequences
    max_kv_positions: int = 0
    num_steps: int = 0
    num_tokens: int = 0
    num_patches: int = 0
    audio_seconds: float = 0.0
    num_finished: int = 0
    num_failed: int = 0
    num_cancelled: int = 0
    num_preempted: int = 0  # times that a sequence lost its blocks for a while
    num_underruns: int = 0  # patches that came later than a listener needed them


ModelT = TypeVar("ModelT")


class Engine(Generic[ModelT]):
    """Generates for many callers at once.

    Events of a request come in order, from the stepping thread; `on_event` must return quickly, and an
    exception in it fails that request. After a Finish or Failure event nothing more comes.
    """

    def __init__(
        self,
        model: ModelT,
        config: EngineConfig | None = None,
        *,
        make_runner: Callable[[ModelT], Runner] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config or EngineConfig()
        self._runner = make_runner(model) if make_runner else _model_runner(model, self.config)
        self._clock = clock
        self._scheduler = Scheduler(self.config)
        self._numbers = itertools.count()
        self._seconds_per_patch = self._runner.patch_size / self._runner.frame_rate
        self._stats = EngineStats(max_kv_positions=self.config.max_kv_positions)
        self._changed = threading.Condition()
        self._is_closing = False
        self._is_draining = False
        self._thread = threading.Thread(target=self._run, name="uniaudio-engine", daemon=True)
        self._thread.start()

    @property
    def latent_dim(self) -> int:
        """Width of the latents that requests bring and patches have."""
        return self._runner.latent_dim

    @property
    def preferred_sampling(self) -> SamplingOptions:
        """What the model speaks best with, for requests that do not say."""
        return self._runner.preferred_sampling

    @property
    def is_alive(self) -> bool:
        """Whether the stepping thread runs and takes requests."""
        return self._thread.is_alive() and not self._is_closing and not self._is_draining

    def submit(self, request: GenerationRequest, on_event: OnEvent) -> None:
        """Queues a request whose events go to `on_event`.

        Raises:
            InvalidInputError, LimitExceededError: it can never work as it is.
            QueueFullError: too many wait; `metadata["retry_after_seconds"]` says when to come back.
            UnavailableError: the engine is closing.
        """
        check_request(
            request, self.config, latent_dim=self._runner.latent_dim, patch_size=self._runner.patch_size
        )
        budget = budget_of(request, self.config, self._runner.patch_size)
        prompt, num_positions = self._runner.prompt(request)
        limit = self.config.max_deadline_seconds
        now = self._clock()
        sequence = Sequence(
            request=request,
            prompt=prompt,
            num_prompt_positions=num_positions,
            budget=budget,
            audio_seconds=audio_seconds_of(request, self._runner.frame_rate),
            vocabulary=self._runner.vocabulary,
            noise=request.noise or SeededNoise(request.sampling.seed),
            drop_surplus_patch=self._drops_surplus_patch(request),
            force_audio=self.config.force_audio,
            on_event=on_event,
            arrived_at=now,
            deadline_at=now + min(request.deadline_seconds or limit, limit),
            priority=request.priority,
            number=next(self._numbers),
        )
        with self._changed:
            if self._is_closing or self._is_draining:
                raise _closed("the engine is closing", "try again in some seconds")
            self._scheduler.add(sequence)
            self._changed.notify_all()

    def generate(self, request: GenerationRequest) -> Iterator[Event]:
        """The request's events up to Finish; a failure is raised. Leaving early cancels."""
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.submit(request, events.put)
        try:
            while True:
                event = events.get(timeout=self.config.max_deadline_seconds + 60)
                if isinstance(event, FailureEvent):
                    raise event.error
                yield event
                if isinstance(event, FinishEvent):
                    return
        finally:
            self.cancel(request.request_id)

    def cancel(self, request_id: str) -> bool:
        """Ends a request before the next step; False when none of that name is queued or running."""
        with self._changed:
            sequence = self._scheduler.find(request_id)
            if sequence is None:
                return False
            sequence.is_cancelled = True
            self._changed.notify_all()
            return True

    def num_ahead(self, request_id: str) -> int:
        """Place in the queue, counted from 1; 0 when the request runs or is unknown."""
        with self._changed:
            return self._scheduler.num_ahead(request_id)

    def stats(self) -> EngineStats:
        """How busy the engine is and what it has done."""
        with self._changed:
            return replace(
                self._stats,
                num_running=len(self._scheduler.running),
                num_waiting=len(self._scheduler.waiting),
                waiting_audio_seconds=sum(one.audio_seconds for one in self._scheduler.waiting),
                kv_positions=self._scheduler.num_held_positions,
            )

    def close(self, *, drain_seconds: float = 0.0) -> None:
        """Stops: takes nothing new, lets requests end for `drain_seconds`, fails the rest. Idempotent."""
        with self._changed:
            self._is_draining = True
            self._changed.wait_for(self._is_idle, timeout=drain_seconds)
            self._is_closing = True
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    # The stepping thread, from here on.

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closing or not self._is_idle())
                if self._is_closing:
                    break
            self._step()
        for sequence in self._all():
            self._fail(sequence, _closed("the engine closed before the request ended", "try again"))

    def _step(self) -> None:
        """Drops what must not go on, makes room, admits what fits, and moves on who takes part."""
        for sequence in self._all():
            reason = sequence.ended_by(self._clock())
            if reason is not None:
                self._fail(sequence, reason)
        self._preempt()
        self._admit()
        with self._changed:
            chosen = self._scheduler.choose(self._clock(), self._seconds_per_patch)
        if not chosen:
            return
        try:
            results = self._runner.step(chosen)
        except Exception as error:
            foreseen = isinstance(error, UniaudioError)
            logger.error("a step of %d sequences failed: %s", len(chosen), error, exc_info=not foreseen)
            results = [error] * len(chosen)
        for sequence, result in zip(chosen, results, strict=True):
            self._take(sequence, result)
        self._count(num_steps=1)

    def _preempt(self) -> None:
        with self._changed:
            self._scheduler.age(self._clock())
            sent_back = self._scheduler.preempt()
        for sequence in sent_back:
            sequence.lose_state()
        if sent_back:
            self._count(num_preempted=len(sent_back))

    def _admit(self) -> None:
        with self._changed:
            admitted = self._scheduler.admit()
        for sequence in admitted:
            is_new = sequence.started_at is None
            now = self._clock()
            if is_new:
                sequence.started_at = now
            try:
                self._runner.start(sequence)
                if is_new:
                    sequence.on_event(StartEvent(now - sequence.arrived_at, sequence.num_prompt_positions))
            except Exception as error:  # noqa: BLE001 - logged and told by _fail
                self._fail(sequence, error)

    def _take(self, sequence: Sequence, result: StepResult | Exception) -> None:
        if isinstance(result, Exception):
            self._fail(sequence, result)
            return
        try:
            tokens, patches = sequence.num_tokens, sequence.num_patches
            events = sequence.advance(result)
            # Patches that are followed are heard, not made.
            made = 0 if isinstance(sequence.request.task, Follow) else sequence.num_patches - patches
            self._count_made(sequence, sequence.num_tokens - tokens, made)
            for event in events:
                sequence.on_event(event)
        except Exception as error:  # noqa: BLE001 - logged and told by _fail
            self._fail(sequence, error)
            return
        if sequence.finish_reason is not None:
            self._finish(sequence)

    def _count_made(self, sequence: Sequence, num_tokens: int, num_patches: int) -> None:
        now = self._clock()
        is_late = False
        if num_patches and sequence.first_patch_at is None:
            sequence.first_patch_at = now
        elif num_patches and sequence.priority is Priority.LIVE:
            # The patches before this one have been heard by now.
            is_late = (
                sequence.lead_seconds(now, self._seconds_per_patch) < num_patches * self._seconds_per_patch
            )
        self._count(
            num_tokens=num_tokens,
            num_patches=num_patches,
            audio_seconds=num_patches * self._seconds_per_patch,
            num_underruns=int(is_late),
        )

    def _finish(self, sequence: Sequence) -> None:
        assert sequence.finish_reason is not None
        assert sequence.started_at is not None
        now = self._clock()
        event = FinishEvent(
            reason=sequence.finish_reason,
            text=sequence.text,
            num_tokens=sequence.num_tokens,
            num_patches=sequence.num_patches,
            queue_seconds=sequence.started_at - sequence.arrived_at,
            total_seconds=now - sequence.arrived_at,
        )
        self._forget(sequence, seconds=now - sequence.started_at)
        self._count(num_finished=1)
        self._tell(sequence, event)

    def _fail(self, sequence: Sequence, error: Exception) -> None:
        """Ends one request with a typed error; what was not foreseen is logged with its trace."""
        if not isinstance(error, UniaudioError):
            logger.error("request %s failed", sequence.request.request_id, exc_info=error)
            wrapped = UniaudioError(
                f"the engine failed at request {sequence.request.request_id}: "
                f"{type(error).__name__}: {error}; try again, and report it if it comes back",
                value=type(error).__name__,
                limit="a step without an error",
                remedy="try again, and report it if it comes back",
            )
            wrapped.__cause__ = error
            error = wrapped
        self._forget(sequence)
        is_caller = isinstance(error, CancelledByCallerError)
        self._count(num_cancelled=int(is_caller), num_failed=int(not is_caller))
        self._tell(sequence, FailureEvent(error))

    def _tell(self, sequence: Sequence, event: Event) -> None:
        try:
            sequence.on_event(event)
        except Exception:
            logger.exception("the last event of request %s was refused", sequence.request.request_id)

    def _forget(self, sequence: Sequence, *, seconds: float | None = None) -> None:
        sequence.model_state = None
        with self._changed:
            self._scheduler.remove(sequence, seconds=seconds)
            self._changed.notify_all()

    def _count(self, **more: float) -> None:
        with self._changed:
            self._stats = replace(
                self._stats, **{name: getattr(self._stats, name) + value for name, value in more.items()}
            )

    def _all(self) -> list[Sequence]:
        with self._changed:
            return [*self._scheduler.running, *self._scheduler.waiting]

    def _is_idle(self) -> bool:
        return not self._scheduler.running and not self._scheduler.waiting

    def _drops_surplus_patch(self, request: GenerationRequest) -> bool:
        task = request.task
        wish = task.drop_surplus_patch if isinstance(task, (Speak, Edit)) else None
        return self.config.drop_surplus_patch if wish is None else wish


def _closed(what: str, remedy: str) -> UnavailableError:
    return UnavailableError(f"{what}; {remedy}", value=what, limit="a running engine", remedy=remedy)


def _model_runner(model: Any, config: EngineConfig) -> Runner:
    from uniaudio.engine.model_runner import ModelRunner
    from uniaudio.engine.packed_model import fast_form

    return ModelRunner(fast_form(model, config), config)

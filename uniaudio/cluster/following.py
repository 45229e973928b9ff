"""Follows the log of a training Job from pod to pod, over lost connections, to its end."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable

from uniaudio.cluster.cluster import Cluster
from uniaudio.cluster.log_lines import NewLines
from uniaudio.cluster.looking import look
from uniaudio.cluster.manifests import Manifest
from uniaudio.cluster.state import TrainingState, newest_pod
from uniaudio.errors import DeadlineError, InvalidInputError, UnavailableError

_POLL_SECONDS = 2.0
_MAX_LOST = 8  # answers in a row that did not come: over two minutes
_MAX_PAUSE_SECONDS = 30.0
_ENDED = frozenset({"Succeeded", "Failed"})


class LogFollower:
    """Writes the log of the pods that a Job makes for one index, each line once.

    `write` gets lines, `report` the state whenever there is nothing to read.
    """

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        *,
        index: int,
        write: Callable[[str], None],
        report: Callable[[TrainingState], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._cluster, self._name, self._index = cluster, name, index
        self._write, self._report, self._sleep = write, report, sleep
        self._lines: dict[str, NewLines] = defaultdict(NewLines)
        self._whole: set[str] = set()
        self._num_lost = 0
        self._ends_at = 0.0

    def follow(self, timeout_seconds: float) -> TrainingState:
        """The state in which the Job ended, after the last line of its log.

        Raises NotFoundError once there is no such Job any more, UnavailableError where the cluster stays away, and
        DeadlineError where the Job has not ended in time.
        """
        self._ends_at = time.monotonic() + timeout_seconds
        while not self._is_late():
            try:
                state = self._advance()
            except UnavailableError:
                self._num_lost += 1
                if self._num_lost > _MAX_LOST:
                    raise
                self._sleep(min(2.0**self._num_lost, _MAX_PAUSE_SECONDS))
                continue
            if state is not None:
                return state
        raise DeadlineError(
            f"{self._name} has not ended within {timeout_seconds:g} s; it goes on: follow it again",
            value=self._name,
            limit=f"{timeout_seconds:g} s",
            remedy="follow it again",
        )

    def _advance(self) -> TrainingState | None:
        """Reads what there is to read now; the state once the Job has ended and all of it is read."""
        job, pods = self._cluster.job(self._name), self._cluster.pods(self._name)
        self._num_lost = 0
        pod = newest_pod(pods, self._index)
        if pod is not None and self._has_more(pod):
            self._read(pod)
            return None
        state, _ = look(self._cluster, job, pods)
        if state.has_ended:
            return state
        self._report(state)
        self._sleep(_POLL_SECONDS)
        return None

    def _has_more(self, pod: Manifest) -> bool:
        return pod["metadata"]["uid"] not in self._whole and pod["status"].get("phase") != "Pending"

    def _read(self, pod: Manifest) -> None:
        """Copies new lines until the log ends.

        A cluster ends it in the same way when its own connection to the node is lost, so that the log of a pod that
        has ended is whole once it brought nothing new.
        """
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        lines = self._lines[uid]
        newest_before = lines.newest
        try:
            with self._cluster.follow_log(name, lines.since_seconds()) as log:
                for text in lines.of(log):
                    self._write(text)
                    if self._is_late():
                        return
        except InvalidInputError:
            # The pod or its log has gone: there is nothing more to be had of it.
            self._whole.add(uid)
        if pod["status"].get("phase") not in _ENDED:
            self._sleep(_POLL_SECONDS)
        elif lines.newest == newest_before:
            self._whole.add(uid)

    def _is_late(self) -> bool:
        return time.monotonic() > self._ends_at

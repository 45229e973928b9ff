"""The likeliest way through states that are passed one after the other (Viterbi), as alignments need it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from uniaudio.editing.features import FloatArray


def likeliest_path(
    emitted: FloatArray, may_skip: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int_], float]:
    """The state of each frame, and the logarithm of how likely that is; minus infinity where there is no way.

    `emitted` `(num_frames, num_states)` are logarithms. A way begins in one of the first two states and ends in one of
    the last two; it stays, goes on, or, into states that `may_skip` tells, leaves one out.
    """
    num_frames, num_states = emitted.shape
    came_from = np.zeros((num_frames, num_states), np.int8)
    total = np.full(num_states, -np.inf)
    total[:2] = emitted[0, :2]
    for frame in range(1, num_frames):
        steps = np.full((3, num_states), -np.inf)
        steps[0] = total
        steps[1, 1:] = total[:-1]
        steps[2, 2:] = np.where(may_skip[2:], total[:-2], -np.inf)
        came_from[frame] = steps.argmax(axis=0)
        total = steps.max(axis=0) + emitted[frame]
    state = num_states - 1 - int(total[:-3:-1].argmax())
    likelihood = float(total[state])
    path = [state]
    for frame in range(num_frames - 1, 0, -1):
        state -= int(came_from[frame, state])
        path.append(state)
    return np.array(path[::-1]), likelihood

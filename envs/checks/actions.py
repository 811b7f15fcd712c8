"""Actions are taken as declared; pictures are bytes; close can be called twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces

from .problem import EnvRaised, Problem, call, kind_of, short
from .record import finite_bounds, identical, play_on, replayer, start_episode
from .subject import Subject

_NUM_CORNERS = 16


def check_actions(subject: Subject) -> Iterator[Problem]:
    """Every corner of the action space is accepted, the caller's array is left alone, and what is done matters."""
    space: Any = getattr(subject.first, "action_space", None)
    if not isinstance(space, spaces.Box):
        return
    steps = [step for episode in subject.record.episodes for step in episode.steps]
    if any(not np.array_equal(step.action, step.action_after) for step in steps):
        what = "step writes on the action array that it is handed"
        yield Problem(
            check="actions",
            what=what,
            fix="work on a copy: action = np.clip(action, low, high), not action *= ...",
            severity="adapted",
        )
    yield from _corner_problems(subject, space)
    yield from _effect_problems(subject, space)


def _corner_problems(subject: Subject, space: spaces.Box) -> Iterator[Problem]:
    low, high = finite_bounds(space)
    share = np.random.default_rng(subject.seed).integers(0, 2, (_NUM_CORNERS, *space.shape))
    share[0], share[1] = 0, 1
    for corner in np.unique((low + share * (high - low)).astype(space.dtype), axis=0):
        episode = start_episode(subject.used, subject.seed)
        try:
            play_on(subject.used, episode, replayer([corner]), 1)
        except EnvRaised as error:
            what = f"step refuses {short(corner)}, a corner of its action space: {error.error}"
            yield Problem(
                check="actions", what=what, fix="accept the closed range, low <= action <= high, or narrow action_space"
            )
            return


def _effect_problems(subject: Subject, space: spaces.Box) -> Iterator[Problem]:
    """Two opposite pushes, held for ten steps from three starts, must not all end in the same observations."""
    low, high = (bound.astype(space.dtype) for bound in finite_bounds(space))
    env = subject.used
    for seed in range(subject.seed, subject.seed + 3):
        episodes = [subject.replay(env, start_episode(env, seed), [push] * 10) for push in (low, high)]
        if not all(identical(a, b) for a, b in zip(*(episode.observations for episode in episodes), strict=False)):
            return
    what = "the action has no effect: its lowest and its highest value lead to the same observations"
    yield Problem(check="actions", what=what, fix="use `action` in step: position = position + action * step_length")


def check_close(subject: Subject) -> Iterator[Problem]:
    """close works after reset, and a second time."""
    env = subject.used
    call("reset()", env.reset)
    call("close()", env.close)
    try:
        env.close()
    except Exception as error:
        what = f"the second close() raised {type(error).__name__}: {error}"
        fix = "let close be called twice: if self.window is not None: self.window.close(); self.window = None"
        yield Problem(check="close", what=what, fix=fix, severity="advice")


def check_render(subject: Subject) -> Iterator[Problem]:
    """A picture is an array of bytes, height x width x 3."""
    env = subject.used
    start_episode(env, subject.seed)
    try:
        picture = call("render()", env.render)
    except EnvRaised as error:
        if re.search("OpenGL|EGL|GLX|OSMesa|display", str(error), re.IGNORECASE):
            return  # the machine lacks graphics; no fault of the env
        raise
    form = isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
    if not form:
        dtype = f" of {picture.dtype}" if isinstance(picture, np.ndarray) else ""
        what = f"render returns {kind_of(picture)}{dtype}, no uint8 array of shape (height, width, 3)"
        yield Problem(check="render", what=what, fix="return np.asarray(picture, dtype=np.uint8)[..., :3]", severity="advice")

"""Many point masses as one env: array arithmetic in place of a loop over envs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from .drawings import FLAT
from .frames import draw_world
from .panes import Pane
from .point_mass_world import Pairs, PointMassWorld
from .random_maze import random_maze

Array = NDArray[np.floating]
Flags = NDArray[np.bool_]


class PointMassVector(PointMassWorld, VectorEnv):
    """`gymnasium.make_vec("PointMass...-v0", num_envs=B)`: the same numbers, bit for bit, as B single envs.

    Env i has its own generator and, seeded with s, starts as `PointMass` does with seed s + i. An episode is cut after
    `max_episode_steps`, as TimeLimit does. `autoreset_mode` is gymnasium's: by default a finished env is reset by the
    next step (its action is ignored); with SAME_STEP at once, and its last observation is in `infos["final_obs"]`.
    """

    def __init__(
        self,
        num_envs: int,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        rows: Sequence[str] = FLAT,
        scale: float | None = None,
        tolerance: float = 0.1,
        difficulty: float = 0.0,
        connected: bool = True,
        panes: Sequence[Pane] = (),
        render_mode: str | None = None,
    ) -> None:
        super().__init__(rows, scale, tolerance, difficulty, connected, panes)
        if num_envs < 1:
            raise ValueError(f"num_envs must be at least 1, got {num_envs}")
        if max_episode_steps is not None and max_episode_steps < 1:
            raise ValueError(f"max_episode_steps must be at least 1, got {max_episode_steps}")
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be 'rgb_array' or None, got {render_mode!r}")
        self.num_envs = num_envs
        self.max_episode_steps = max_episode_steps
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": 20, "autoreset_mode": self.autoreset_mode}
        self.render_mode = render_mode
        self.single_observation_space, self.single_action_space = self.goal_space, self.push_space
        self.observation_space = batch_space(self.goal_space, num_envs)
        self.action_space = batch_space(self.push_space, num_envs)
        self._pairs: list[Pairs] = []
        self._generators: list[np.random.Generator] = []
        self._positions: Array = np.zeros((num_envs, 2))
        self._velocities: Array = np.zeros((num_envs, 2))
        self._goals = np.zeros((num_envs, 2), dtype=np.float32)
        self._steps = np.zeros(num_envs, dtype=np.int64)
        self._over: Flags = np.zeros(num_envs, dtype=bool)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        options = options or {}
        seeds = list(seed) if isinstance(seed, Sequence) else [None if seed is None else seed + i for i in range(self.num_envs)]
        if len(seeds) != self.num_envs:
            raise ValueError(f"{len(seeds)} seeds were given for {self.num_envs} envs")
        chosen = np.asarray(options.get("reset_mask", np.ones(self.num_envs, dtype=bool)))
        unknown = set(options) - {"difficulty", "reset_mask"}
        if unknown:
            raise ValueError(f"a batch knows the reset options difficulty and reset_mask, not {sorted(unknown)}")
        if not self._pairs:
            self._generators = [seeding.np_random(None)[0] for _ in range(self.num_envs)]
            self._pairs = [Pairs(self, self.difficulty, rng) for rng in self._generators]
        for i in np.flatnonzero(chosen):
            if seeds[i] is not None:
                self._generators[i] = seeding.np_random(seeds[i])[0]
                self._pairs[i] = Pairs(self, self.difficulty, self._generators[i])
        self._start(np.flatnonzero(chosen), options.get("difficulty"))
        return self._observe(), {}

    def step(self, actions: Array) -> tuple[dict[str, Array], Array, Flags, Flags, dict[str, Any]]:
        resting = self._over if self.autoreset_mode is AutoresetMode.NEXT_STEP else np.zeros(self.num_envs, dtype=bool)
        resting = resting.copy()
        self._positions, self._velocities, touched = self.advance(self._positions, self._velocities, np.asarray(actions))
        self._steps += 1
        if resting.any():
            self._start(np.flatnonzero(resting))
        observations = self._observe()
        rewards = self.compute_reward(observations["achieved_goal"], observations["desired_goal"], {}).astype(np.float64)
        terminated = (rewards == 0.0) & ~resting
        truncated = np.zeros(self.num_envs, dtype=bool)
        if self.max_episode_steps is not None:
            truncated = (self._steps >= self.max_episode_steps) & ~resting
        rewards[resting] = 0.0
        self._over = terminated | truncated
        if self.autoreset_mode is not AutoresetMode.SAME_STEP or not self._over.any():
            return observations, rewards, terminated, truncated, self._infos(terminated, touched, ~resting)
        over = self._over.copy()
        final = np.full(self.num_envs, None, dtype=object)
        for i in np.flatnonzero(over):
            final[i] = {key: values[i].copy() for key, values in observations.items()}
        infos = self._infos(terminated, touched, ~over) | {"final_obs": final, "_final_obs": over}
        infos |= {"final_info": self._infos(terminated, touched, over), "_final_info": over.copy()}
        self._start(np.flatnonzero(over))
        return self._observe(), rewards, terminated, truncated, infos

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:  # type: ignore[override]
        if self.render_mode is None:
            return None
        masses = zip(self._positions, self._goals, strict=True)
        return tuple(draw_world(self.map, position, goal, self.tolerance, position[None]) for position, goal in masses)

    def _start(self, envs: NDArray[np.intp], difficulty: float | None = None) -> None:
        """Begin new episodes in these envs; each draws from its own generator."""
        for i in envs:
            pairs = self._pairs[i]
            if difficulty is not None:
                pairs = Pairs(self, difficulty, self._generators[i])
            self._positions[i], self._goals[i] = pairs.draw()
        self._velocities[envs] = 0.0
        self._steps[envs] = 0
        self._over[envs] = False

    def _observe(self) -> dict[str, Array]:
        positions = self._positions.astype(np.float32)
        states = np.empty((self.num_envs, 4), dtype=np.float32)
        states[:, :2], states[:, 2:] = positions, self._velocities
        return {"observation": states, "achieved_goal": positions, "desired_goal": self._goals.copy()}

    @staticmethod
    def _infos(arrived: Flags, touched: Flags, told: Flags) -> dict[str, Any]:
        """Gymnasium's batched infos: each value beside a mask of the envs that said it; nothing if none did."""
        if not told.any():
            return {}
        said = {"is_success": arrived & told, "success": arrived & told, "wall_contact": touched & told}
        return said | {f"_{name}": told.copy() for name in said}


def random_maze_vector(num_envs: int, size: int = 8, loops: int = 4, maze_seed: int = 0, **settings: Any) -> PointMassVector:
    """`PointMassRandomMaze-v0` as a batch: all in the same maze."""
    return PointMassVector(num_envs, rows=random_maze(size, loops, maze_seed), **settings)

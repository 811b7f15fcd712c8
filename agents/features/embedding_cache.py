"""What the ways tell of places: of each that is stored, or will be, worked out once and kept, or asked each time."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..replay.batch import HerSamples, Inputs
from ..replay.her_buffer import HerBuffer
from .geodesic_prior import GeodesicPrior

_AT_ONCE = 4_096  # places


class EmbeddingCache:
    """The codes of all places in a buffer, before and after each step, and of the goals that were pursued in them.

    An update asks for the same places again and again, while what codes them changes only when the ways are learnt: asked
    afresh each time, it took two thirds of the time of an update. Few at a time take as long as many: so what has come in is not
    coded before somebody needs some of it. Where the envs are the agent needs to know when it acts; the step that begins there
    and the one that has ended there find it coded.
    """

    def __init__(self, buffer: HerBuffer, ways: GeodesicPrior) -> None:
        assert isinstance(ways, nn.Module)  # for the type checker
        self._buffer, self._ways = buffer, ways
        self._learnt = [*ways.parameters(), *ways.buffers()]
        device = self._learnt[0].device
        # on a CPU their memory is taken as it is written to
        self._codes = torch.empty(2 * buffer.num_places, ways.code_size, device=device)
        self._pursued = torch.empty(buffer.num_places, ways.goal_code_size, device=device)
        self._coded = np.zeros(2 * buffer.num_places, dtype=bool)  # which numbers of places are
        self._pursued_coded = np.zeros(buffer.num_places, dtype=bool)
        self._seen = 0  # the buffer's `num_added` when all was coded for sure
        self._versions: list[int] = []  # of what was learnt, then

    def forget(self) -> None:
        """Work all out anew when it is needed, in the same parts whatever came in when: rounding depends on them."""
        self._versions = []

    @torch.inference_mode()
    def now(self, observations: dict[str, NDArray]) -> tuple[Tensor, Tensor]:
        self._forget_what_changed()
        states, places, goals = (observations[key] for key in ("observation", "achieved_goal", "desired_goal"))
        first = self._buffer.next_place()
        if first is None:
            return self._code(states, places), self._code_goals(goals)
        before, here = slice(max(first - len(goals), 0), first), slice(first, first + len(goals))
        lacking = np.flatnonzero(~self._coded[here])
        if len(lacking):
            self._keep(first + lacking, states[lacking], places[lacking])
        # not even a step that was begun here, but not stored, has pursued the same for sure
        pursued = self._buffer.pursued_at(np.arange(before.start, first))
        same = self._pursued_coded[before].all() and np.array_equal(pursued, goals)
        self._pursued[here] = self._pursued[before] if same else self._code_goals(goals)
        self._pursued_coded[here] = True
        return self._codes[here], self._pursued[here]

    @torch.inference_mode()
    def update(self, samples: HerSamples) -> None:
        """Code all that is not coded yet if these need any of it, or all if the ways have changed since."""
        self._forget_what_changed()
        buffer = self._buffer
        fresh = buffer.places_since(self._seen)
        if buffer.full:  # where these lie now, others may have lain
            self._coded[fresh] = self._coded[fresh + buffer.num_places] = self._pursued_coded[fresh] = False
        needed = torch.cat([samples.places.reshape(-1), samples.goal_places]).cpu().numpy()
        if self._coded[needed].all() and self._pursued_coded[needed[: samples.places.shape[1]]].all():
            return
        places = np.concatenate([fresh, fresh + buffer.num_places])
        numbers, first = np.unique(buffer.shared(places), return_index=True)
        lacking = ~self._coded[numbers]
        for part in _parts(lacking.nonzero()[0]):
            where = places[first[part]]
            self._keep(numbers[part], buffer.states_at(where), buffer.goals_at(where))
        for rows in _parts(fresh[~self._pursued_coded[fresh]]):
            self._keep_goals(rows, buffer.pursued_at(rows))
        self._seen = buffer.num_added

    def of(self, batch: Inputs) -> tuple[Tensor, Tensor]:
        codes = self._codes.index_select(0, batch.places.reshape(-1)).reshape(*batch.places.shape, -1)
        achieved = self._codes[:, : self._ways.goal_code_size].index_select(0, batch.goal_places)
        pursued = self._pursued.index_select(0, batch.places[0, len(achieved) :])
        return codes, torch.cat([achieved, pursued])

    def _forget_what_changed(self) -> None:
        versions = [tensor._version for tensor in self._learnt]  # grows with every write
        if versions != self._versions:
            self._seen, self._versions = 0, versions
            self._coded[:] = self._pursued_coded[:] = False

    def _keep(self, numbers: NDArray, states: NDArray, places: NDArray) -> None:
        self._codes[numbers] = self._code(states, places)
        self._coded[numbers] = True

    def _keep_goals(self, rows: NDArray, goals: NDArray) -> None:
        self._pursued[rows] = self._code_goals(goals)
        self._pursued_coded[rows] = True

    def _code(self, states: NDArray, places: NDArray) -> Tensor:
        return self._ways.code(_tensor(states, self._codes.device), _tensor(places, self._codes.device))

    def _code_goals(self, goals: NDArray) -> Tensor:
        return self._ways.code_goals(_tensor(goals, self._codes.device))


def _parts(numbers: NDArray) -> list[NDArray]:
    return np.split(numbers, range(_AT_ONCE, len(numbers), _AT_ONCE)) if len(numbers) else []


def _tensor(values: NDArray, device: torch.device) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float32, device=device)


class UncachedEmbeddings:
    """Asked of the ways each time, where nothing in them would have to be worked out."""

    def __init__(self, ways: GeodesicPrior, device: torch.device) -> None:
        self._ways, self._device = ways, device

    def now(self, observations: dict[str, NDArray]) -> tuple[Tensor, Tensor]:
        names = ("observation", "achieved_goal", "desired_goal")
        states, places, goals = (_tensor(observations[name], self._device) for name in names)
        return self._ways.code(states, places), self._ways.code_goals(goals)

    def update(self, samples: HerSamples) -> None:
        pass

    def forget(self) -> None:
        pass

    def of(self, batch: Inputs) -> tuple[Tensor, Tensor]:
        return self._ways.code(batch.states, batch.achieved), self._ways.code_goals(batch.desired)

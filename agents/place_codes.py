"""What the ways tell of the places in a batch: of each stored place worked out once and kept, or asked each time."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from .her_buffer import HerBuffer, HerSamples
from .update import Inputs
from .ways import Ways

_AT_ONCE = 4_096  # places


class PlaceCodes:
    """The codes of all places in a buffer, before and after each step, and of the goals that were pursued in them.

    An update asks for the same places again and again, while what codes them changes only when the ways are learnt: asked
    afresh each time, it took two thirds of the time of an update. Few at a time take as long as many: so what has come in is not
    coded before some of it is in a batch.
    """

    def __init__(self, buffer: HerBuffer, ways: Ways) -> None:
        assert isinstance(ways, nn.Module)  # for the type checker
        self._buffer, self._ways = buffer, ways
        self._learnt = [*ways.parameters(), *ways.buffers()]
        device = self._learnt[0].device
        # on a CPU their memory is taken as it is written to
        self._codes = torch.empty(2 * buffer.num_places, ways.code_size, device=device)
        self._pursued = torch.empty(buffer.num_places, ways.goal_code_size, device=device)
        self._coded = np.zeros(buffer.num_places, dtype=bool)  # which rows of the buffer are
        self._seen = 0  # the buffer's `num_added` when it was last looked at
        self._versions: list[int] = []  # of what was learnt, then

    @staticmethod
    def kept_of(ways: Ways) -> int:
        """How many numbers of a step: the codes of both its places and of the goal."""
        return 2 * ways.code_size + ways.goal_code_size

    def forget(self) -> None:
        """Work all out anew at the next update, in the same parts whatever came in when: rounding depends on them."""
        self._versions = []

    @torch.no_grad()
    def update(self, batch: HerSamples) -> None:
        """Code all that is not coded yet if the batch needs any of it, or all if the ways have changed since."""
        buffer = self._buffer
        versions = [tensor._version for tensor in self._learnt]  # grows with every write
        if versions != self._versions:
            self._seen, self._versions = 0, versions
            self._coded[:] = False
        fresh = buffer.places_since(self._seen)
        self._coded[fresh] = False  # where they lie now, others may have lain
        needed = torch.cat([batch.places[0], batch.goal_places]).cpu().numpy() % buffer.num_places
        if self._coded[needed].all():
            return
        rows = torch.as_tensor(fresh)
        for numbers in torch.cat([rows, rows + buffer.num_places]).split(_AT_ONCE):
            states, goals = (buffer.to_torch(values(numbers.numpy())) for values in (buffer.states_at, buffer.goals_at))
            self._codes[numbers] = self._ways.code(states, goals)
        for part in rows.split(_AT_ONCE):
            self._pursued[part] = self._ways.code_goals(buffer.to_torch(buffer.pursued_at(part.numpy())))
        self._coded[fresh] = True
        self._seen = buffer.num_added

    def of(self, batch: Inputs) -> tuple[Tensor, Tensor]:
        codes = self._codes.index_select(0, batch.places.reshape(-1)).reshape(*batch.places.shape, -1)
        achieved = self._codes[:, : self._ways.goal_code_size].index_select(0, batch.goal_places)
        pursued = self._pursued.index_select(0, batch.places[0, len(achieved) :])
        return codes, torch.cat([achieved, pursued])


class FreshCodes:
    """Asked of the ways each time, where nothing in them would have to be worked out."""

    def __init__(self, ways: Ways) -> None:
        self._ways = ways

    def update(self, batch: HerSamples) -> None:
        pass

    def forget(self) -> None:
        pass

    def of(self, batch: Inputs) -> tuple[Tensor, Tensor]:
        return self._ways.code(batch.states, batch.achieved), self._ways.code_goals(batch.desired)

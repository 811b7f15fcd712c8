"""What is fitted after the agent leaves its losses behind."""

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from thalweg.fitting_log import Losses
from thalweg.planner.progress import silent


def fitted(losses, steps):
    with losses.recorded("energy sampler", steps) as on_step:
        for step in range(1, steps + 1):
            on_step(step, 1.0 / step)
    with losses.recorded("drives", None) as on_step:
        on_step()


def test_every_fiftieth_loss_is_kept():
    losses = Losses(silent, None)
    fitted(losses, 120)
    assert losses.to_csv().decode().splitlines() == ["stage,step,loss", "energy sampler,50,0.02", "energy sampler,100,0.01"]


def test_tensorboard_gets_them_too(tmp_path):
    losses = Losses(silent, tmp_path)
    fitted(losses, 50)
    losses.to_csv()
    events = EventAccumulator(str(tmp_path)).Reload()
    (told,) = events.Scalars("fit/energy sampler loss")
    assert told.step == 50 and told.value == pytest.approx(0.02)

"""Goal-conditioned reinforcement learning and planning: `import thalweg` is all that a user's program needs.

    run = thalweg.train("PointMassU-v0", steps=40_000)
    table = thalweg.evaluate(run, planners=["none", "energy"])

Names are loaded when they are first used: importing the package imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .adoption import plan_with as plan_with
    from .agents.config import AgentConfig as AgentConfig
    from .agents.sac.sac import GoalSAC as GoalSAC
    from .envs.checks import check_env as check_env
    from .envs.goal_wrapper import GoalWrapper as GoalWrapper
    from .envs.loading import GoalEnvs as GoalEnvs
    from .envs.loading import as_goal_env as as_goal_env
    from .evaluation import evaluate as evaluate
    from .pictures import draw_plan as draw_plan
    from .planner.data.trajectories import Trajectory as Trajectory
    from .planner.energy.config import EnergyConfig as EnergyConfig
    from .planner.errors import UsageError as UsageError
    from .planner.evaluation.table import Table as Table
    from .planner.plan import NoPathError as NoPathError
    from .planner.plan import Plan as Plan
    from .planner.run.registry import DISTANCES as DISTANCES
    from .planner.run.registry import PLANNERS as PLANNERS
    from .planner.run.registry import SAMPLERS as SAMPLERS
    from .planner.run.run import Run as Run
    from .runs import load as load
    from .training import resume as resume
    from .training import train as train

_WHERE = {
    "train": "training:train",
    "resume": "training:resume",
    "load": "runs:load",
    "plan_with": "adoption:plan_with",
    "evaluate": "evaluation:evaluate",
    "draw_plan": "pictures:draw_plan",
    "Run": "planner.run.run:Run",
    "Table": "planner.evaluation.table:Table",
    "Plan": "planner.plan:Plan",
    "NoPathError": "planner.plan:NoPathError",
    "UsageError": "planner.errors:UsageError",
    "Trajectory": "planner.data.trajectories:Trajectory",
    "SAMPLERS": "planner.run.registry:SAMPLERS",
    "DISTANCES": "planner.run.registry:DISTANCES",
    "PLANNERS": "planner.run.registry:PLANNERS",
    "GoalSAC": "agents.sac.sac:GoalSAC",
    "AgentConfig": "agents.config:AgentConfig",
    "EnergyConfig": "planner.energy.config:EnergyConfig",
    "as_goal_env": "envs.loading:as_goal_env",
    "GoalEnvs": "envs.loading:GoalEnvs",
    "GoalWrapper": "envs.goal_wrapper:GoalWrapper",
    "check_env": "envs.checks:check_env",
}
__all__ = ["__version__", *_WHERE]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'thalweg' has no attribute {name!r}")
    module, _, attribute = _WHERE[name].partition(":")
    value = getattr(import_module(f"thalweg.{module}"), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

"""Is a goal env fit for training? What is broken, what is adapted, and advice: all at once, each with its fix."""

from .problem import Findings, Problem
from .run import GYMNASIUM, Verdict, check_goal_env, examine

check_env = check_goal_env  # its name as `thalweg.check_env`

__all__ = ["GYMNASIUM", "Findings", "Problem", "Verdict", "check_env", "check_goal_env", "examine"]

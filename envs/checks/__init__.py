"""Does a goal env keep its promises? Every broken one at once, each with its fix."""

from .problem import Problem
from .run import GYMNASIUM, Verdict, check_goal_env, examine

check_env = check_goal_env  # its name as `thalweg.check_env`

__all__ = ["GYMNASIUM", "Problem", "Verdict", "check_env", "check_goal_env", "examine"]

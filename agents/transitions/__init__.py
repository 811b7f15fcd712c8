"""Models of transitions that a planner's online learner uses."""

"""Goal-conditioned soft actor-critic."""

"""Goal-conditioned agents on stable-baselines3. Empty on purpose: `agents.config` must load without torch."""

"""Goal-conditioned reinforcement learning and planning: `import thalweg` is all that a user's program needs."""

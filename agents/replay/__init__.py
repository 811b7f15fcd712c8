"""The replay buffer with hindsight, and what it needs to know about goals."""

"""What the agent's networks see of a goal observation."""

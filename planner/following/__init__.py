"""How a plan is driven: subgoals handed to the agent one after the other, and routes clear of walls."""

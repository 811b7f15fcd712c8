"""Trajectories, what they cover, and points picked from them."""

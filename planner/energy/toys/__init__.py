"""Energies on curves and in small mazes whose truth is known."""

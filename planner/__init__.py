"""Distances from value functions, energies that imagine states in between, graph search, subgoals.

Knows neither Gymnasium nor stable-baselines3: arrays in, arrays out.
"""

"""Conditional energy-based models: what lies between a start and a goal. Low energy is likely."""

"""Graphs over states and the searches over them."""

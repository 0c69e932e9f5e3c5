"""Melodies as audio: rendered by a soundfont, and put together from its notes for training."""

"""Drawings: values in, HTML out. Nothing here knows gradio, and everything that came from outside is escaped."""

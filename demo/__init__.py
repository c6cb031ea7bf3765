"""The application: the only place that imports gradio."""

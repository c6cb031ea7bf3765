"""From pools of unpaired items to a preset folder, resumable, on one process or several."""

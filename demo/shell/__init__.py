"""What all tabs share: how a tab is made, what a callback answers, the look, the detail panel, notices, examples."""

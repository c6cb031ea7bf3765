"""One file or folder for each tab, with its own callbacks; :mod:`demo.shell.tab` says what a tab is."""

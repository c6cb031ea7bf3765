"""How shapes enter mini: the point encoder and the heads for views."""

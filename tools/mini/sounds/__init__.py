"""How sounds enter mini: heads on two towers."""

"""Attempts as processes of this machine: started, watched and ended with all that they started."""

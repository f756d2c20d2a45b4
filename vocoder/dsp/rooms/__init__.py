"""Rooms: parametric reverberation, and the image method for a rectangular room."""

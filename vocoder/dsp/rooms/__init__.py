"""Rooms: reverberation by parameters, and the image method in a box."""

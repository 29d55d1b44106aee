"""How fast one worker is beside a bare loop, and where the time goes: `make bench`."""

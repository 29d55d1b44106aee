"""How fast it is, and where the time goes: `make bench`; and tests.bench.store, replay, curves, guard, busy."""

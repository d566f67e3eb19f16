"""Virtual time against real time: the same loads played by `bench`'s means, and by real processes over real HTTP."""

"""Everything that comes in from outside, fed with what should never come: a value that is sound, or an error of ours.

Each door has a target, a function that takes one input as bytes and fails when the program does anything else. Inputs
begin as recorded answers or as a file of `corpus`, and are spoilt by `mutation`. `test_fuzz` plays a few hundred of
each under hypothesis; `make fuzz` (`python -m tests.fuzz`) plays a million.

Most inputs are lines `head = body`: an HTTP path, or a place on the bus, and what stands there as JSON.
"""

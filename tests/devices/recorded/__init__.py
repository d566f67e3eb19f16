"""Answers of real devices, as their users reported them in public, and what a careful reader takes from each.

A JSON file holds a list of recordings: `device` says what one shows, `source` where it was published. Keys that begin
with `/` are paths with the answer recorded there, in its shape and with its values. Left out is what says nothing about
measuring (network, cloud, memory); serial numbers, MACs and names are replaced; a `/shelly` that the source does not
quote is made up from the model and has no version. A Shelly answers for a single part of its status too: that is cut
out of the whole here.

What is to be read stands beside it: `asked` for a Shelly (as grid meter or at plug-in solar, and on which channel: the
values, or a part of the sentence that refuses it), `reads`, `limits`, `known` or `refused` for a DTU.
"""

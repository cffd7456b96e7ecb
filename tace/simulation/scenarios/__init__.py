"""What may happen to a network, as scripts and as scenarios that are built in.

A scenario only says what happens, and when. All that nodes do about it is the production code.
"""

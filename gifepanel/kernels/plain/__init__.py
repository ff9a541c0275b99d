"""Kernels in NumPy, for the first fits of a process: same names, same arguments, and the same numbers.

Compiled code adds in the order of its loops and fuses nothing, so a sum taken in that order here is the same to the
last bit. Entities are the last axis, on which NumPy works at once; what is summed comes first. Only the rounds of the
search over groupings are the same to rounding: compiled, their sums run on vectors. What is estimated from the groups
that they find is not theirs.
"""

"""Kernels in NumPy, for the first fits of a process: same names, same arguments, and the same numbers to the last bit.

Compiled code adds in the order of its loops and fuses nothing, so a sum taken in that order here is the same number.
Entities are the last axis, on which NumPy works at once; what is summed comes first.
"""

"""Vocabulary shared by every layer: errors, values and refs, devices, dtypes, events, deadlines.

Rules for this folder: standard library only, no I/O, nothing else of rpcnb.
"""

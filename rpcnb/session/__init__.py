"""Bytes-free sessions: the interface `RPCSession`, and `LocalSession`, which runs the functions.

Rules for this folder: core, and NumPy in the files about arrays; no messages, no sockets. Import
from the modules themselves (``rpcnb.session.base``, ``rpcnb.session.local``): what only registers
functions must not load NumPy.
"""

"""What a person holds: proxies of remote functions, arrays, modules, objects, devices and calls.

Rules for this folder: what looks (``repr``, ``len``, ``dir``, ``hasattr``, Tab, ``?``) never sends
a frame; finalizers do no I/O; nothing here knows notebooks.
"""

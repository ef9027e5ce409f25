"""What IPython and Jupyter get: magics, displays of the proxies, progress under a cell.

Rules for this folder: a static display is text and inline styles that survive an untrusted
notebook; a string from a server is text, never markup; looking sends nothing.
"""

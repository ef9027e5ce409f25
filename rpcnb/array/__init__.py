"""Array operations: one table, and what is made from it on both sides.

Rules for this folder: an operation is one row of `rows`; its signature, documentation, method,
operator, place in the namespace and implementation over there follow from the row. Nothing here
knows connections; what runs an operation is an `Engine` that somebody hands in.
"""

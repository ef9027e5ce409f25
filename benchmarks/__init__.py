"""Figures of rpcnb, each beside what a bare socket needs for the same on the same machine."""

"""Live views: what sessions do, as it happens, in widgets.

Events of the sessions go to one `Hub` each, which keeps what the views show; the `Bridge`, a thread
of its own, sends what changed to the browser, ten times a second at most, also while a cell blocks.
Clicks come back as messages, on whatever thread the kernel has for them, and are put into a queue:
a view acts through `rpcnb.remote` and `rpcnb.manager` and through nothing else.
"""

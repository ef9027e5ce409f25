"""The asking end: `SocketSession`, connecting it by URL, its copies, and SIGINT while it waits."""

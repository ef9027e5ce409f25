"""A program of clients that come one after the other and leave, or are killed."""

from __future__ import annotations

CLIENTS = """
import select
numbers = random.Random(7)
amount, how = json.loads(sys.stdin.readline())
session.shutdown()
for number in range(amount):
    hear, tell = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        try:
            with open_session(url, token=token) as own:
                os.write(tell, b"x")
                while True:
                    own.call_func(own.get_function("t.zeros"), (1 << 20,))
        finally:
            os._exit(0)
    if number % 2:  # each other one ends while it connects, or a moment later
        select.select([hear], [], [], 10)
    time.sleep(numbers.uniform(0, 0.02))
    os.kill(child, signal.SIGKILL if how == "killed" else signal.SIGTERM)
    os.waitpid(child, 0)
    os.close(hear), os.close(tell)
say("done")
"""
"""For a server's ``client``. It reads how many, and ``"leaving"`` or ``"killed"``, and says when all are gone."""

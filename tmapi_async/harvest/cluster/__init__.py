"""The same harvest with the workers of a Dask cluster asking: how it is made.

Words: a *seat* is one worker walking for one account: a crawl, a session and a gate of its own, on
the worker. A *line* is the connection between this process (the coordinator) and a seat. A
*stretch* is some listings sent to a seat as one Dask task. A *share* is what a seat may use of its
account: slots, pace, budget.

* **The journal is the truth.** It has one writer, here. A seat keeps nothing that matters: if it is
  lost, each of its listings is read again from the journal, exactly as a resumed harvest would, and
  sent to another seat. So no page that reached the coordinator is asked for twice.
* **Stretches go out as tasks, pages come back by the line.** A task says what to walk and holds the
  worker while it is walked, so that the dashboard shows it and the scheduler places it. What it
  brings does not go through the scheduler: a seat sends each page at once, with all that became
  ready in the same turn of its loop, straight to the coordinator. So a giant listing neither makes
  a giant result nor holds up anything, and the scheduler's cost is one task a stretch.
* **Seats do the work.** They decode, count, watch for endless listings and compress bodies with the
  journal's own dictionary. The coordinator inserts.
* **One account, one limit.** The coordinator owns the controller that learns. Seats report each
  attempt (sent, answered, refused); the reports are put in order of time and played to the
  controller as if all had passed one gate. What it allows is dealt in shares (`sharing`). A share
  has an epoch: what is taken from one seat is given to another only when the first has confirmed
  the epoch that took it, and has given its slots back. What a lost seat held stays out until the
  server can be expected to be done with it.
* **What a kill costs.** A page keeps its slot on the seat until it has been handed to the operating
  system, which delivers it even if the worker is killed the next moment. So a killed worker's loss
  is at most its slots. Pages that await their commit are counted as on one machine: with those on
  the wire they stay within two widths of the gate.
* **No orphans.** A seat ends when its line breaks, or when it heard nothing for 30 seconds; its
  gate is closed from then on.
* **Tokens** are in no task and no argument. The first message of a line, which `distributed` may
  log, names the account by number; the token follows on the line itself, or is read on the worker
  from a variable or a file.

Why not something else: an `Actor` and `client.run` answer requests, but cannot push; `Queue`, `Pub`
and events go through the scheduler; a `Semaphore` leases one slot at a time through the scheduler,
and a lease in a worker process is not refreshed. A handler that keeps its connection is what
`distributed` itself is made of (its shuffle registers handlers in the same way).
"""

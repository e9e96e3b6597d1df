"""Harvest whose requests are sent by the workers of a Dask cluster.

Words: a *session* is one account's work on one worker process: a crawler, an HTTP session and a
gate of its own. A *channel* is the connection between this process (the *coordinator*) and one
session. A *batch* is some listings, sent to a session as one Dask task. A *share* is the part of
an account's limits that a session may use: slots, rate, budget.

* **The journal is the truth.** It has one writer, in the coordinator. A session keeps no state
  that matters: if a session is lost, the coordinator reads each of its listings from the journal
  again, exactly as a resumed harvest would, and sends them to another session. So no page that
  reached the coordinator is requested twice.
* **Batches go out as Dask tasks, pages come back on the channel.** A task names the listings and
  occupies the worker while they are walked, so that the dashboard shows it and the scheduler
  places it. Pages do not go through the scheduler: a session sends each page at once, together
  with all pages of the same turn of its loop, straight to the coordinator. So a giant listing
  neither makes a giant result nor holds up anything, and the scheduler handles one task a batch.
* **Sessions do the work.** They decode, count, watch for endless listings, and compress bodies
  with the journal's own dictionary. The coordinator inserts rows.
* **One account, one limit.** The coordinator owns the controller that learns. Sessions report
  each attempt (sent, answered, refused); `limits/shares` puts the reports in order of time, replays
  them to the controller as if all had passed one gate, and divides the resulting limits into
  shares (the budget: `coordinator.budget_allocator`). A share has an epoch: a slot taken from one
  session is given to another only when the first session has confirmed the epoch that took it, and
  has released the slot. Slots of a lost session stay reserved until the server can be expected to
  be done with its requests.
* **A kill costs few pages.** A page keeps its slot on the session until it has been handed to the
  operating system, which delivers it even if the worker is killed the next moment. So a killed
  worker loses at most as many pages as it has slots. Pages that await their commit are counted as
  on one machine: together with those on the wire they stay within two widths of the gate.
* **No orphans.** A session ends when its connection breaks, or when its lease is over: 30 seconds
  after its last report that the coordinator confirmed. Its gate is closed from then on.
* **No task and no argument holds a token.** The first message of a channel, which `distributed`
  may log, names the account by number. The token follows on the channel itself, or the worker
  reads it from an environment variable or a file.

Alternatives: an `Actor` and `client.run` answer requests, but cannot push; `Queue`, `Pub` and
events go through the scheduler; a `Semaphore` leases one slot at a time through the scheduler, and
a lease in a worker process is not refreshed. A handler that keeps its connection is the way in
which `distributed` itself is made (its shuffle registers handlers in the same way).
"""

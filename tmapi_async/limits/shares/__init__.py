"""Division of one account's limits among several gates. No I/O.

Words: a *holder* is a gate that uses a part of the account's limits: a process on this machine or
a worker session of a cluster. A *share* is that part: slots and rate (and budget, on a cluster),
under an *epoch*. A *lease* is the time until which a holder may use its share without news. The
same classes serve two transports: the connections of a Dask cluster (`harvest/cluster`) and the
Unix sockets of a machine (`limits/sharing`).
"""

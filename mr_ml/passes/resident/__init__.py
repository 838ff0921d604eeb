"""Passes by tasks that stay: one job serves a whole training, its tasks keep blocks in memory and answer the driver.

    driver   Engine (engine) <- Members (members): who is there, who holds which units (units), what each has been asked
    wire     messages over TCP, each side sure of the other (wire)
    task     reads the units that it is given (reading), keeps their blocks (kept), answers queries (task)

Tasks connect to the driver. It gives each of them units, which are nodes of the tree of sums; a task that is lost
leaves its units to the others within the pass, one that comes late takes a share. What they answer is added along the
tree and held against the manifest, as the sums of every engine are: an answer that is lost, late or doubled changes
nothing, or raises.
"""

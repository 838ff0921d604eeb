"""Passes by tasks that stay: one job serves a whole session, its tasks keep blocks in memory and answer the driver.

    driver   Engine (engine): what each task holds (shares, units) and has been asked (asking)
             Turns (turns): which engine has the application now
             Application (application): the job, and its tasks that are there (members)
    wire     messages over TCP, each side sure of the other (wire)
    task     reads the units that it is given (mr_ml.data.over_http), keeps their blocks (kept), answers queries (task)
    wide     passes of large models: the driver's side (gathering), a task's (holding), from task to task (peers)

Tasks connect to the driver. It gives each of them units, which are nodes of the tree of sums; a task that is lost
leaves its units to the others within the pass, one that comes late takes a share. What they answer is added along the
tree and held against the manifest, as the sums of every engine are: an answer that is lost, late or doubled changes
nothing, or raises.

In a wide pass tasks do not answer with their sums but keep them. Of these each task joins some pieces, ranges of
features, which it fetches from its peers, and the driver gets each piece once, from whoever has joined it. Of the query
each gets a part, and fetches the rest from its peers. What a task that is lost had held is summed by others, and what
has not come is joined anew. Tasks that do not reach each other give their sums to the driver, piece by piece.

    driver -> task   open, ask (with the query, a part of it or none), join or give, forget
    task -> driver   opened, summed, piece ... joined, given; unreached where a part of the query could not be fetched
    task -> task     part, piece
"""

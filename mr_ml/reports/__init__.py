"""Reports: what is known of a run or a model, on one page.

    root --facts--> Facts --sections--> blocks --page--> HTML

Nothing here runs a pass or changes anything below the root.
"""

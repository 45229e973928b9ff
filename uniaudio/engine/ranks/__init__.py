"""Experts spread over ranks: rank 0 runs the requests, the others hold experts and remember nothing.

`first` is rank 0's side, `follower` that of the others; `meeting` is how they find each other, again and again.
"""

"""Many experiments, one answer: `python -m stages.study plan | run | report | compare`.

grid        which cells there are                identity    what makes two experiments the same cell
repository  what Git and DVC know of them        results     finished cells as a small file
gather      done, missing, stale                 run         makes what is missing
plan        forecast and power                   analysis    everything that the answer page tells
compare     two experiments, row by row
"""

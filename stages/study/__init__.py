"""Many experiments, one answer: `python -m stages.study plan | run | report | verify | compare`.

cells       which cells there are                identity    what makes two experiments the same cell
resolve     number format, engine, device        repository  what Git and DVC know of experiments
store       finished cells as small files        collect     done, missing, stale
gather      what is kept of one experiment       recorded    which finished cells make one study
plan        forecast and power                   runner      makes what is missing
verify      recorded cells, run again            provenance  where the numbers come from
analysis    everything that the page tells       compare     two experiments, row by row
"""

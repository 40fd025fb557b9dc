"""Says and draws what it is given; computes nothing.

document    blocks of a page, as HTML (page.html) and as Markdown     numbers     how a number is written
style       how a figure looks                                        words       what both pages say
experiment  the page of one experiment                                study       the answer page of many
"""

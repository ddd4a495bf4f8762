"""What an annotator does: get an item, answer it, look back, correct. Without Gradio, and tested without it.

tasks.py      what a page is told
supply.py     which item comes next
claims.py     holding an item: next, renew, look at an own answer again
labels.py     submitting and correcting
qualification.py, drafts.py, history.py, consent.py, notes.py, projects.py
"""

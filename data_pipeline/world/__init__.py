"""A small world of moving objects whose future is known: its scenes, their pictures and captions, and its reader.

Drawn clips need no files, cost little, and can be judged: `reader` finds from pixels alone which objects a clip shows
and how they move, so a generated clip can be compared with its prompt, and a continuation with the true future.
"""

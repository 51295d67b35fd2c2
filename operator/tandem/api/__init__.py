"""The ground floor: typed, frozen models of the two kinds, and the words a Plan is made of.

Nothing here does I/O, and nothing here imports another part of Tandem: ``training``, ``apps`` and ``drift``
stand side by side on this package alone.
"""

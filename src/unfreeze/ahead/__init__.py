"""Frozen layers at work: photos through stages into stores, here or ahead of time in a process of its own.

Nothing here needs Keras, so the process is small and starts at once.
"""

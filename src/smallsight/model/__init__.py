"""The public Python API: load a model by name or folder, then describe and question pictures with it.

Nothing is imported here, so that ``import smallsight`` stays light; ``smallsight.load`` is in ``loading``.
"""

"""The public Python API: loads a model by name or folder, describes pictures and answers questions.

Nothing is imported here, so that ``import smallsight`` is fast; ``smallsight.load`` is in ``loading``.
"""

"""Every module imports, says what it owns and has the names that it exports."""

import importlib
import pkgutil

import pytest

import smallsight
from contract.checkout import assert_none

MODULES = [
    module.name
    for module in pkgutil.walk_packages(smallsight.__path__, "smallsight.")
    if not module.name.endswith(("__main__", "migrations.env")) and "versions." not in module.name
]


def test_names_of_the_package():
    errors = ["LibraryError", "ModelError", "PictureError", "SettingsError", "SmallsightError"]
    functions = ["__version__", "load", "load_embedding_model", "open_library"]
    library = ["DuplicateGroups", "EditResult", "FolderSummary", "FoundPicture", "FoundPictures"]
    library += ["IndexProgress", "IndexResult", "JournalEntry", "PictureInfo", "PictureLibrary"]
    library += ["SkippedPicture", "TagCount", "TagSuggestion", "UndoResult"]
    values = ["Answer", "EmbeddingModel", "Scores", "UnknownModelError"]
    assert sorted(smallsight.__all__) == sorted([*values, *errors, *functions, *library])
    assert all(getattr(smallsight, name) is not None for name in smallsight.__all__)
    assert set(smallsight.__all__) <= set(dir(smallsight))
    assert callable(smallsight.load)


def test_answers_and_every_error_are_names_of_the_package():
    assert smallsight.Answer.__str__ is not object.__str__
    assert smallsight.PictureNotFoundError is smallsight.errors.PictureNotFoundError
    assert issubclass(smallsight.PictureNotFoundError, smallsight.SmallsightError)
    with pytest.raises(AttributeError, match="NoSuchError"):
        _ = smallsight.NoSuchError


def test_version_is_three_numbers():
    assert all(part.isdecimal() for part in smallsight.__version__.split("."))
    assert smallsight.__version__.count(".") == 2


def broken_promises(name):
    """Yield what is wrong with a module."""
    try:
        module = importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - the others are tried as well
        yield f"{name} cannot be imported: {error!r}"
        return
    if not module.__doc__:
        yield f"{name} does not say what it owns"
    for export in getattr(module, "__all__", ()):
        if not hasattr(module, export):
            yield f"{name} exports {export}, which it does not have"


def test_every_module_imports_and_has_what_it_promises():
    assert len(MODULES) > 200
    assert_none("a module keeps its promises", (wrong for name in MODULES for wrong in broken_promises(name)))


def test_a_broken_promise_would_be_noticed():
    assert next(broken_promises("smallsight.nothing")).startswith("smallsight.nothing cannot be imported")

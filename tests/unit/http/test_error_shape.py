from smallsight.http.error_shape import ErrorShapes

from .plain_errors import PLAIN, PlainErrors


def test_each_prefix_has_its_shape_and_the_rest_the_default():
    other = PlainErrors()
    shapes = ErrorShapes(PlainErrors(), {"/toy": other})
    assert shapes.at({"path": "/toy/echo"}) is other
    assert shapes.at({"path": "/toy"}) is other
    assert shapes.at({"path": "/toys"}) is not other
    assert PLAIN.at({"path": "/toy"}) is PLAIN.at({"path": "/"})

from smallsight.http.json_response import json_response


def test_text_that_utf8_cannot_write_is_escaped():
    response = json_response({"a": "\ud800ä"}, 201, {"x-one": "1"})
    assert response.body == b'{"a":"\\ud800\\u00e4"}'
    assert (response.status_code, response.headers["x-one"]) == (201, "1")

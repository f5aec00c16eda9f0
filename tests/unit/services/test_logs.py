import structlog

from smallsight.services.logs import configure_logging


def test_a_traceback_does_not_show_what_was_in_variables(capsys):
    configure_logging("info")
    secret = "ss-" + "k" * 20
    try:
        raise ValueError("it failed")
    except ValueError:
        structlog.get_logger("x").exception("request_failed", id=1)
    finally:
        structlog.reset_defaults()  # the captured stream is closed after this test
    told = capsys.readouterr().err
    assert "ValueError: it failed" in told
    assert secret not in told

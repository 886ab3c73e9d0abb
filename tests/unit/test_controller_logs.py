"""The operator's log lines: one a thing, as JSON or text, with the fields that were given."""

import json
import logging

from isobench.controller.logs import JsonLines, TextLines


def record(**extra):
    made = logging.LogRecord("isobench", logging.INFO, __file__, 1, "stage %s ended", ("timing",), None)
    made.__dict__.update(extra)
    return made


def test_json_has_one_line_with_the_message_and_its_fields():
    line = JsonLines().format(record(item="team/fix-1", stage="timing", reason="Recorded"))
    assert "\n" not in line
    told = json.loads(line)
    assert told["message"] == "stage timing ended"
    assert {name: told[name] for name in ("level", "item", "stage", "reason")} == {
        "level": "info",
        "item": "team/fix-1",
        "stage": "timing",
        "reason": "Recorded",
    }


def test_text_reads_like_a_sentence_with_its_fields_behind():
    assert TextLines().format(record(item="team/fix-1")).endswith("info    stage timing ended item=team/fix-1")

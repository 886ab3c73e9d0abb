"""Pre-generated tests as people save them: found, read as what they are, or refused with a true reason."""

import pytest

from building.items import HEAD
from isobench.adapters import inputs
from isobench.contracts.base import InvalidInput
from isobench.contracts.reasons import ItemFailure, Reason

TEST = "print('Execution time: 0.5s')  # größer\n"


@pytest.fixture
def supplied(tmp_path):
    """Supplies that hold this content as the test of HEAD."""

    def write(content):
        path = tmp_path / "tests" / f"{HEAD}_test_case_generator.py"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return inputs.Supplies(tmp_path)

    return write


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_is_no_part_of_the_script(supplied, encoding):
    script = supplied(TEST.encode(encoding)).test(HEAD)
    assert script == TEST
    compile(script, "test.py", "exec")


@pytest.mark.parametrize("content", [TEST.encode("utf-16"), TEST.encode("latin-1"), b"\x7fELF\xff"])
def test_what_is_no_text_in_utf_8_is_refused(supplied, content):
    with pytest.raises(ItemFailure, match="is not UTF-8 text; is it a Python script") as refused:
        supplied(content).test(HEAD)
    assert refused.value.reason is Reason.TEST_INVALID


def test_a_script_of_up_to_a_mebibyte_is_taken_and_a_larger_one_refused(supplied, tmp_path):
    script = "#" * (inputs.LARGEST_TEST - 1) + "\n"
    assert supplied(script.encode()).test(HEAD) == script
    with pytest.raises(ItemFailure, match="is larger than 1 MiB; generate large inputs in the test") as refused:
        supplied(script.encode() + b"#").test(HEAD)
    assert refused.value.reason is Reason.TEST_INVALID
    with pytest.raises(InvalidInput, match="is larger than 1 MiB"):
        inputs.test_in(tmp_path / "tests", HEAD)  # as a plan meets it, which reports the file and goes on

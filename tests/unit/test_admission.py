"""Who may start: never more than the caps, always somebody while there is room, in turn."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from isobench.engine.admission import Candidate, Slots

NAMESPACES = {"a": 2, "b": 3, "c": None}
everyone = st.builds(
    lambda namespace, batch, number: Candidate(
        f"{namespace}{batch}{number}", namespace, f"{namespace}-{batch}", f"{number:03}", f"item-{number}"
    ),
    st.sampled_from(sorted(NAMESPACES)),
    st.sampled_from("xyz"),
    st.integers(0, 30),
)
asked_or_ended = st.lists(st.tuples(st.booleans(), everyone), max_size=120)


def item(number, batch="x", namespace="a"):
    return Candidate(f"{namespace}{batch}{number}", namespace, batch, f"{number:03}", f"item-{number}")


def started(slots, candidates):
    return [candidate.uid for candidate in candidates if slots.ask(candidate) is None]


@settings(derandomize=True, max_examples=200)
@given(asked_or_ended, st.integers(1, 6))
def test_caps_hold_and_no_slot_stays_free_while_somebody_could_have_it(events, total):
    slots = Slots(NAMESPACES.get, total)
    for asks, candidate in events:
        slots.ask(candidate) if asks else (slots.release(candidate.uid), slots.call())
        running = {namespace: len(slots.running(namespace)) for namespace in NAMESPACES}
        assert sum(running.values()) <= total
        assert all(cap is None or running[namespace] <= cap for namespace, cap in NAMESPACES.items())
        if sum(running.values()) < total:
            for waiting in slots.waiting():
                assert running[waiting.namespace] == NAMESPACES[waiting.namespace], "a full namespace, or no reason"


@settings(derandomize=True, max_examples=100)
@given(asked_or_ended)
def test_asking_again_changes_nothing(events):
    once, twice = Slots(NAMESPACES.get, 4), Slots(NAMESPACES.get, 4)
    for asks, candidate in events:
        if asks:
            assert once.ask(candidate) == twice.ask(candidate) == twice.ask(candidate)
        else:
            once.release(candidate.uid)
            twice.release(candidate.uid)
            twice.release(candidate.uid)
            assert once.call() == twice.call()


@settings(derandomize=True, max_examples=100)
@given(st.lists(everyone, max_size=60, unique_by=lambda candidate: candidate.uid))
def test_everyone_starts_in_the_end(candidates):
    slots = Slots(NAMESPACES.get, 3)
    for candidate in candidates:
        slots.ask(candidate)
    begun = Counter()
    while running := [candidate for namespace in NAMESPACES for candidate in slots.running(namespace)]:
        begun.update(candidate.uid for candidate in running)
        for candidate in running:
            slots.release(candidate.uid)
        slots.call()
    assert begun == Counter(candidate.uid for candidate in candidates)


def test_batches_take_turns_however_long_one_of_them_is():
    slots = Slots(lambda _: 1, total=9)
    assert started(slots, [item(number) for number in range(10)]) == ["ax0"]
    assert started(slots, [item(number, "y") for number in range(3)]) == []
    order = ["ax0"]
    for _ in range(5):
        slots.release(order[-1])
        order += [candidate.uid for candidate in slots.call()]
    assert order == ["ax0", "ay0", "ax1", "ay1", "ax2", "ay2"]


def test_namespaces_take_turns_too():
    slots = Slots(lambda _: None, total=2)
    assert started(slots, [item(number) for number in range(4)]) == ["ax0", "ax1"]
    assert started(slots, [item(0, "q", "b")]) == []
    slots.release("ax0")
    assert [candidate.uid for candidate in slots.call()] == ["bq0"]


def test_who_waits_is_told_why_and_how_many_are_ahead():
    slots = Slots(lambda _: 1, total=9)
    started(slots, [item(0), item(1), item(2), item(0, "y"), item(1, "y")])
    waits = slots.ask(item(2))
    assert waits.why == "NamespaceItems"
    assert waits.message == "1 items of the namespace a run, which is its cap"
    assert waits.position == 4, "behind y's first, x's second, y's second"
    assert slots.ask(item(0, "y")).position == 1


def test_the_cap_over_all_namespaces_is_called_by_its_name():
    slots = Slots(lambda _: None, total=1)
    started(slots, [item(0), item(1)])
    waits = slots.ask(item(0, "q", "b"))
    assert (waits.why, waits.position) == ("ClusterItems", 1), "b has nothing running: it is before a's second"


def test_what_runs_already_counts_even_above_the_cap():
    slots = Slots(lambda _: 1, total=9)
    slots.run(item(0))
    slots.run(item(1))
    assert slots.ask(item(0)) is None
    assert slots.ask(item(2)) is not None
    slots.release("ax0")
    assert slots.call() == []
    slots.release("ax1")
    assert [candidate.uid for candidate in slots.call()] == ["ax2"]


def test_who_stands_in_line_is_not_called_before_all_do():
    slots = Slots(lambda _: None, total=1)
    for candidate in (item(0), item(1), item(0, "q", "b")):
        slots.wait(candidate)
    slots.run(item(9))
    assert slots.call() == []
    slots.release("ax9")
    assert [candidate.uid for candidate in slots.call()] == ["bq0"], "a was served before"


def test_who_is_parted_from_its_batch_keeps_its_place():
    slots = Slots(lambda _: 1, total=9)
    started(slots, [item(0), item(1), item(2)])
    parted = Candidate("ax2", "a", "", "002", "item-2")
    assert slots.ask(parted).position == 2


def test_who_leaves_the_line_frees_its_place():
    slots = Slots(lambda _: 1, total=9)
    started(slots, [item(0), item(1), item(2)])
    slots.release("ax1")
    assert slots.ask(item(2)).position == 1

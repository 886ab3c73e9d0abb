"""The cache: equal to the API server after any history of lists, watch events and own writes, in any order."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from building.objects import ITEM_UID, ended, pod
from isobench.controller.cache import Cache, Store
from isobench.controller.kinds import BATCHES, ITEM_UID_LABEL, ITEMS, JOBS, Key

NAMES = st.sampled_from(["a", "b", "c"])


def an_object(name, uid, version, owner=None):
    metadata = {"namespace": "team", "name": name, "uid": uid, "resourceVersion": str(version)}
    if owner is not None:
        metadata["ownerReferences"] = [{"kind": BATCHES.name, "uid": owner, "name": owner}]
    return {"metadata": metadata, "spec": {"template": {"big": "x"}, "suspend": False}}


class CacheBesideServer(RuleBasedStateMachine):
    """A server with a log of events; the store hears them late, twice or never, and lists now and then."""

    @initialize()
    def begin(self):
        self.server, self.log, self.version, self.created = {}, [], 0, 0
        self.store = Store(ITEMS, index=lambda item: item["metadata"]["ownerReferences"][0]["uid"])
        self.told = {}
        self.store.listen(self._listen)

    def _listen(self, key, before, after):
        assert self.told.get(key) == before
        if after is None:
            del self.told[key]
        else:
            self.told[key] = after

    @rule(name=NAMES, owner=st.sampled_from(["x", "y"]), learned=st.booleans())
    def write(self, name, owner, learned):
        self.version += 1
        if name not in self.server:
            self.created += 1
        uid = self.server[name]["metadata"]["uid"] if name in self.server else f"u{self.created}"
        self.server[name] = an_object(name, uid, self.version, owner)
        self.log.append(("put", self.server[name]))
        if learned:
            self.store.put(self.server[name])

    @rule(name=NAMES)
    def delete(self, name):
        if name in self.server:
            self.version += 1
            gone = self.server.pop(name)
            last = gone | {"metadata": gone["metadata"] | {"resourceVersion": str(self.version)}}
            self.log.append(("remove", last))

    @rule(data=st.data())
    def hear_something_of_the_past(self, data):
        if self.log:
            verb, item = data.draw(st.sampled_from(self.log))
            getattr(self.store, verb)(item)

    @rule()
    def list_all(self):
        for item in self.server.values():
            self.store.put(item)
        self.store.retain({Key("commitbenchmarks", "team", name) for name in self.server}, str(self.version))
        self.same_as_server()

    def same_as_server(self):
        assert {item["metadata"]["name"]: item for item in self.store.all()} == self.server

    @invariant()
    def index_and_listeners_agree_with_the_objects(self):
        objects = list(self.store.all())
        by_owner = {owner: sorted(o["metadata"]["name"] for o in self.store.group(owner)) for owner in ("x", "y")}
        for owner, names in by_owner.items():
            owned = [o for o in objects if o["metadata"]["ownerReferences"][0]["uid"] == owner]
            assert names == sorted(o["metadata"]["name"] for o in owned)
        assert sorted(self.told) == sorted(self.store.keys())


TestCacheBesideServer = CacheBesideServer.TestCase


@given(st.permutations(list(range(6))))
def test_reordered_events_end_at_the_newest(order):
    store = Store(ITEMS)
    for version in order:
        store.put(an_object("a", "u1", version))
    assert [item["metadata"]["resourceVersion"] for item in store.all()] == ["5"]


def test_an_answer_that_comes_after_the_deletion_does_not_bring_the_object_back():
    store = Store(ITEMS)
    store.put(an_object("a", "u1", 1))
    store.remove(an_object("a", "u1", 2))
    store.put(an_object("a", "u1", 1))
    assert len(store) == 0


def test_a_late_deletion_does_not_take_the_object_that_has_its_name_now():
    store = Store(ITEMS)
    store.put(an_object("a", "u2", 3))
    store.remove(an_object("a", "u1", 2))
    assert store.get(Key(ITEMS.plural, "team", "a"))["metadata"]["uid"] == "u2"


def test_what_was_created_after_the_list_was_read_stays():
    store = Store(ITEMS)
    store.put(an_object("new", "u9", 9))
    store.retain(set(), "8")
    assert len(store) == 1


def test_a_list_of_one_namespace_says_nothing_of_another():
    store = Store(ITEMS)
    store.put(an_object("a", "u1", 1))
    store.retain(set(), "9", "elsewhere")
    assert len(store) == 1


def test_jobs_are_found_by_their_item_and_kept_without_their_template():
    cache = Cache()
    job = an_object("j", "u1", 1)
    job["metadata"]["ownerReferences"] = [{"kind": ITEMS.name, "uid": "item-1", "name": "i"}]
    cache.learn(JOBS, job)
    assert [found["spec"] for found in cache.jobs_of("team", "item-1")] == [{"suspend": False}]
    assert cache.jobs_of("team", "item-2") == []


def test_a_job_in_another_namespace_is_not_the_items_whatever_its_label_says():
    cache = Cache()
    for namespace in ("team", "elsewhere"):
        job = an_object("j", f"u-{namespace}", 1)
        job["metadata"] |= {"namespace": namespace, "labels": {ITEM_UID_LABEL: "item-1"}}
        cache.learn(JOBS, job)
    assert [found["metadata"]["uid"] for found in cache.jobs_of("team", "item-1")] == ["u-team"]


def test_pods_are_found_by_their_item_and_wake_nobody():
    cache = Cache()
    cache.pods.put(pod(ended()))
    assert [found["metadata"]["name"] for found in cache.pods_of("team-a", ITEM_UID)] == ["p"]
    assert cache.pods_of("elsewhere", ITEM_UID) == []
    assert cache.pods not in list(cache)


def test_of_too_many_objects_those_that_came_first_are_forgotten():
    store = Store(ITEMS, index=lambda item: "all", most=2)
    for number, name in enumerate("abc"):
        store.put(an_object(name, f"u-{name}", number))
    store.put(an_object("b", "u-b", 9))
    assert sorted(found["metadata"]["name"] for found in store.group("all")) == ["b", "c"]
    assert len(store) == 2

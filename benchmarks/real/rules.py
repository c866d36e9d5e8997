"""The parts `rules-tied` and `rules-untied`: every rule for the new rows, before any training."""

import shutil

from benchmarks.real.parts import Result
from benchmarks.real.sizes import Ends, Rule
from benchmarks.real.workspace import Workspace


def keep_rules(space: Workspace, ends: Ends) -> None:
    """Measure the settled base, and then every rule over it."""
    base = {"base": space.settled_digests[ends], "text": space.text.digest("test")}
    space.parts.keep(f"rules-{ends}/base", base, lambda: space.bits(space.settled[ends], "test"))
    for rule in space.size.rules:
        space.reporter.say(f"{ends}: {rule.name}")
        kept = rule.name == space.size.start and ends == "tied"  # trainings start from it
        _keep_rule(space, rule, ends, kept)


def _keep_rule(space: Workspace, rule: Rule, ends: Ends, keep_model: bool) -> None:
    inputs = {
        "rule": dict(rule.settings),
        "base": space.settled_digests[ends],
        "vocabulary": space.vocabulary_digest(),
        "text": space.text_digest,
    }

    def make() -> Result:
        model, about = space.extended(rule, ends)
        found = {"rule": rule.name, **about, **space.bits(model.model, "test")}
        if not keep_model:
            shutil.rmtree(model.folder)
        return found

    space.parts.keep(f"rules-{ends}/{rule.name}", inputs, make)

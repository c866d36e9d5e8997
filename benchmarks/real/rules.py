"""The parts `rules-tied` and `rules-untied`: every rule for the new rows, before any training."""

import shutil
from collections.abc import Sequence

from benchmarks.real.parts import Result, chosen
from benchmarks.real.run import started
from benchmarks.real.sizes import Ends, Rule
from benchmarks.real.workspace import Workspace


def keep_rules(space: Workspace, ends: Ends, names: Sequence[str] | None = None) -> None:
    """Measure the settled base, and then every rule over it, or those of `names`.

    Raises:
        InputError: there is no rule of that name.
    """
    by_name = {rule.name: rule for rule in space.size.rules}
    wanted = chosen(by_name, names, "rule")
    base = {"base": space.settled_digests[ends], "text": space.text.digest("test")}
    space.parts.keep(f"rules-{ends}/base", base, lambda: space.bits(space.settled[ends], "test"))
    for name, rule in wanted.items():
        space.reporter.say(f"{ends}: {name}")
        _keep_rule(space, rule, ends)


def _keep_rule(space: Workspace, rule: Rule, ends: Ends) -> None:
    inputs = {
        "rule": dict(rule.settings),
        "base": space.settled_digests[ends],
        "vocabulary": space.vocabulary_digest(),
        "text": space.text_digest,
    }

    def make() -> Result:
        of_run = rule.name == space.size.start and ends == "tied"
        model, about = started(space) if of_run else space.extended(rule, ends)
        found = {"rule": rule.name, **about, **space.bits(model.model, "test")}
        if not of_run:
            shutil.rmtree(model.folder)
        return found

    space.parts.keep(f"rules-{ends}/{rule.name}", inputs, make)

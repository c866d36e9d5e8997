"""The part `profiles`: each profile of the vocabulary, with `mapped` on a small budget, before training."""

import shutil
from typing import get_args

from benchmarks.real.parts import Result
from benchmarks.real.workspace import Workspace
from ekle.recipe.vocabulary import Profile


def keep_profiles(space: Workspace) -> None:
    """Learn the vocabulary of each profile, extend the settled base by it, and measure."""
    rule = space.size.profile_rule
    base = {"base": space.settled_digests["tied"], "text": space.text.digest("test")}
    space.parts.keep("profiles/base", base, lambda: space.bits(space.settled["tied"], "test"))
    profile: Profile
    for profile in get_args(Profile):
        space.reporter.say(f"profile: {profile}")
        inputs = {
            "rule": dict(rule.settings),
            "base": space.settled_digests["tied"],
            "vocabulary": space.vocabulary_digest(profile),
            "text": space.text_digest,
        }

        def make(profile: Profile = profile) -> Result:
            model, about = space.extended(rule, "tied", profile)
            found = {"profile": profile, "rule": rule.name, **about, **space.bits(model.model, "test")}
            shutil.rmtree(model.folder)
            return found

        space.parts.keep(f"profiles/{profile}", inputs, make)

"""Whether the test pictures are new to the model, as the page says and shows it."""

from collections.abc import Mapping
from typing import Any

from saccade.reporting.axes import Axis, Plot
from saccade.reporting.estimates import estimate_of, score_words, told
from saccade.reporting.glossary import is_share
from saccade.reporting.pictures import Album
from saccade.reporting.svg import Svg, drawing, element, line, words
from saccade.reporting.wording import count, decimals, joined_words, plural, short
from saccade.runtime.store import encode_name

Study = Mapping[str, Any]

HOW = {
    "exact": "the same bytes",
    "re-encoded": "re-encoded",
    "cropped": "cropped or resized",
    "mirrored": "mirrored",
    "scene": "perhaps of one scene",
}


def view(study: Study, album: Album) -> dict[str, Any]:
    """Return what `study_leaks.html` is given."""
    return {
        "sentences": sentences(study),
        "judged": _judged(study),
        "scores": _scores(study),
        "score": score_words(study["score_name"]),
        "is_share": is_share(study["score_name"]),
        "pairs": [_pair(own, album) for own in study["pairs"]],
        "kept": [_pair(own, album) for own in study["kept_together"]["pairs"]],
        "scenes": [_pair(own, album) for own in study["scenes"]["pairs"]],
        "chart": histogram(study),
        "note": _note(study),
    }


def _judged(study: Study) -> str:
    """Return the part whose pictures should be new: validation where there is no test part."""
    return "test" if study["leaks"]["test"]["n"] else "validation"


def sentences(study: Study) -> tuple[str, ...]:
    """Return in plain words what leaks, what that does to the score, and what else is alike."""
    texts = (
        *_leak_words(study),
        _score_words(study),
        _kept_words(study),
        _scene_words(study),
        _group_words(study),
    )
    return tuple(text for text in texts if text)


def _leak_words(study: Study) -> list[str]:
    """Return a sentence for each judged part that has copies of known pictures, or for none."""
    found = []
    for part, before in (("test", "train or validation"), ("validation", "train")):
        own = study["leaks"][part]
        if own["num"]:
            kinds = joined_words([f"{own['kinds'][kind]} {HOW[kind]}" for kind in own["kinds"]])
            verb = "shows" if own["num"] == 1 else "show"
            found.append(
                f"{count(own['num'])} of {plural(own['n'], f'{part} picture')} {verb} the same as "
                f"a picture of {before}: {kinds}."
            )
    part = _judged(study)
    before = "train or validation" if part == "test" else "train"
    tested = study["leaks"][part]
    if not tested["num"] and tested["n"]:
        looks = "bytes and looks" if _compares_looks(study) else "only their bytes"
        how = study["why_not"] or f"{looks} were compared"
        found.insert(
            0,
            f"None of {plural(tested['n'], f'{part} picture')} was found to show the same as a "
            f"picture of {before} ({how}).",
        )
    return found


def _score_words(study: Study) -> str:
    tested, name = study["leaks"]["test"], score_words(study["score_name"])
    if not study["score_name"] or not tested["num"]:
        return ""
    left = tested["n"] - tested["num"]
    if not left:
        return "Not one test picture is new to the model: its score says nothing about new ones."
    asked, clean = (told(study[key], study["score_name"]) for key in ("asked", "clean"))
    return (
        f"As asked, {name} is {asked} (n = {count(tested['n'])}); on the "
        f"{plural(left, 'picture')} that {'is' if left == 1 else 'are'} new to the model it is "
        f"{clean}. Believe the second."
    )


def _kept_words(study: Study) -> str:
    own = study["kept_together"]
    if not own["num_clusters"]:
        return ""
    return (
        f"{plural(own['num_pictures'], 'picture')} in {plural(own['num_clusters'], 'set')} of "
        "copies lie within one part, where they flatter nothing."
    )


def _scene_words(study: Study) -> str:
    own = study["scenes"]
    known = f"features of {encode_name(study['features'])} agree to {own['threshold']:g} and more"
    judged = plural(own["n"], "test or validation picture")
    alike = own.get("num_alike", 0)  # a run of an earlier version does not have it
    if alike > own["num"]:
        verb = "has" if alike == 1 else "have"
        return (
            f"{count(alike)} of {judged} {verb} a neighbour in an earlier part that is as alike as "
            f"pictures of one scene are ({known}). Either all these pictures look alike, or the "
            "parts share scenes, and then the score flatters. Look at the pairs; what belongs "
            "together can be named with --group."
        )
    if not own["num"]:
        return ""
    verb = "seems" if own["num"] == 1 else "seem"
    return (
        f"{count(own['num'])} of {judged} {verb} to show a scene that an earlier part shows too "
        f"({known}). They are no copies and were left where they are; what "
        "belongs together can be named with --group, and --group auto puts such pictures into one "
        "part where parts are drawn."
    )


def _group_words(study: Study) -> str:
    own = study["groups"]
    if not own["num"]:
        return ""
    return (
        f"{plural(own['num_pictures'], 'picture')} in {plural(own['num'], 'group')} that --group "
        "gave were kept together too, where parts were drawn."
    )


def _scores(study: Study) -> list[dict[str, Any]]:
    if not study["score_name"] or not study["leaks"]["test"]["num"] or study["clean"] is None:
        return []
    return [
        {"name": "as asked: all test pictures", "estimate": estimate_of(study["asked"])},
        {"name": "those new to the model", "estimate": estimate_of(study["clean"])},
    ]


def _pair(own: Mapping[str, Any], album: Album) -> dict[str, Any]:
    labels = own["labels"]
    return {
        "pictures": [album.picture(path) for path in own["paths"]],
        "names": [encode_name(path) for path in own["paths"]],
        "parts": own["parts"],
        "labels": labels if labels[0] != labels[1] else labels[:1],
        "how": HOW[own["kind"]],
        "similarity": decimals(own["similarity"]),
    }


_CHARTED = "; the chart shows every pair that was compared so"


def _note(study: Study) -> str:
    texts = []
    if study["why_not"]:
        texts.append(f"Of these pictures {study['why_not']}.")
    elif study["threshold"] is None:
        texts.append(
            "These pictures look so much alike that no threshold tells copies from look-alikes; "
            "only equal bytes count as copies."
        )
    elif _compares_looks(study):
        texts.append(
            f"Copies are pairs whose details agree to {study['threshold']:g} and more, once one is "
            f"laid on the other{_CHARTED if histogram(study) else ''}."
        )
    if study["num_too_large"]:
        texts.append(
            f"{plural(study['num_too_large'], 'picture')} that are linked by looking alike are too "
            "many for copies, and were not taken for any."
        )
    passed = [
        f"{plural(study[key], 'picture')} {why}"
        for key, why in (("num_small", "of less than 32 pixels"), ("num_plain", "without detail"))
        if study[key]
    ]
    if passed and not study["why_not"]:
        texts.append(f"By bytes alone were compared: {joined_words(passed)}.")
    return " ".join(texts)


def _compares_looks(study: Study) -> bool:
    """Say whether any picture is large enough, and has detail enough, to be compared by looks."""
    return int(study["num_small"]) + int(study["num_plain"]) < int(study["n"])


def histogram(study: Study) -> Svg | None:
    """Return how alike the compared pairs are, with the threshold; None where there are none."""
    edges = study["histogram"]["edges"]
    looks, features = study["histogram"]["by_looks"], study["histogram"]["by_features"]
    totals = [a + b for a, b in zip(looks, features, strict=True)]
    if not any(totals):
        return None
    x = Axis(title="agreement of the details", low=edges[0], high=edges[-1])
    powers = tuple((10.0**k, short(10.0**k)) for k in range(len(str(max(totals)))))
    y = Axis(title="pairs", low=0.7, high=float(max(*totals, 2)), log=True, named=powers)
    plot = Plot(x=x, y=y, height=200.0)
    parts = plot.frame()
    for low, high, number in zip(edges, edges[1:], totals, strict=False):
        if number:
            left, right, top = plot.across(low), plot.across(high), plot.up(number)
            box = {"x": left + 0.5, "y": top, "width": right - left - 1}
            said = f"{plural(number, 'pair')} between {low:g} and {high:g}"
            parts.append(
                element(
                    "rect",
                    {**box, "height": plot.bottom - top, "class": "bar"},
                    element("title", {}, said),
                )
            )
    threshold = study["threshold"]
    if threshold is not None:
        at = plot.across(threshold)
        parts.append(line(at, plot.top, at, plot.bottom, kind="mark"))
        parts.append(words(at - 4, plot.top - 5, f"copies from {threshold:g}", anchor="middle"))
    label = f"How alike {plural(sum(totals), 'pair')} are: {_believed(study)}"
    return drawing(plot.width, plot.height, *parts, label=label)


def _believed(study: Study) -> str:
    """Return how many pairs are taken for copies; those of clusters that are too large are not."""
    threshold, num = study["threshold"], study.get("num_believed")
    if threshold is None:
        return "no threshold separates copies"
    if num is None:  # a run of an earlier version
        return f"copies are taken from {threshold:g} on"
    return f"{count(num)} from {threshold:g} on {'is' if num == 1 else 'are'} taken for copies"

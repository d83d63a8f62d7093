"""The Streamlit script of the page. It runs from top to bottom whenever somebody changes a control."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import PurePath

import streamlit as st

from apps.page import texts
from apps.page.client import File, Service, ServiceError, of_environment

MEGABYTES = 20
"""Largest file, as the service takes it."""
MOST_BARS = 12
PREDICTED, NONE = "the predicted class", "none"
SIGNS = {"for and against": "both", "for": "positive", "against": "negative"}
COLUMNS = ("file", "answer", "probability")
TRUST = ("question", "measured (controls)", "result")

STYLE = """<style>
.stMainBlockContainer {max-width: 72rem; padding-top: 3rem}
table.bars, table.rows {width: 100%; border-collapse: collapse}
table.bars caption, table.rows caption {text-align: left; caption-side: top; padding-bottom: .4rem}
table.bars th, table.bars td, table.rows th, table.rows td {
  padding: .25rem .6rem .25rem 0; text-align: left; font-weight: normal; vertical-align: top}
table.bars caption, table.rows caption, table.bars th, table.rows tbody th {overflow-wrap: anywhere}
table.rows thead th {border-bottom: 1px solid #888; font-weight: 600}
table.bars td {white-space: nowrap; font-variant-numeric: tabular-nums}
table.bars td.bar {width: 60%; vertical-align: middle}
table.bars td.bar div {height: .9rem; background: #005A8C; min-width: 1px}
[data-testid="stCaptionContainer"], [data-testid="stImageCaption"] {color: #555; opacity: 1}
@media (max-width: 640px) {table.rows {font-size: .875rem}}
</style>"""
# Streamlit gives the place for files a name and the role of a decoration, which has none: screen readers leave it out.
ROLES = """<script>
const name = () => document.querySelectorAll('[data-testid="stFileUploaderDropzone"][role="presentation"]')
  .forEach(place => place.setAttribute("role", "group"));
name();
new MutationObserver(name).observe(document.body, {childList: true, subtree: true});
</script>"""


def main() -> None:
    """Show the page."""
    st.set_page_config(page_title="Skylight: what does the network see?", layout="wide")
    st.html(STYLE)
    st.html(ROLES, unsafe_allow_javascript=True)
    st.title("What does the network see?", anchor=False)
    st.markdown(
        "A network looks at your file and names what it shows. A map marks the parts that are evidence for the answer. "
        "**For research and teaching only. This is no diagnosis and no medical device:** "
        "decide nothing about a patient by it."
    )
    service = of_environment()
    try:
        left, right = st.columns(2)
        with left:
            model = chosen_network(service.models())
        with right:
            files = chosen_files(service, model)
        file, answer = chosen_answer(service, model, files)
        show_prediction(model, file, answer)
        show_explanations(service, model, file)
    except ServiceError as error:
        st.error(texts.plain(str(error)))


def chosen_network(models: list[dict]) -> dict:
    """Let the user choose a network; say which ones are missing, and what makes them."""
    ready = {model["name"]: model for model in models if model["available"]}
    if ready:
        model = ready[st.selectbox("Network", list(ready))]
        st.caption(texts.plain(f"{model['about']}. Version {model['version'][:8]}."))
    if missing := [model for model in models if not model["available"]]:
        with st.expander(f"{len(missing)} of {len(models)} networks are not on this machine"):
            st.markdown("\n".join(f"- **{model['name']}**: {model['missing']}" for model in missing))
    if not ready:
        raise ServiceError("There is no network on this machine. The list above says which command makes them.")
    return model


def chosen_files(service: Service, model: dict) -> list[File]:
    """Let the user choose an example or files of their own; stop the page where there is none yet."""
    examples = {example["about"]: example["name"] for example in service.examples(model["name"])}
    sources = ["An example", "My files"] if examples else ["My files"]
    if st.radio("Input", sources, horizontal=True) == "An example":
        name = examples[st.selectbox("Example", list(examples))]
        return [File(name, service.example(model["name"], name))]
    formats = ", ".join(model["formats"])
    dropped = st.file_uploader(
        f"Files: {formats}", accept_multiple_files=True, max_upload_size=MEGABYTES, key=f"files of {model['name']}"
    )
    if not dropped:
        st.info(
            "Drop one or several files above. They are sent to the service and to nobody else; "
            "neither the service nor this page keeps them."
        )
        st.stop()
    return [File(file.name, file.getvalue()) for file in dropped]


def chosen_answer(service: Service, model: dict, files: list[File]) -> tuple[File, dict]:
    """Ask the network about all files, and let the user choose an object; stop the page where none can be used."""
    usable, lines = {}, []
    progress = st.progress(0.0, "The network looks at the files")
    for done, file in enumerate(files):
        progress.progress(done / len(files), f"{done + 1} of {len(files)}: {texts.plain(file.name)}")
        try:
            answer = service.predict(model["name"], file)
        except ServiceError as error:
            st.error(texts.plain(f"{file.name}: {error}"))
            continue
        usable[f"{done + 1}. {file.name}"] = file, answer
        lines.append((file.name, *best(answer["prediction"])))
    progress.empty()
    if not usable:
        st.stop()
    chosen = next(iter(usable))
    if len(files) > 1:
        st.html(texts.table(COLUMNS, lines, f"{len(usable)} of {len(files)} files, by {model['name']}"))
        st.download_button("This table as CSV", texts.to_csv(COLUMNS, lines), "answers.csv", on_click="ignore")
        chosen = st.selectbox("File to explain", list(usable))
    file, answer = usable[chosen]
    if answer["items"] > 1:
        item = st.number_input(f"Object in the file, 0 to {answer['items'] - 1}", 0, answer["items"] - 1)
        file = replace(file, item=item)
        answer = service.predict(model["name"], file)
    return file, answer


def best(prediction: dict) -> tuple[str, str]:
    """Return the answer of a network and its probability, in words."""
    if prediction["probabilities"] is None:
        return f"{prediction['quantity']} = {prediction['value']:.3g}", ""
    named = {name: value for name, value in prediction["probabilities"].items() if value is not None}
    if not named:
        return "no number", ""
    name = prediction["predicted"] or max(named, key=named.get)
    return name, texts.percent(named[name])


def show_prediction(model: dict, file: File, answer: dict) -> None:
    """Show the answer of a network."""
    st.header("The answer", anchor=False)
    prediction = answer["prediction"]
    if prediction["probabilities"] is None:
        st.markdown(f"**{texts.plain(best(prediction)[0])}** for {texts.plain(file.name)}")
        return
    kind = "Probability of each class" if model["exclusive"] else "Answers, which do not exclude each other,"
    probabilities = prediction["probabilities"]
    largest = dict(sorted(probabilities.items(), key=lambda entry: -(entry[1] or 0))[:MOST_BARS])
    if len(probabilities) > MOST_BARS:
        st.html(texts.bars(largest, f"{kind} for {file.name}, by {model['name']}: the {MOST_BARS} largest"))
        with st.expander(f"All {len(probabilities)}"):
            st.html(texts.bars(probabilities, "All, in the order of the network"))
    else:
        st.html(texts.bars(probabilities, f"{kind} for {file.name}, by {model['name']}"))


def show_explanations(service: Service, model: dict, file: File) -> None:
    """Show the input beside the maps of one or two methods, and how far to trust them."""
    st.header("Why", anchor=False)
    methods, asked, look = chosen_methods(model)
    explained = {}
    for method in methods:
        drawn = look if model["methods"][method]["signed"] else look | {"sign": "both"}
        with st.spinner(f"{texts.title(method)} is at work", show_time=True):
            try:
                explained[method] = service.explain(model["name"], file, asked | drawn | {"method": method})
            except ServiceError as error:
                st.error(texts.plain(f"{texts.title(method)}: {error}"))
    if not explained:
        return
    places = st.columns(1 + len(explained))
    picture = next(iter(explained.values()))["images"]["picture"]
    words = f"{file.name}, as the network sees it"
    places[0].image(base64.b64decode(picture), texts.plain(words), "stretch", alt=words, output_format="PNG")
    for place, (method, answer) in zip(places[1:], explained.items(), strict=True):
        with place:
            overlay = base64.b64decode(answer["images"]["overlay"])
            words = texts.described(answer["explanation"], model["methods"][method]["signed"], look["sign"])
            st.image(overlay, texts.plain(words), "stretch", alt=words, output_format="PNG")
            st.caption(texts.plain(texts.how(answer["explanation"])))
            values = partial(service.values, model["name"], file, asked | {"method": method})
            show_downloads(f"{PurePath(file.name).stem}_{method}", method, overlay, values, answer)
    st.header("How far to trust this", anchor=False)
    for method, answer in explained.items():
        show_trust(service, model["name"], method, answer["explanation"]["score"])
    st.caption(
        "The controls are maps that do not explain the network: the edges of the input, random noise and, where the "
        "evidence is known to be somewhere, a blob in the centre. Trust a method where it is better than all of them."
    )


def chosen_methods(model: dict) -> tuple[list[str], dict, dict]:
    """Let the user choose one or two methods, what they explain, and how the maps are drawn."""
    methods = sorted(model["methods"], key=str.lower)
    left, middle, right = st.columns(3)
    first = left.selectbox("Method", methods, methods.index(model["method"]), texts.title)
    others = [NONE, *(method for method in methods if method != first)]
    second = middle.selectbox("Second method, beside it", others, format_func=texts.title)
    targets = model["classes"] if model["target"] or len(model["classes"]) == 1 else [PREDICTED, *model["classes"]]
    target = right.selectbox("Explain", targets, targets.index(model["target"]) if model["target"] else 0)
    left, middle, right = st.columns(3)
    look = {
        "opacity": left.slider("Opacity of the map (%)", 0, 100, 70, 5) / 100,
        "clip": middle.slider("Strongest colour from percentile", 80.0, 100.0, 99.5, 0.5),
        "sign": SIGNS[right.segmented_control("Evidence", list(SIGNS), default=next(iter(SIGNS)), required=True)],
    }
    asked = {} if target == PREDICTED else {"target": target}
    return [method for method in (first, second) if method != NONE], asked, look


def show_downloads(stem: str, method: str, overlay: bytes, values: Callable[[], bytes], answer: dict) -> None:
    """Offer a map as a picture, its values, and the answer as files."""
    words = {key: part for key, part in answer.items() if key != "images"}
    files = {
        "PNG": (overlay, "image/png"),
        "NPY": (values, "application/octet-stream"),
        "JSON": (json.dumps(words, indent=2), "application/json"),
    }
    with st.container(horizontal=True):
        for kind, (content, media) in files.items():
            label = f"{kind} of {texts.title(method)}"
            st.download_button(label, content, f"{stem}.{kind.lower()}", media, on_click="ignore")


def show_trust(service: Service, model: str, method: str, score: str) -> None:
    """Show what the chapter of the network has measured of a method."""
    measured = service.trust(model, method, score)
    if not measured["rows"]:
        st.markdown(
            f"**{texts.title(method)}** has not been measured for this network and score. "
            "Take the map with caution: every method draws one, also where it shows nothing that the network uses."
        )
        return
    caption = f"{texts.title(method)}, measured on {measured['rows'][0]['n']} objects ({measured['source']})"
    st.html(texts.table(TRUST, texts.trust_rows(measured["rows"]), caption))


if __name__ == "__main__":
    main()

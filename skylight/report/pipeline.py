"""The stages of the pipeline as DVC resolves them (``foreach`` and ``${...}`` filled in), and a drawing of them."""

import shlex
from dataclasses import dataclass
from html import escape
from pathlib import Path

import networkx as nx
from dvc.exceptions import DvcException
from dvc.repo import Repo
from grandalf.graphs import Edge, Vertex, graph_core
from grandalf.layouts import SugiyamaLayout
from grandalf.routing import EdgeViewer, route_with_lines

from skylight.errors import InputError

LETTER, SMALL, LINE = 8.0, 6.8, 40  # width of a letter, of a small letter, and height of a box, pixels
GAP = 14
KEY = '"${DVC_STAGE##*@}"'
"""Stands in a command for the key of a ``foreach``; DVC sets the variable to the name of the stage."""


@dataclass(frozen=True)
class Stage:
    """A stage of ``dvc.yaml``.

    Attributes
    ----------
    name
        As in DVC, with the key of a ``foreach``: ``periodic-transfer@ztf``.
    command, deps, outs, params
        As declared in ``dvc.yaml``, with the key of a ``foreach`` in the command; paths are relative to the root,
        ``params`` are keys of ``params.yaml``.
    after
        Names of the stages whose outputs this stage reads.
    """

    name: str
    command: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    params: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def group(self) -> str:
        """The name without the key of a ``foreach``."""
        return self.name.partition("@")[0]

    @property
    def chapter(self) -> str:
        """The name of the chapter: ``periodic``."""
        return self.group.partition("-")[0]

    @property
    def step(self) -> str:
        """The name without the chapter: ``transfer@ztf``."""
        return self.name.partition("-")[2] or self.name

    @property
    def script(self) -> str:
        """The file that ``python -m`` runs."""
        return self.command.split()[2].replace(".", "/") + ".py"


def read_stages(root: str | Path = ".") -> list[Stage]:
    """Read the stages of ``root/dvc.yaml``, in the order of the file.

    Raises
    ------
    InputError
        DVC cannot read it, or ``root`` is not a DVC repository.
    """
    try:
        index = Repo(str(root)).index
        graph = index.graph
    except DvcException as error:
        raise InputError(f"dvc.yaml: {error}") from None
    return [
        Stage(
            name=stage.name,
            command=stage.cmd.replace(KEY, shlex.quote(stage.name.rpartition("@")[2])),
            deps=tuple(dep.def_path for dep in stage.deps if not hasattr(dep, "params")),
            outs=tuple(out.def_path for out in stage.outs),
            params=tuple(key for dep in stage.deps if hasattr(dep, "params") for key in dep.params),
            after=tuple(other.name for other in graph.successors(stage)),
        )
        for stage in index.stages
        if stage.cmd
    ]


def made_by(stages: list[Stage], path: str | Path) -> Stage | None:
    """Return the stage that has ``path``, or a folder that contains it, among its outputs."""
    places = {str(path), *map(str, Path(path).parents)}
    return next((stage for stage in stages if places & set(stage.outs)), None)


def draw(stages: list[Stage], page: str) -> str:
    """Draw stages as SVG, from top to bottom. Each box is a link into ``page``; stages of a ``foreach`` share a box.

    grandalf, which also draws `dvc dag`, places the boxes in layers (Sugiyama, Tagawa & Toda 1981). An arrow is left
    out if other arrows connect its two boxes.
    """
    boxes, arrows = grouped(stages)
    order = list(boxes)
    vertices = {name: Vertex(name) for name in boxes}
    for name, vertex in vertices.items():
        step, *keys = label(name, boxes[name])
        vertex.view = Box(max(LETTER * len(step), *(SMALL * len(key) for key in keys), 0) + 14, LINE)
    connected = nx.Graph(arrows)
    connected.add_nodes_from(boxes)
    width, height, drawn = 0.0, 0.0, []
    for names in sorted((sorted(names, key=order.index) for names in nx.connected_components(connected)), key=str):
        edges = [Edge(vertices[a], vertices[b]) for a, b in arrows if a in names]
        part = graph_core([vertices[name] for name in names], edges, directed=True)
        for edge in part.sE:
            edge.view = EdgeViewer()
        layout = SugiyamaLayout(part)
        layout.xspace, layout.yspace = GAP, 26
        layout.route_edge = route_with_lines
        layout.init_all()
        layout.draw()
        points = [point for edge in part.sE for point in edge.view._pts] or [(0, 0)]
        left = min([v.view.xy[0] - v.view.w / 2 for v in part.sV] + [x for x, _ in points])
        right = max([v.view.xy[0] + v.view.w / 2 for v in part.sV] + [x for x, _ in points])
        top = min(v.view.xy[1] - v.view.h / 2 for v in part.sV)
        shift_x, shift_y = width + 2 - left, 2 - top
        drawn += [line([(x + shift_x, y + shift_y) for x, y in edge.view._pts]) for edge in part.sE]
        for vertex in part.sV:
            x, y = vertex.view.xy
            drawn.append(box(vertex.data, boxes[vertex.data], x + shift_x, y + shift_y, vertex.view.w, page))
        width += right - left + GAP
        height = max(height, max(v.view.xy[1] + v.view.h / 2 for v in part.sV) + shift_y + 2)
    size = f"{width:.0f} {height:.0f}"
    return f'<svg class="graph" viewBox="0 0 {size}" style="max-width:{width:.0f}px" role="img">{"".join(drawn)}</svg>'


class Box:
    """A box in the drawing, as grandalf needs it: grandalf reads its size and sets its centre ``xy``."""

    def __init__(self, w: float, h: float):
        self.w, self.h, self.xy = w, h, (0.0, 0.0)


def grouped(stages: list[Stage]) -> tuple[dict[str, list[Stage]], list[tuple[str, str]]]:
    """Return the stages by group, and the arrows between groups, without those that a longer path replaces."""
    boxes: dict[str, list[Stage]] = {}
    for stage in stages:
        boxes.setdefault(stage.group, []).append(stage)
    graph = nx.DiGraph()
    graph.add_nodes_from(boxes)
    for stage in stages:
        before = sorted(name.partition("@")[0] for name in stage.after)
        graph.add_edges_from((name, stage.group) for name in before if name in boxes and name != stage.group)
    return boxes, sorted(nx.transitive_reduction(graph).edges)


def label(name: str, members: list[Stage]) -> list[str]:
    """Return the lines of text in a box: the step, and the keys of a ``foreach``."""
    keys = [stage.name.partition("@")[2] for stage in members if "@" in stage.name]
    return [name.partition("-")[2] or name, *([", ".join(keys)] if keys else [])]


def box(name: str, members: list[Stage], x: float, y: float, width: float, page: str) -> str:
    """Draw the box of a group as SVG, with its centre at ``x``, ``y``."""
    step, *keys = label(name, members)
    href = f"{page}#{name}" if "-" in name else "#"
    lines = [f'<text x="{x:.1f}" y="{y + (-2 if keys else 5):.1f}">{escape(step)}</text>']
    lines += [f'<text class="keys" x="{x:.1f}" y="{y + 13:.1f}">{escape(key)}</text>' for key in keys]
    return (
        f'<a href="{escape(href)}"><title>{escape(members[0].command)}</title>'
        f'<rect x="{x - width / 2:.1f}" y="{y - LINE / 2:.1f}" width="{width:.1f}" height="{LINE}" rx="6"/>'
        f"{''.join(lines)}</a>"
    )


def line(points: list[tuple[float, float]]) -> str:
    """Draw a smooth arrow through ``points``; each piece starts and ends vertically."""
    (x, y), *rest = points
    path = [f"M{x:.1f},{y:.1f}"]
    for x2, y2 in rest:
        middle = (y + y2) / 2
        path.append(f"C{x:.1f},{middle:.1f} {x2:.1f},{middle:.1f} {x2:.1f},{y2:.1f}")
        x, y = x2, y2
    return f'<path d="{"".join(path)}" marker-end="url(#arrow)"/>'

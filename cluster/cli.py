"""python -m cluster: a real local Kubernetes for development and tests."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from cluster import images
from cluster.choose import Backend, cluster
from cluster.errors import ClusterError
from cluster.interface import Cluster
from cluster.lone import LoneControlPlane

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Name = Annotated[str, typer.Option("--name", help="Which of several clusters.")]
Choice = Annotated[Backend, typer.Option("--backend", help="kind needs Docker; embedded needs root on Linux.")]


def chosen(name: str, backend: Backend) -> Cluster:
    """A control plane without nodes is found again by its name alone."""
    lone = LoneControlPlane(name)
    return lone if lone.exists() else cluster(name, backend)


@app.command()
def up(
    name: Name = "tandem",
    backend: Choice = Backend.AUTO,
    control_plane_only: Annotated[
        bool, typer.Option(help="An API server and etcd; no root, no pods, ready in seconds.")
    ] = False,
    with_controllers: Annotated[
        bool, typer.Option(help="Besides --control-plane-only: Jobs make Pods, children are collected.")
    ] = False,
) -> None:
    """Start it, or go on where an interrupted start ended; returns at once when all is well."""
    lone = LoneControlPlane(name, with_controllers)
    if lone.exists() and not control_plane_only:
        raise ClusterError(
            what=f"{name} is a control plane without nodes",
            rule="a name is given to one cluster",
            remedy=f"choose another --name, or take it down first: python -m cluster down --name {name}",
        )
    target = lone if control_plane_only else cluster(name, backend)
    target.up()
    typer.echo(f"export KUBECONFIG={target.kubeconfig}")


@app.command()
def build(backend: Choice = Backend.AUTO) -> None:
    """Only fetch and build the parts."""
    cluster("tandem", backend).build()


@app.command()
def status(name: Name = "tandem", backend: Choice = Backend.AUTO) -> None:
    """What runs, and whether it is ready."""
    known = chosen(name, backend).status()
    for part, state in known.items():
        typer.echo(f"{part:26} {state}")
    if not known:
        typer.echo(f"no cluster {name}; start it: python -m cluster up --name {name}")
        raise typer.Exit(1)


@app.command("build-image")
def build_image(
    context: Annotated[Path, typer.Argument(help="The folder that COPY copies from.")] = Path(),
    *,
    tag: Annotated[str, typer.Option(help="NAME:TAG, for example tandem:dev.")],
    target: Annotated[str | None, typer.Option(help="Which stage of the Dockerfile.")] = None,
    file: Annotated[Path | None, typer.Option(help="Another Dockerfile than CONTEXT/Dockerfile.")] = None,
    build_arg: Annotated[list[str] | None, typer.Option(help="NAME=VALUE, as often as needed.")] = None,
) -> None:
    """Build an image, with Docker where it answers and with buildah elsewhere; prints its id."""
    arguments = dict(pair.split("=", 1) for pair in build_arg or [])
    typer.echo(images.build(tag, context=context, dockerfile=file, target=target, arguments=arguments))


@app.command("load-image")
def load_image(references: list[str], name: Name = "tandem", backend: Choice = Backend.AUTO) -> None:
    """Give the node images that were built here."""
    cluster(name, backend).load_image(*references)


@app.command("serve-metrics")
def serve_metrics(name: Name = "tandem", backend: Choice = Backend.AUTO) -> None:
    """Add metrics-server, for `kubectl top` and autoscalers of CPU and memory."""
    cluster(name, backend).serve_metrics()


@app.command()
def kubeconfig(name: Name = "tandem", backend: Choice = Backend.AUTO) -> None:
    """Print where the client configuration is."""
    typer.echo(chosen(name, backend).kubeconfig)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def kubectl(context: typer.Context, name: Name = "tandem", backend: Choice = Backend.AUTO) -> None:
    """Run kubectl against it: python -m cluster kubectl -- get pods."""
    raise typer.Exit(subprocess.call(chosen(name, backend).kubectl(context.args)))


@app.command()
def down(name: Name = "tandem", backend: Choice = Backend.AUTO) -> None:
    """End it and leave nothing of it."""
    chosen(name, backend).down()


@app.command()
def run(
    command: list[str],
    with_controllers: Annotated[bool, typer.Option(help="Jobs make Pods, children are collected.")] = False,
) -> None:
    """Run a command against a control plane of its own, which ends with it: python -m cluster run -- pytest …"""
    from cluster.control_plane import ControlPlane

    with ControlPlane(controllers=with_controllers) as plane:
        raise typer.Exit(subprocess.call(command, env={**os.environ, "KUBECONFIG": str(plane.kubeconfig)}))

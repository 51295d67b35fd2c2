"""Options that several commands share, as kubectl calls them."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

Name: TypeAlias = Annotated[str, typer.Argument(metavar="NAME", help="NAME or KIND/NAME: shop, appd/shop, tj/iris.")]
Namespace: TypeAlias = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Default: the namespace of the kubeconfig's context.")
]
Context: TypeAlias = Annotated[str | None, typer.Option(help="A context of the kubeconfig. Default: the current one.")]
Decider: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--as-decider", metavar="USER", help="Who decides (tandem.dev/decided-by). Default: the kubeconfig's user."
    ),
]
Reason: TypeAlias = Annotated[
    str | None, typer.Option("--reason", "-m", metavar="TEXT", help="Why: told in the status and in an Event.")
]

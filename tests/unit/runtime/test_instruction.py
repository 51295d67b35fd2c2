"""A fetch instruction is taken whole or refused with a message that names the field and the rule."""

from __future__ import annotations

import json

import pytest

from tandem.runtime.instruction import Data, Git, InstructionInvalid, parse

DIGEST = "sha256:" + "a" * 64


def test_a_full_instruction_is_read_field_by_field() -> None:
    text = json.dumps(
        {
            "git": {"url": "https://host/repo.git", "ref": "v1", "path": "train"},
            "files": None,
            "data": [{"name": "iris", "storageUri": "https://host/iris.csv", "digest": DIGEST}],
            "workspace": "/elsewhere",
        }
    )
    instruction = parse(text)
    assert instruction.git == Git("https://host/repo.git", "v1", "train")
    assert instruction.data == (Data("iris", "https://host/iris.csv", DIGEST),)
    assert str(instruction.source_folder) == "/elsewhere/src"
    assert str(instruction.data_folder(instruction.data[0])) == "/elsewhere/data/iris"
    assert instruction.data[0].location.filename == "iris.csv"
    assert instruction.report_limit == 4096


def test_nothing_to_fetch_is_an_instruction_too() -> None:
    instruction = parse('{"git": null, "files": null, "data": []}')
    assert (instruction.git, instruction.files, instruction.data) == (None, None, ())
    assert instruction.workspace == "/workspace"


def _with_git(**git: object) -> str:
    return json.dumps({"git": {"url": "https://host/r.git", **git}})


def _with_data(*data: dict[str, object]) -> str:
    return json.dumps({"data": data})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "TANDEM_FETCH is empty"),
        ("", "TANDEM_FETCH is empty"),
        ("{", "TANDEM_FETCH is not a valid fetch instruction"),
        ("[]", "Expected `object`"),
        ('{"gitt": null}', "unknown field `gitt`"),
        ('{"git": {"ref": "main"}}', "missing required field `url`"),
        (_with_git(ref=3), "$.git.ref"),
        (_with_git(ref="--upload-pack=sh"), "$.git.ref"),
        (_with_git(path="/etc"), "$.git.path"),
        (_with_git(path="a/../../etc"), "must not contain '..'"),
        (_with_git(url="ext::sh -c id"), "spec.source.git.url must start with https://"),
        (_with_git(url="--upload-pack=id"), "spec.source.git.url must start with https://"),
        (_with_git(url="host:repo.git"), "spec.source.git.url must start with https://"),
        ('{"git": {"url": "https://h/r.git"}, "files": "/tandem/source"}', "both git and configMapRef"),
        (_with_data({"name": "iris"}), "storageUri"),
        (_with_data({"name": "../iris", "storageUri": "https://h/f"}), "$.data[0].name"),
        (
            _with_data({"name": "iris", "storageUri": "gopher://bucket/f"}),
            "data set iris: storageUri must start with https://",
        ),
        (_with_data({"name": "iris", "storageUri": "https://h/folder/"}), "must end in the name of one file"),
        (_with_data({"name": "iris", "storageUri": "https://h/a%2F.."}), "must not have the part '..'"),
        (_with_data({"name": "iris", "storageUri": "https://h/f", "key": "x"}), "unknown field `key`"),
        ('{"reportLimit": 5000}', "$.reportLimit"),
        (_with_data({"name": "iris", "storageUri": "https://h/f", "digest": "md5:abc"}), "$.data[0].digest"),
        (
            _with_data({"name": "a", "storageUri": "https://h/f"}, {"name": "a", "storageUri": "https://h/g"}),
            "same name",
        ),
    ],
)
def test_a_broken_instruction_is_refused_and_the_message_names_the_field(text: str | None, says: str) -> None:
    with pytest.raises(InstructionInvalid) as refused:
        parse(text)
    assert says in str(refused.value)
    assert refused.value.exit_code == 2

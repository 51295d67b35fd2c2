"""Data of a Git repository over http."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.contract.runtime.conftest import Repository
from tests.contract.runtime.data.pod import Pod
from tests.contract.runtime.stores import ME, git_http_backend, guarded_server


@pytest.mark.parametrize(
    ("rest", "files"),
    [
        ("//train.py?ref=v1", {"train.py": b"one"}),
        ("//train.py", {"train.py": b"three"}),
        ("//models/?ref=light", {"iris/train.py": b"iris one"}),
        ("//models/iris/train.py?ref=next", {"train.py": b"iris one"}),
        ("?ref=v1", {"train.py": b"one", "models/iris/train.py": b"iris one"}),
    ],
)
def test_a_file_or_folder_of_a_repository_at_a_ref(
    pod: Pod, git_server: str, rest: str, files: Mapping[str, bytes]
) -> None:
    done = pod.fetch(git_server + rest, secret=pod.secret(ME))
    assert (done.code, done.err) == (0, "")
    assert pod.files() == {f"iris/{path}": body for path, body in files.items()}


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("//train.py?ref=none", "has no branch or tag 'none': correct ?ref= of the storageUri"),
        ("//none.csv", "No such file or directory"),
        ("//models", "models is a folder: end it with '/'"),
        ("//train.py/", "train.py is a file: leave out the '/'"),
        ("//?ref=next", "outside is a link to a folder"),
        ("//outside/etc/passwd?ref=next", "a link that leads out"),
    ],
)
def test_what_is_not_in_the_repository_is_named(pod: Pod, git_server: str, rest: str, says: str) -> None:
    done = pod.fetch(git_server + rest, secret=pod.secret(ME))
    assert done.code in (4, 5, 6)
    assert says in done.message
    assert pod.files() == {}


def test_a_repository_that_wants_a_password_is_told_without_it(pod: Pod, git_server: str) -> None:
    done = pod.fetch(f"{git_server}//train.py", secret=pod.secret({**ME, "password": "wrong-hunter2"}))
    assert done.code in (4, 6)
    assert "could not fetch" in done.message
    assert "hunter2" not in done.out + done.err


def test_a_pointer_of_git_lfs_is_not_taken_for_data(pod: Pod, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("lfs")
    repository = Repository(folder / "r")
    repository.path.mkdir()
    repository.git("init", "--quiet", "--initial-branch", "main")
    repository.commit("one", {"iris.csv": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n"})
    with guarded_server(git_http_backend(folder)) as guarded:
        uri = f"{guarded.url.replace('http', 'git+http')}/r/.git//iris.csv"
        done = pod.fetch(uri, secret=pod.secret(ME))
    assert done.code == 4
    assert "iris.csv is kept in Git LFS" in done.message

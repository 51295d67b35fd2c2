"""The fetch step against real Git repositories and real HTTP servers, as the process that runs in the pod."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tandem.runtime import source
from tandem.runtime.failure import Failure
from tandem.runtime.instruction import Git
from tests.contract.runtime.conftest import Finished, HttpServer, Repository, free_port, pod_environment, run_module

CSV = b"a,b\n1,2\n"
CSV_DIGEST = "sha256:" + hashlib.sha256(CSV).hexdigest()
OTHER_DIGEST = "sha256:" + "0" * 64


@dataclass
class FetchPod:
    """What one fetch container sees and leaves behind."""

    folder: Path

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    @property
    def termination_log(self) -> Path:
        return self.folder / "termination-log"

    def fetch(self, **instruction: Any) -> Finished:
        return self.run(json.dumps({**instruction, "workspace": str(self.workspace)}))

    def run(self, text: str) -> Finished:
        variables = {"TANDEM_FETCH": text, "TANDEM_TERMINATION_LOG": str(self.termination_log)}
        return run_module("tandem.runtime.fetch", cwd=self.folder, env=pod_environment(self.folder, **variables))

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.termination_log.read_bytes())
        return report

    def files(self) -> dict[str, str]:
        """Everything in the workspace, by path."""
        return {
            str(path.relative_to(self.workspace)): path.read_text()
            for path in sorted(self.workspace.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def pod(tmp_path: Path) -> FetchPod:
    return FetchPod(tmp_path)


# --- code ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ref", "commit"),
    [("main", "three"), ("next", "link"), ("v1", "one"), ("light", "two"), ("refs/heads/next", "link")],
)
def test_a_branch_or_tag_is_fetched_and_its_commit_reported(
    pod: FetchPod, repository: Repository, ref: str, commit: str
) -> None:
    done = pod.fetch(git={"url": repository.url, "ref": ref, "path": None})
    assert (done.code, done.err) == (0, "")
    assert pod.report == {"commit": repository.commits[commit], "data": []}
    expected = {"one": "one", "two": "two", "three": "three", "link": "next"}[commit]
    assert pod.files()["src/train.py"] == expected


@pytest.mark.parametrize("commit", ["one", "two", "next"])
def test_a_full_commit_is_fetched_even_where_nothing_points_at_it(
    pod: FetchPod, repository: Repository, commit: str
) -> None:
    done = pod.fetch(git={"url": repository.url, "ref": repository.commits[commit], "path": None})
    assert done.code == 0, done.err
    assert pod.report["commit"] == repository.commits[commit]
    assert pod.files()["src/train.py"] == commit


def test_a_server_that_sends_no_single_commits_is_asked_for_everything(
    pod: FetchPod, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In version 0 of the protocol a commit that is no branch's tip is refused unless the server allows it."""
    monkeypatch.setattr(source, "_OPTIONS", (*source._OPTIONS, "protocol.version=0"))
    elsewhere = Repository(pod.folder / "elsewhere")
    elsewhere.path.mkdir()
    elsewhere.git("init", "--quiet")
    with pytest.raises(subprocess.CalledProcessError):
        elsewhere.git("-c", "protocol.version=0", "fetch", "--depth=1", repository.url, repository.commits["next"])
    commit = source.clone(Git(repository.url, repository.commits["next"]), pod.workspace / "src")
    assert commit == repository.commits["next"]
    assert pod.files()["src/train.py"] == "next"


def test_a_path_becomes_the_folder_of_the_code(pod: FetchPod, repository: Repository) -> None:
    done = pod.fetch(git={"url": repository.url, "ref": "v1", "path": "models/iris"})
    assert done.code == 0, done.err
    assert pod.files() == {"src/train.py": "iris one"}


def test_the_files_of_a_config_map_are_copied_without_the_kubelets_links(pod: FetchPod) -> None:
    mounted = pod.folder / "source"
    (mounted / "..2026_01_01").mkdir(parents=True)
    (mounted / "..2026_01_01" / "train.py").write_text("print()")
    (mounted / "..data").symlink_to("..2026_01_01")
    (mounted / "train.py").symlink_to("..data/train.py")
    done = pod.fetch(files=str(mounted))
    assert done.code == 0, done.err
    assert pod.files() == {"src/train.py": "print()"}
    assert not (pod.workspace / "src" / "train.py").is_symlink()


def test_the_files_of_a_config_map_have_the_digest_that_a_person_can_compute(pod: FetchPod) -> None:
    mounted = pod.folder / "source"
    mounted.mkdir()
    for name, text in {"train.py": "print()", "flowers.py": "", "Zebra.txt": "z"}.items():
        (mounted / name).write_text(text)
    done = pod.fetch(files=str(mounted))
    assert done.code == 0, done.err
    said = subprocess.run(
        "LC_ALL=C sha256sum * | sha256sum", shell=True, cwd=mounted, check=True, capture_output=True, text=True
    )
    assert pod.report == {"commit": None, "data": [], "files": f"sha256:{said.stdout.split()[0]}"}


def test_without_a_source_the_folder_of_the_code_is_empty(pod: FetchPod) -> None:
    assert pod.fetch().code == 0
    assert (pod.workspace / "src").is_dir()
    assert pod.files() == {}


@pytest.mark.parametrize(
    ("git", "says"),
    [
        ({"ref": "nosuch"}, "has no branch or tag 'nosuch': correct spec.source.git.ref"),
        ({"ref": "f" * 40}, "has no commit " + "f" * 40),
        ({"ref": "main", "path": "models/rose"}, "has no folder 'models/rose' at main"),
        ({"ref": "main", "path": "train.py"}, "has no folder 'train.py' at main"),
        ({"ref": "next", "path": "outside/etc"}, "has no folder 'outside/etc' at next"),
        ({"ref": "main", "path": "models/../.git"}, "must not contain '..'"),
    ],
)
def test_what_is_not_in_the_repository_is_named(
    pod: FetchPod, repository: Repository, git: dict[str, str], says: str
) -> None:
    done = pod.fetch(git={"url": repository.url, **git})
    assert done.code in (2, 4)
    assert says in done.message
    assert not pod.termination_log.exists()


def test_a_short_commit_is_refused_with_a_hint(pod: FetchPod, repository: Repository) -> None:
    done = pod.fetch(git={"url": repository.url, "ref": repository.commits["one"][:10]})
    assert done.code == 4
    assert "a commit needs all its 40 digits" in done.message


def test_an_unreachable_repository_is_told_without_its_password(pod: FetchPod) -> None:
    done = pod.fetch(git={"url": f"http://me:hunter2@127.0.0.1:{free_port()}/r.git", "ref": "main"})
    assert done.code == 4
    assert "could not fetch main of http://127.0.0.1:" in done.message
    assert "hunter2" not in done.out + done.err


@pytest.mark.usefixtures("ssh_client")
def test_a_git_server_that_is_away_is_told_apart_from_one_that_says_no(tmp_path: Path, http: HttpServer) -> None:
    """The first one is waited for."""
    http.files["/away.git/info/refs?service=git-upload-pack"] = (503, b"")
    away = {f"http://127.0.0.1:{free_port()}/r.git", f"ssh://git@127.0.0.1:{free_port()}/r.git", f"{http.url}/away.git"}
    for url in (*away, f"{http.url}/no.git", "http://nowhere.invalid/r.git"):
        with pytest.raises(Failure) as failed:
            source.clone(Git(url), tmp_path / "src")
        assert (failed.value.exit_code, failed.value.passes) == (4, url in away), failed.value


def test_hooks_and_filters_of_the_repository_do_not_run(
    pod: FetchPod, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A repository's own files cannot configure the git that checks it out; a submodule stays an empty folder."""
    hostile = Repository(tmp_path_factory.mktemp("hostile"))
    hostile.git("init", "--quiet", "--initial-branch", "main")
    marker = pod.folder / "ran"
    hostile.commit(
        "one",
        {
            ".gitattributes": "* filter=evil\n",
            ".gitconfig": f'[filter "evil"]\n\tsmudge = touch {marker}\n',
            ".gitmodules": f'[submodule "s"]\n\tpath = s\n\turl = ext::touch {marker}\n',
            "train.py": "fine",
        },
    )
    hostile.git("update-index", "--add", "--cacheinfo", f"160000,{hostile.commits['one']},s")
    hostile.git("commit", "--quiet", "--message", "submodule")
    done = pod.fetch(git={"url": hostile.url, "ref": "main"})
    assert done.code == 0, done.err
    assert pod.files()["src/train.py"] == "fine"
    assert not marker.exists()


def test_a_second_attempt_in_the_same_volume_starts_clean(pod: FetchPod, repository: Repository) -> None:
    pod.fetch(git={"url": repository.url, "ref": "next"})
    done = pod.fetch(git={"url": repository.url, "ref": "main"})
    assert done.code == 0, done.err
    assert "src/link.txt" not in pod.files()


# --- data ------------------------------------------------------------------------------------------------------------


def test_a_pointer_of_git_lfs_is_not_taken_for_code(tmp_path: Path) -> None:
    """A script would read the pointer, and nobody would know."""
    repository = Repository(tmp_path / "lfs")
    repository.path.mkdir()
    repository.git("init", "--quiet", "--initial-branch", "main")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n"
    repository.commit("one", {"train.py": "one", "weights/a.bin": pointer, "plain/train.py": "two"})

    with pytest.raises(source.CodeNotFetched, match=r"weights/a\.bin of file:.* is kept in Git LFS, .* not fetched"):
        source.clone(Git(repository.url), tmp_path / "src")

    assert source.clone(Git(repository.url, path="plain"), tmp_path / "src") == repository.commits["one"]


def test_data_is_fetched_hashed_and_reported(pod: FetchPod, http: HttpServer) -> None:
    http.files["/d/iris.csv?sig=1"] = (200, CSV)
    local = pod.folder / "b.csv"
    local.write_bytes(CSV * 3)
    done = pod.fetch(
        data=[
            {"name": "iris", "storageUri": f"{http.url}/d/iris.csv?sig=1", "digest": CSV_DIGEST},
            {"name": "b", "storageUri": local.as_uri(), "digest": None},
        ]
    )
    assert (done.code, done.err) == (0, "")
    assert pod.files() == {"data/iris/iris.csv": CSV.decode(), "data/b/b.csv": (CSV * 3).decode()}
    report = pod.report
    assert report["data"][1].pop("version").startswith("modified:"), "of what is not pinned, what its store says"
    assert report == {
        "commit": None,
        "data": [
            {"name": "iris", "digest": CSV_DIGEST, "bytes": len(CSV), "rows": 1},
            {"name": "b", "digest": "sha256:" + hashlib.sha256(CSV * 3).hexdigest(), "bytes": 3 * len(CSV), "rows": 5},
        ],
    }


def test_data_larger_than_a_chunk_arrives_whole(pod: FetchPod, http: HttpServer) -> None:
    body = bytes(range(256)) * 20_000
    http.files["/big.bin"] = (200, body)
    done = pod.fetch(data=[{"name": "big", "storageUri": f"{http.url}/big.bin"}])
    assert done.code == 0, done.err
    assert (pod.workspace / "data/big/big.bin").read_bytes() == body
    assert pod.report["data"][0]["bytes"] == len(body)


def test_a_packed_file_stays_packed(pod: FetchPod, http: HttpServer) -> None:
    body = gzip.compress(CSV)
    http.files["/iris.csv.gz"] = (200, body)
    assert pod.fetch(data=[{"name": "iris", "storageUri": f"{http.url}/iris.csv.gz"}]).code == 0
    assert (pod.workspace / "data/iris/iris.csv.gz").read_bytes() == body


def test_other_bytes_than_the_pinned_ones_refuse_to_train(pod: FetchPod, http: HttpServer) -> None:
    http.files["/iris.csv"] = (200, CSV)
    done = pod.fetch(data=[{"name": "iris", "storageUri": f"{http.url}/iris.csv", "digest": OTHER_DIGEST}])
    assert done.code == 3
    for part in ("data set iris", OTHER_DIGEST, CSV_DIGEST, "set the digest or remove it"):
        assert part in done.message
    assert pod.files() == {}
    assert not pod.termination_log.exists()


@pytest.mark.parametrize(
    ("path", "code", "says"),
    [
        ("/none.csv", 5, "the server answered 404 Not Found"),
        ("/closed.csv", 6, "the server answered 403 Forbidden"),
        ("/down.csv", 4, "the server answered 503 Service Unavailable"),
        ("/broken.csv", 4, "could not fetch"),
    ],
)
def test_data_that_cannot_be_read_is_told_in_one_sentence_without_its_signature(
    pod: FetchPod, http: HttpServer, path: str, code: int, says: str
) -> None:
    http.files |= {
        "/closed.csv?sig=hunter2": (403, b""),
        "/down.csv?sig=hunter2": (503, b""),
        "/broken.csv": (200, CSV),
    }
    signature = "" if path == "/broken.csv" else "?sig=hunter2"
    done = pod.fetch(data=[{"name": "iris", "storageUri": f"{http.url}{path}{signature}"}])
    assert done.code == code
    assert f"data set iris: could not fetch {http.url}{path}: " in done.message
    assert says in done.message
    assert "hunter2" not in done.out + done.err
    assert pod.files() == {}


def test_a_server_that_is_not_there_is_told_apart(pod: FetchPod) -> None:
    done = pod.fetch(data=[{"name": "iris", "storageUri": f"http://127.0.0.1:{free_port()}/iris.csv"}])
    assert done.code == 7
    assert "refused" in done.message


def test_a_missing_local_file_is_named(pod: FetchPod) -> None:
    done = pod.fetch(data=[{"name": "iris", "storageUri": "file:///nowhere/iris.csv"}])
    assert done.code == 5
    assert "file:///nowhere/iris.csv: No such file or directory" in done.message


# --- the instruction -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "not json", '{"gitt": 1}', '{"data": [{"name": "a"}]}'])
def test_an_instruction_that_is_not_understood_ends_with_exit_code_2(pod: FetchPod, text: str) -> None:
    done = pod.run(text)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "TANDEM_FETCH" in done.message

"""A storageUri is taken apart by written rules, and refused with the rule that it breaks."""

from __future__ import annotations

import pytest

from tandem.runtime.location import BadLocation, Location, check_path, parse


@pytest.mark.parametrize(
    ("uri", "place", "path", "ref"),
    [
        ("https://h.org/a/iris.csv", "h.org", "a/iris.csv", ""),
        ("http://h:8080/iris.csv?sig=a%2Fb#top", "h:8080", "iris.csv", ""),
        ("https://h.org/a%20b.csv", "h.org", "a b.csv", ""),
        ("file:///data/iris.csv", "", "data/iris.csv", ""),
        ("pvc://claim/iris/", "claim", "iris/", ""),
        ("pvc://claim/", "claim", "", ""),
        ("s3://bucket/a/b.csv", "bucket", "a/b.csv", ""),
        ("s3://bucket/", "bucket", "", ""),
        ("gs://bucket/a/", "bucket", "a/", ""),
        ("abfs://box@acme.dfs.core.windows.net/a.csv", "box@acme.dfs.core.windows.net", "a.csv", ""),
        ("git+https://h.org/a/r.git//d/iris.csv?ref=v1", "h.org/a/r.git", "d/iris.csv", "v1"),
        ("git+http://h.org/r.git", "h.org/r.git", "", "main"),
        ("oci://h:5000/a/iris:v1", "h:5000/a/iris:v1", "", ""),
        ("oci://h/a/iris@sha256:abc//x/iris.csv", "h/a/iris@sha256:abc", "x/iris.csv", ""),
    ],
)
def test_every_kind_of_uri_is_taken_apart(uri: str, place: str, path: str, ref: str) -> None:
    assert parse(uri) == Location(uri, uri.partition(":")[0], place, path, ref)


@pytest.mark.parametrize(
    ("uri", "is_folder", "filename"),
    [
        ("s3://bucket/a/iris.csv", False, "iris.csv"),
        ("s3://bucket/a/", True, ""),
        ("s3://bucket/", True, ""),
        ("oci://h/a/iris:v1", True, ""),
        ("oci://h/a/iris:v1//iris.csv", False, "iris.csv"),
        ("git+https://h/r.git", True, ""),
    ],
)
def test_a_slash_at_the_end_makes_a_folder_and_nothing_else_does(uri: str, is_folder: bool, filename: str) -> None:
    location = parse(uri)
    assert (location.is_folder, location.filename) == (is_folder, filename)


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("gopher://h/f", "must start with https:// or http:// or file://"),
        ("ftp://h/f", "must start with"),
        ("memory://h/f", "must start with"),
        ("/etc/passwd", "must start with"),
        ("simplecache::https://h/f", "must not contain '::'"),
        ("https://h/f::file:///etc/passwd", "must not contain '::'"),
        ("git+ext::sh -c id", "must not contain '::'"),
        ("https://h/a b.csv", "without spaces"),
        ("https://h/ä.csv", "printable ASCII"),
        ("https://me:hunter2@h/f", "must hold no user name or password"),
        ("s3://key:secret@bucket/f", "must hold no user name or password"),
        ("git+https://token@h/r.git", "must hold no user name or password"),
        ("https:///f", "must name a host"),
        ("s3:///key", "must name a host, a bucket or a claim"),
        ("file://host/data/f", "must name a file of the image"),
        ("https://h/folder/", "must end in the name of one file"),
        ("https://h", "must end in the name of one file"),
        ("https://h/a/../../etc/passwd", "the part '..'"),
        ("https://h/..", "the part '..'"),
        ("https://h/a%2F..", "the part '..'"),
        ("https://h/a%2f%2e%2e%2fb", "the part '..'"),
        ("pvc://claim/../other/f", "the part '..'"),
        ("pvc://claim/./f", "the part '.'"),
        ("s3://bucket/a//b", "the part ''"),
        ("s3://bucket/a%00b", "control character"),
        ("s3://bucket/a%0Ab", "control character"),
        ("s3://bucket/a%5Cb", "a backslash"),
        ("s3://bucket/" + "x" * 256, "longer than 255 bytes"),
        ("git+https://h/r.git//d?ref=--upload-pack=id", "a branch, a tag or a commit"),
        ("git+https://h/r.git//../d", "the part '..'"),
        ("abfs://box/a.csv", "CONTAINER@ACCOUNT"),
        ("abfs://box:hunter2@acme.dfs.core.windows.net/a.csv", "no user name or password"),
        ("https://[::1/f", "must not contain '::'"),
        ("https://h:port/f", ""),
    ],
)
def test_what_could_lead_elsewhere_is_refused_with_the_rule(uri: str, says: str) -> None:
    if says == "":
        assert parse(uri).place == "h:port"  # no port of ours: the library that connects says what is wrong
        return
    with pytest.raises(BadLocation) as refused:
        parse(uri)
    assert says in str(refused.value)


@pytest.mark.parametrize("path", ["/etc/passwd", "..", "a/../b", "a//b", "a/", ".", "a\nb", "a\x7f", "a\\b", "x" * 256])
def test_what_a_store_calls_a_file_is_no_path_unless_it_stays_inside(path: str) -> None:
    with pytest.raises(BadLocation):
        check_path(path)


@pytest.mark.parametrize("path", ["a.csv", "a/b/c.csv", "..data", "a b", "ä.csv", "part-0000=1.parquet"])
def test_an_ordinary_path_passes(path: str) -> None:
    check_path(path)

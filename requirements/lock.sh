#!/bin/sh
# Lock again: requirements/*.in -> requirements/*.txt, every file of every version pinned by hash, for Python 3.11 and up.
# Pass uv's own options on, e.g. `requirements/lock.sh --upgrade-package mlflow`.
set -eu
cd "$(dirname "$0")/.."
for name in bootstrap s3 dev operator runtime; do
    # Locks of the images are cut from the one that was tested: the same versions in all three.
    constraint=$([ "$name" = dev ] || [ "$name" = bootstrap ] || [ "$name" = s3 ] || echo "--constraint requirements/dev.txt")
    # shellcheck disable=SC2086  # two words, or none
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
        --no-emit-index-url --no-emit-find-links --custom-compile-command requirements/lock.sh \
        $constraint --output-file "requirements/$name.txt" "$@" "requirements/$name.in"
done

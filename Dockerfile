# Two images from one file: `operator` (lean) and `runtime` (what runs in training and serving pods, and the MLflow
# server). Builds alike with `docker build --target …` and `buildah build --isolation chroot --target …`.
#
# BASE: any Debian-like image with Python >= 3.11 and its venv module.
# PIP_CERT: path of a CA bundle that the builder mounts (-v …:ro) where the machine has one of its own; never baked in.
ARG BASE=python:3.12-slim-bookworm

# --- operator ---------------------------------------------------------------------------------------------------------
# Libraries first, our own code last: a change of the code rebuilds that layer alone. They are installed in the image
# itself, because a builder reads all of what is copied from another stage to know whether it has changed.
FROM ${BASE} AS operator-libraries
ARG PIP_CERT
COPY requirements/operator.txt /opt/requirements.txt
# Byte code is made once, here: the root file system is read-only in the pods, so they could not keep any, and start-up
# time is what a user waits for. Hash-based and unchecked: no file times to compare, and the same bytes at every build.
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --no-compile --disable-pip-version-check --require-hashes -r /opt/requirements.txt \
 && /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib \
 && /opt/venv/bin/python -c "import sysconfig; open(sysconfig.get_path('purelib') + '/tandem.pth', 'w').write('/opt/tandem\n')" \
 && printf '#!/opt/venv/bin/python\nimport sys\nfrom tandem.cli import main\nsys.exit(main())\n' > /opt/venv/bin/tandem \
 && chmod 0755 /opt/venv/bin/tandem

FROM ${BASE} AS operator-code
COPY operator/tandem /opt/tandem/tandem
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/tandem

FROM operator-libraries AS operator
COPY --from=operator-code /opt/tandem /opt/tandem
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 HOME=/tmp
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["tandem"]

# --- runtime ----------------------------------------------------------------------------------------------------------
FROM ${BASE} AS runtime-libraries
ARG PIP_CERT
# git, and ssh for deploy keys: for the fetch step. The slim base has none; others do. ssh speaks for nobody whom the
# system does not know by name.
RUN { command -v git && command -v ssh; } >/dev/null || { apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates git openssh-client \
 && rm -rf /var/lib/apt/lists/*; } \
 && { grep -q '^[^:]*:[^:]*:65532:' /etc/passwd || echo 'tandem:x:65532:65532:tandem:/tmp:/usr/sbin/nologin' >> /etc/passwd; }
COPY requirements/runtime.txt /opt/requirements.txt
# The test suites inside the scientific packages are 50 MB that nothing imports.
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --no-compile --disable-pip-version-check --require-hashes -r /opt/requirements.txt \
 && for package in numpy pandas pyarrow scipy sklearn; do \
      find /opt/venv/lib/python3*/site-packages/$package -type d -name tests -prune -exec rm -rf {} + ; \
    done \
 && /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib \
 && /opt/venv/bin/python -c "import sysconfig; open(sysconfig.get_path('purelib') + '/tandem.pth', 'w').write('/opt/tandem\n')"

FROM ${BASE} AS runtime-code
COPY operator/tandem/__init__.py operator/tandem/py.typed /opt/tandem/tandem/
COPY operator/tandem/api /opt/tandem/tandem/api
COPY operator/tandem/runtime /opt/tandem/tandem/runtime
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/tandem

FROM runtime-libraries AS runtime
COPY --from=runtime-code /opt/tandem /opt/tandem
# Any user id may be given, also one without a passwd entry: HOME and USER are asked for by libraries all the same.
# MLflow reports usage to its makers unless told not to; a pod must not call out by itself.
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 HOME=/tmp USER=tandem \
    MPLCONFIGDIR=/tmp GIT_PYTHON_REFRESH=quiet MLFLOW_DISABLE_TELEMETRY=true
USER 65532:65532
WORKDIR /tmp
CMD ["python"]

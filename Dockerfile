# Pratique with all its extras. It needs BuildKit and nothing else: no `# syntax=` line, so that no frontend is fetched.
#   docker build -t pratique .
ARG PYTHON=python:3.12-slim

FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
WORKDIR /build
# For `strip`, of whatever version Debian has: nothing of it stays.
# hadolint ignore=DL3008
RUN apt-get update --quiet && apt-get install --quiet --yes --no-install-recommends binutils
# Locked packages first: their layer is made again only when the lock changes.
COPY requirements/build.txt requirements/container.txt requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv /build/tools \
 && tools/bin/python -m pip install --quiet --no-deps --require-hashes --only-binary :all: -r requirements/build.txt \
 && python -m venv --without-pip /opt/pratique \
 && tools/bin/python -m pip --python /opt/pratique/bin/python install --quiet --no-compile --no-deps --require-hashes \
      --only-binary :all: -r requirements/container.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN tools/bin/python -m hatchling build --target wheel \
 && tools/bin/python -m pip --python /opt/pratique/bin/python install --quiet --no-compile --no-deps --no-index dist/*.whl
COPY docker/slim.py docker/
# Byte code that never looks at a file's time: the root file system may be read-only, and two builds are equal. One process
# compiles it all, in one order: what several share by chance (how often a name is referred to) stands in byte code.
RUN python docker/slim.py /opt/pratique \
 && PYTHONHASHSEED=0 /opt/pratique/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/pratique/lib

FROM ${PYTHON}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Pratique" \
      org.opencontainers.image.description="Data ingestion that loses nothing: every record is loaded once, or held in quarantine with its reasons." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Written by hand: useradd notes the day in /etc/shadow. Group 0 may write what the user may, for platforms that give
# each container a user id of its own.
RUN echo 'pipeline:x:10001:0:Pratique:/app:/usr/sbin/nologin' >> /etc/passwd \
 && install --directory --owner=10001 --group=0 --mode=0775 /app /app/config /app/pipelines /app/schemas /app/data /app/logs
COPY --from=build /opt/pratique /opt/pratique
COPY --chmod=0755 docker/run-every /usr/local/bin/run-every
ENV PATH=/opt/pratique/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/app LOGNAME=pipeline LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    PRATIQUE__STATE__PATH=data/.pratique
WORKDIR /app
USER 10001:0
VOLUME ["/app/data", "/app/logs"]
# Well while no run has ended, and as well as the latest run of each pipeline from then on.
HEALTHCHECK --interval=30s --timeout=15s --start-period=30s --retries=2 CMD ["pratique", "health"]
STOPSIGNAL SIGTERM
# The first process of a container never gets a signal that it has no handler for: what comes while Python is being
# loaded would be lost. Blocked, it waits until `pratique` listens, a twentieth of a second later.
ENTRYPOINT ["env", "--block-signal=INT,TERM", "pratique"]

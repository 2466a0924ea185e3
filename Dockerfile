# One image for the daemon and its commands.
#
#   docker build -t liteferry .
#   docker run --user "$(stat -c %u:%g /srv/app/data)" -v /srv/app/data:/data --read-only --tmpfs /tmp \
#     --tmpfs /run/liteferry:mode=1777 -e DATABASE_URL=postgresql://ferry@db/app -p 127.0.0.1:8321:8321 liteferry
#
# The volume is the *folder* with the SQLite files, mounted read-write: triggers are installed in the files, and
# SQLite creates -wal and -shm beside them, even for reading. Run as the user that owns the files (--user), or
# give group 10001 write permission on the folder. SQLite needs shared memory with the application in WAL mode:
# same host, local disk, no network file system.

# both stages are of one Debian: the interpreter of the first runs in the second
FROM python:3.12-slim-bookworm AS build

WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY pyproject.toml README.md ./
COPY config ./config
COPY triggers ./triggers
COPY replicator ./replicator
COPY daemon ./daemon
# a virtual environment of its own: the package's folder names are too common for a shared one
RUN python -m venv --without-pip /opt/liteferry \
    && python -m pip --python /opt/liteferry/bin/python install --no-compile .
# what nobody runs here: installers, symbols and sources of the compiled parts, tests, the interpreter's own tools
RUN apt-get update && apt-get install -y --no-install-recommends binutils \
    && find /usr/local /opt/liteferry -type f -name '*.so*' -exec strip --strip-unneeded {} + \
    && cd /usr/local/lib/python3.12 \
    && rm -rf site-packages/* ensurepip idlelib tkinter turtledemo turtle.py lib2to3 pydoc_data test config-3.12-* \
    && rm -f lib-dynload/_test*.so lib-dynload/_xx*.so lib-dynload/xxlimited*.so lib-dynload/_tkinter*.so \
    && rm -rf /usr/local/include /usr/local/share /usr/local/lib/pkgconfig /opt/liteferry/include \
    # sqlite-utils asks for it, to install plugins of its own
    && rm -rf /opt/liteferry/lib/python3.12/site-packages/pip* /opt/liteferry/bin/pip* \
    && find /usr/local/bin ! -type d ! -name python ! -name python3 ! -name python3.12 -delete \
    && find /opt/liteferry -type f \( -name '*.c' -o -name '*.h' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' \
        -o -name '*.pyi' \) -delete \
    && find /opt/liteferry/lib -depth -type d \( -name tests -o -name test \) -exec rm -rf {} + \
    && find /usr/local /opt/liteferry -depth -type d -name __pycache__ -exec rm -rf {} + \
    # the file system is read-only where it runs: compiled here, or at each start anew
    && /opt/liteferry/bin/python -m compileall -q /usr/local/lib/python3.12 /opt/liteferry/lib


FROM debian:bookworm-slim

ARG VERSION=0.1.0
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title="liteferry" \
      org.opencontainers.image.description="Moves a live SQLite application to PostgreSQL" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.documentation="docs/howto/production.md" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

# tini is process 1: it passes signals on, and reaps what the hooks leave behind
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates libffi8 libsqlite3-0 libssl3 tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/*.log /var/log/apt \
    # a fixed number, so that a volume's owner can be set from outside
    && groupadd --gid 10001 liteferry \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin liteferry \
    # writable for any --user, like /tmp; with --read-only add --tmpfs /run/liteferry:mode=1777
    && install -d -m 1777 /run/liteferry \
    && install -d -o 10001 -g 10001 /data

COPY --from=build /usr/local /usr/local
COPY --from=build /opt/liteferry /opt/liteferry
RUN ldconfig && liteferry=/opt/liteferry/bin/liteferry && "$liteferry" --version

# HTTP listens on all addresses *of the container*; what is published decides who gets at it
ENV PATH=/opt/liteferry/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SQLITE_DIR=/data \
    LITEFERRY_CONTROL=/run/liteferry/liteferry.sock \
    LITEFERRY_HTTP=0.0.0.0:8321

USER 10001:10001
WORKDIR /data
EXPOSE 8321

# asks the daemon through its socket, so it holds with HTTP switched off as well
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["/opt/liteferry/bin/python", "-m", "daemon.healthcheck"]

# the batch in hand is finished or rolled back; give it the time: docker stop --time 30
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/tini", "--", "liteferry"]
CMD ["run"]

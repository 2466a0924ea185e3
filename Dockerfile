# One image for the daemon and its commands.
#
#   docker build -t liteferry .
#   docker run --user "$(stat -c %u:%g /srv/app/data)" -v /srv/app/data:/data \
#     -e DATABASE_URL=postgresql://ferry@db/app -p 127.0.0.1:8321:8321 liteferry
#
# The volume is the *folder* with the SQLite files, mounted read-write: triggers are installed in the files, and
# SQLite creates -wal and -shm beside them, even for reading. Run as the user that owns the files (--user), or
# give group 10001 write permission on the folder. SQLite needs shared memory with the application in WAL mode:
# same host, local disk, no network file system.

FROM python:3.12-slim AS build

WORKDIR /src
RUN python -m venv /opt/liteferry
ENV PATH=/opt/liteferry/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY pyproject.toml README.md ./
COPY config ./config
COPY triggers ./triggers
COPY replicator ./replicator
COPY daemon ./daemon
# a virtual environment of its own: the package's folder names are too common for a shared one
RUN pip install . && python -m compileall -q /opt/liteferry


FROM python:3.12-slim

LABEL org.opencontainers.image.title="liteferry" \
      org.opencontainers.image.description="Moves a live SQLite application to PostgreSQL" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"

# a fixed number, so that a volume's owner can be set from outside
RUN groupadd --gid 10001 liteferry \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin liteferry \
    # writable for any --user, like /tmp; with --read-only add --tmpfs /run/liteferry
    && install -d -m 1777 /run/liteferry \
    && install -d -o 10001 -g 10001 /data

COPY --from=build /opt/liteferry /opt/liteferry

# HTTP listens on all addresses *of the container*; what is published decides who gets at it
ENV PATH=/opt/liteferry/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SQLITE_DIR=/data \
    LITEFERRY_CONTROL=/run/liteferry/liteferry.sock \
    LITEFERRY_HTTP=0.0.0.0:8321

USER 10001:10001
WORKDIR /data
EXPOSE 8321

# asks the daemon through its socket, so it holds with HTTP switched off as well
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["liteferry", "status", "--json"]

# the batch in hand is finished or rolled back; give it the time: docker stop --time 30
STOPSIGNAL SIGTERM
ENTRYPOINT ["liteferry"]
CMD ["run"]

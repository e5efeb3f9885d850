# The service in a container: not root, nothing to write but /data (only with SQLite).
# docs/operations.md, "In containers", shows how to run it; compose.yaml does with PostgreSQL.
#
# Pin the image by its digest, so that a build is the same tomorrow:
#   docker buildx imagetools inspect python:3.13-slim-bookworm
ARG PYTHON=python:3.13-slim-bookworm

FROM ${PYTHON} AS build
RUN python -m pip install --no-cache-dir uv==0.13.9
WORKDIR /src
COPY pyproject.toml uv.lock README.md LICENSE ./
COPY clients/js/itemsapi-auth.min.js clients/js/itemsapi-auth.min.js.map clients/js/
COPY migrations migrations
COPY src src
# The wheel, and exactly the versions of uv.lock beside it.
RUN UV_PROJECT_ENVIRONMENT=/opt/itemsapi uv sync --locked --no-cache --no-default-groups \
    --extra server --extra postgres --extra redis --no-editable --compile-bytecode \
    --no-python-downloads --python /usr/local/bin/python

FROM ${PYTHON}
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin itemsapi \
    && install --directory --owner 10001 --group 10001 --mode 0700 /data
COPY --from=build /opt/itemsapi /opt/itemsapi
ENV PATH=/opt/itemsapi/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    ITEMSAPI_DATA_DIR=/data
USER 10001:10001
EXPOSE 8000
# It is ready when the database accepts writes, its tables are not older than this version needs,
# and the keys are known.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health/ready')"]
ENTRYPOINT ["itemsapi"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]

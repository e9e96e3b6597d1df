# Image of the command tmapi, with tables, Excel and the report.
#
#     docker build --tag tmapi-async .
#     docker run --rm tmapi-async items 1031910 --sandbox --max-pages 1
#
# docs/how-to/nightly.md shows a nightly harvest with it. The image holds no token: give it to the
# container when it runs. Everything that is kept is in /data; the rest may be read-only.

FROM python:3.13-slim AS build
WORKDIR /build
COPY constraints.txt LICENSE pyproject.toml README.md ./
COPY tmapi_async tmapi_async
ENV PIP_CONSTRAINT=/build/constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m pip wheel --no-deps --wheel-dir dist .
# Without pip: nothing is installed into it later.
RUN python -m venv --without-pip /opt/tmapi
RUN python -m pip --python /opt/tmapi/bin/python install "$(echo dist/*.whl)[export,report,speed,xlsx]"

FROM python:3.13-slim
COPY --from=build /opt/tmapi /opt/tmapi
# A folder on the volume of any other user needs no entry in /etc/passwd either.
RUN mkdir /data && chown 10001:10001 /data
ENV PATH=/opt/tmapi/bin:$PATH TMAPI_CACHE_DIR=/data TMAPI_RUNTIME_DIR=/data
USER 10001:10001
VOLUME /data
WORKDIR /data
# Lets a harvest wait for the requests that are paid for; give it the time: --stop-timeout 180.
STOPSIGNAL SIGTERM
ENTRYPOINT ["tmapi"]
CMD ["--help"]

